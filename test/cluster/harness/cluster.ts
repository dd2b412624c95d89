import { ApiServer, type KubeObject, type NamespaceOptions } from './api-server';
import { AuditLog } from './audit-log';
import { type Environment, getEnvironment, type Offer } from './environment';
import { Kubectl } from './kubectl';
import { Namespace } from './namespace';
import { acquire } from './own/lock';
import { SecondNode } from './second-node';

/** What not every cluster offers to the tests, and why one that was given in KUBECONFIG lacks it. */
const whyNotGiven = {
  auditLog: 'the audit log of the cluster in KUBECONFIG cannot be read',
  hostAddress: 'CDK8S_PREFECT_HOST_ADDRESS does not say at which address the pods of the cluster in KUBECONFIG reach this machine',
  oldest: 'beside the cluster in KUBECONFIG no API server of Kubernetes 1.27 is started',
  bare: 'beside the cluster in KUBECONFIG no API server without controllers is started',
  secondNode: 'the cluster in KUBECONFIG gets no second node',
  networkPolicies: 'whether the cluster in KUBECONFIG enforces NetworkPolicies is not known',
} as const;

const pathOf = (offer?: Offer) => (offer && 'path' in offer ? offer.path : undefined);

/** `test`, or `test.concurrent`. */
type Declare = (name: string, body: () => Promise<void>) => void;

/** The cluster of this run of the tests. */
export class Cluster extends Kubectl {
  readonly api: ApiServer;
  private readonly environment: Environment;
  private readonly created: string[] = [];
  private readonly offered: {
    auditLog?: AuditLog;
    hostAddress?: string;
    oldest?: ApiServer;
    bare?: ApiServer;
    secondNode?: SecondNode;
    networkPolicies?: SecondNode;
  };
  private hasNode = false;

  constructor() {
    const environment = getEnvironment();
    const { apiSocket, auditLog, hostAddress, oldestApiSocket, bareApiSocket, runLabel } = environment;
    const [kubernetes, policyAgent] = [pathOf(environment.secondNode), pathOf(environment.policyAgent)];
    super(environment.kubectl, environment.kubeconfig);
    this.environment = environment;
    this.api = new ApiServer(apiSocket, runLabel);
    this.offered = {
      auditLog: auditLog ? new AuditLog(auditLog) : undefined,
      hostAddress,
      oldest: oldestApiSocket ? new ApiServer(oldestApiSocket, runLabel) : undefined,
      bare: bareApiSocket ? new ApiServer(bareApiSocket, runLabel) : undefined,
      secondNode: kubernetes ? new SecondNode(environment, { kubernetes }) : undefined,
      networkPolicies: kubernetes && policyAgent ? new SecondNode(environment, { kubernetes, policyAgent }) : undefined,
    };
  }

  /** An object without a namespace. */
  get(kind: string, name: string): Promise<KubeObject> {
    return this.api.get(kind, name);
  }

  list(kind: string, selector?: string): Promise<KubeObject[]> {
    return this.api.list(kind, selector);
  }

  /** A namespace for one test, with a name of its own. */
  async createNamespace(options?: NamespaceOptions): Promise<Namespace> {
    const name = await this.api.createNamespace(options);
    this.created.push(name);
    return new Namespace(this.environment, this.api, name);
  }

  /** Deletes the namespaces made so far: what goes on in them would slow down the tests that follow. */
  async deleteNamespaces({ wait = false } = {}): Promise<void> {
    const names = this.created.splice(0);
    if (names.length > 0) await this.kubectl(['delete', 'namespaces', `--wait=${wait}`, ...names]);
  }

  /** A namespace that is there already: what a test leaves in it, it must remove. */
  existingNamespace(name: string): Namespace {
    return new Namespace(this.environment, this.api, name);
  }

  /** For a file of tests that ask of a node all that it can give: such files wait for each other. */
  takesTurns(): void {
    let release: () => void;
    beforeAll(async () => {
      release = await acquire('turn');
    }, 3_600_000);
    afterAll(() => release?.());
  }

  /** The requests of service accounts. Only for tests declared by `testWith('auditLog')`. */
  get auditLog(): AuditLog {
    return this.need('auditLog');
  }

  /** The address at which pods reach a server of the test. Only for tests declared by `testWith('hostAddress')`. */
  get hostAddress(): string {
    return this.need('hostAddress');
  }

  /** An API server of Kubernetes 1.27, without controllers or nodes, for dry runs. Only for tests declared by `testWith('oldest')`. */
  get oldest(): ApiServer {
    return this.need('oldest');
  }

  /**
   * An API server of the cluster's Kubernetes without controllers or nodes, for tests that store more than the others should wait for.
   * Only for tests declared by `testWith('bare')`.
   */
  get bare(): ApiServer {
    return this.need('bare');
  }

  /** The node beside the first, for the tests declared by `testWith('secondNode')`. */
  get secondNode(): SecondNode {
    return this.need('secondNode');
  }

  /** The same, on which NetworkPolicies are enforced, for the tests declared by `testWith('networkPolicies')`. */
  get enforcingNode(): SecondNode {
    return this.need('networkPolicies');
  }

  /** `test`, where the cluster offers what the test needs; elsewhere the test is reported as skipped, with the reason. */
  testWith(needed: keyof typeof whyNotGiven, declare: Declare = test): Declare {
    const offered = this.offered[needed];
    if (!offered) return (name, body) => test.skip(`${name} [NOT RUN: ${this.whyMissing(needed)}]`, body);
    if (offered instanceof SecondNode) this.startAndEnd(offered);
    return declare;
  }

  /** The node is there for the tests of one file, or of one `describe`. */
  private startAndEnd(node: SecondNode): void {
    if (this.hasNode) return;
    this.hasNode = true;
    // Other files may have it until then.
    beforeAll(() => node.start(), 7_200_000);
    afterAll(() => node.end(), 600_000);
  }

  private whyMissing(part: keyof typeof whyNotGiven): string {
    const { secondNode, policyAgent } = this.environment;
    const offers = { secondNode: [secondNode], networkPolicies: [secondNode, policyAgent] }[part as string] ?? [];
    return offers.flatMap((offer) => (offer && 'missing' in offer ? [offer.missing] : []))[0] ?? whyNotGiven[part];
  }

  private need<P extends keyof typeof whyNotGiven>(part: P): NonNullable<(typeof this.offered)[P]> {
    const value = this.offered[part];
    if (!value) throw new Error(`${this.whyMissing(part)}; declare this test by cluster.testWith('${part}')`);
    return value;
  }
}
