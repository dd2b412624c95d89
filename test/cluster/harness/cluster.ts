import { ApiServer, type NamespaceOptions } from './api-server';
import { AuditLog } from './audit-log';
import { type Environment, getEnvironment } from './environment';
import { Kubectl } from './kubectl';
import { Namespace } from './namespace';
import { acquire } from './own/lock';

/** What not every cluster offers to the tests, and why one that was given in KUBECONFIG lacks it. */
const whyMissing = {
  auditLog: 'the audit log of the cluster in KUBECONFIG cannot be read',
  hostAddress: 'CDK8S_PREFECT_HOST_ADDRESS does not say at which address the pods of the cluster in KUBECONFIG reach this machine',
  oldest: 'beside the cluster in KUBECONFIG no API server of Kubernetes 1.27 is started',
  bare: 'beside the cluster in KUBECONFIG no API server without controllers is started',
} as const;

/** `test`, or `test.concurrent`. */
type Declare = (name: string, body: () => Promise<void>) => void;

/** The cluster of this run of the tests. */
export class Cluster extends Kubectl {
  readonly api: ApiServer;
  private readonly environment: Environment;
  private readonly created: string[] = [];
  private readonly offered: { auditLog?: AuditLog; hostAddress?: string; oldest?: ApiServer; bare?: ApiServer };

  constructor() {
    const environment = getEnvironment();
    const { apiSocket, auditLog, hostAddress, oldestApiSocket, bareApiSocket, runLabel } = environment;
    super(environment.kubectl, environment.kubeconfig);
    this.environment = environment;
    this.api = new ApiServer(apiSocket, runLabel);
    this.offered = {
      auditLog: auditLog ? new AuditLog(auditLog) : undefined,
      hostAddress,
      oldest: oldestApiSocket ? new ApiServer(oldestApiSocket, runLabel) : undefined,
      bare: bareApiSocket ? new ApiServer(bareApiSocket, runLabel) : undefined,
    };
  }

  /** A namespace for one test, with a name of its own. */
  async createNamespace(options?: NamespaceOptions): Promise<Namespace> {
    const name = await this.api.createNamespace(options);
    this.created.push(name);
    return new Namespace(this.environment, this.api, name);
  }

  /** Deletes the namespaces made so far, without waiting: what goes on in them would slow down the tests that follow. */
  async deleteNamespaces(): Promise<void> {
    const names = this.created.splice(0);
    if (names.length > 0) await this.kubectl(['delete', 'namespaces', '--wait=false', ...names]);
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

  /** `test`, where the cluster offers what the test needs; elsewhere the test is reported as skipped, with the reason. */
  testWith(needed: keyof typeof whyMissing, declare: Declare = test): Declare {
    return this.offered[needed] ? declare : (name, body) => test.skip(`${name} [not run: ${whyMissing[needed]}]`, body);
  }

  private need<P extends keyof typeof whyMissing>(part: P): NonNullable<(typeof this.offered)[P]> {
    const value = this.offered[part];
    if (!value) throw new Error(`${whyMissing[part]}; declare this test by cluster.testWith('${part}')`);
    return value;
  }
}
