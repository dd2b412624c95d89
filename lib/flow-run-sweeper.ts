import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ApiObject, Duration, Size } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { checkPrefectEnv } from './_agent-settings';
import { OWNED_API_ENV, renderApiEnv, renderApiKeyArgs, renderApiKeyFile } from './_api-access';
import { checkDnsLabel, checkFirst, checkWholeSeconds } from './_checks';
import { renderHardenedPod } from './_hardened-pod';
import { renderEgress } from './_network';
import { addObject, namespaceOf, recommendedLabels } from './_object';
import { verbatimPodFields } from './_pod';
import { refuse } from './_refuse';
import { checkMonitoring, renderIngress, SweeperMonitoring } from './_sweeper-monitoring';
import { checkRules, type Rules, renderRuleArgs, rightsOf } from './_sweeper-rules';
import type { ContainerOptions } from './container-options';
import type { EgressRule } from './network';
import type { PodOptions } from './pod-options';
import type { PrefectApi } from './prefect-api';
import { type ContainerResources, Cpu } from './resources';
import type { SweeperMetrics, SweeperRule } from './sweeper-options';

/** Properties of `FlowRunSweeper`. */
export interface FlowRunSweeperProps extends ContainerOptions, PodOptions {
  /** Where Prefect's API is, and how to authenticate: as the agents of the namespaces. */
  readonly api: PrefectApi;
  /**
   * Namespaces of flow runs, the `flowNamespace` of agents. They must exist.
   *
   * @default - the namespace of the chart
   */
  readonly namespaces?: string[];
  /**
   * How long the sweeper rests between two passes, in whole seconds, at most 5 minutes.
   *
   * @default Duration.seconds(30)
   */
  readonly interval?: Duration;
  /**
   * Whether the sweeper only logs what it would do.
   *
   * @default false
   */
  readonly dryRun?: boolean;
  /**
   * A Job whose flow run is finished in Prefect is deleted, with its pods. Before, the agent should have had two of its passes, one a
   * minute: it reports why a pod failed. Jobs that have ended are kept where the agent has `deleteFinishedJobs: false`.
   *
   * @default - after 3 minutes
   */
  readonly finishedJobs?: SweeperRule;
  /**
   * A flow run that stays Cancelling is set to Cancelled, and its Job is deleted.
   *
   * @default - after 5 minutes
   */
  readonly cancellingRuns?: SweeperRule;
  /**
   * A flow run whose pod has not started (image, Secret, ConfigMap, no node for it) is set to Failed with Kubernetes' reason, and its Job
   * is deleted. Counts from when Kubernetes began with the Job. After 10 minutes Lazarus may schedule such a run again, beside it.
   *
   * @default - after 10 minutes
   */
  readonly unstartableJobs?: SweeperRule;
  /**
   * A flow run that is Submitted or Running, shows no life, and whose Job and pods were here and are gone, is set to Failed with the
   * reason; or, with `EvictionPolicy.RUN_AGAIN`, scheduled again. At least 60 seconds: a flow run shows life every 30.
   *
   * @default - after 90 seconds
   */
  readonly lostRuns?: SweeperRule;
  /**
   * A Dask worker pod that has ended is deleted while its flow runs on.
   *
   * @default - at once
   */
  readonly finishedDaskWorkers?: SweeperRule;
  /**
   * Pods, Service and PodDisruptionBudget of a Dask cluster are deleted when the pod of its flow run has ended or is gone.
   *
   * @default - after 1 minute
   */
  readonly orphanedDaskClusters?: SweeperRule;
  /**
   * How Prometheus gets at the sweeper's metrics.
   *
   * @default - nothing may connect to the sweeper
   */
  readonly metrics?: SweeperMetrics;
  /**
   * Name of the Deployment and of what belongs to it, and value of the pods' label `app`.
   *
   * @default 'flow-run-sweeper'
   */
  readonly resourceName?: string;
  /**
   * What the sweeper asks for and may use at most. Replaces the default as a whole.
   *
   * @default - requests 50m CPU, 128Mi memory, 64Mi disk; limits 512Mi memory, 256Mi disk; no CPU limit
   */
  readonly resources?: ContainerResources;
  /**
   * Where the sweeper may connect to, beside DNS: it needs the Kubernetes API and Prefect's.
   *
   * @default - anywhere
   */
  readonly egress?: EgressRule[];
}

const FOLDER = join(__dirname, 'python', 'sweeper');
const PROGRAM = Object.fromEntries(
  readdirSync(FOLDER)
    .filter((file) => file.endsWith('.py'))
    .sort()
    .map((file) => [file, readFileSync(join(FOLDER, file), 'utf8')]),
);
const DEFAULT_RESOURCES: ContainerResources = {
  cpuRequest: Cpu.millis(50),
  memoryRequest: Size.mebibytes(128),
  memoryLimit: Size.mebibytes(512),
  ephemeralStorageRequest: Size.mebibytes(64),
  ephemeralStorageLimit: Size.mebibytes(256),
};
const PORT = 8080;

/**
 * Leaves nothing of flow runs behind, and no flow run Running without a pod: deletes Jobs whose run is finished, ends runs that have lost
 * their Job, whose pod cannot start or that stay Cancelling, and removes what is left of Dask clusters. It acts only on Jobs of a
 * `PrefectAgent` with a `FlowJobTemplate`, and on the Dask clusters of their pods.
 *
 * What it must remember is in a ConfigMap for each namespace, beside it; applying the manifests again leaves that alone.
 *
 * @example
 * const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key') });
 * const jobTemplate = new FlowJobTemplate(chart, 'Jobs', { onEviction: EvictionPolicy.RUN_AGAIN });
 * new PrefectAgent(chart, 'Agent', { api, jobTemplate });
 * new FlowRunSweeper(chart, 'Sweeper', { api });
 *
 * @see https://docs-v1.prefect.io/orchestration/concepts/services.html
 */
export class FlowRunSweeper extends Construct {
  /** The Deployment, child `Resource`. */
  public readonly deployment: ApiObject;
  /** The ConfigMap of the program, child `Program`. */
  public readonly program: ApiObject;
  /** The service account, child `ServiceAccount`. */
  public readonly serviceAccount: ApiObject;
  /** The NetworkPolicy, child `NetworkPolicy`. */
  public readonly networkPolicy: ApiObject;
  /** Name of the Deployment. */
  public readonly resourceName: string;
  /** Namespaces of flow runs. */
  public readonly namespaces: string[];

  public constructor(scope: Construct, id: string, props: FlowRunSweeperProps) {
    super(scope, id);
    const namespace = namespaceOf(this);
    this.resourceName = checkDnsLabel(this, 'resourceName', props.resourceName ?? 'flow-run-sweeper');
    this.namespaces = checkNamespaces(this, props.namespaces ?? [namespace]);
    const rules = checkRules(this, props);
    const selector = { app: this.resourceName };
    const labels = { ...recommendedLabels('flow-run-sweeper', this.resourceName), ...selector };
    const metadata = { name: this.resourceName, labels };
    const programName = `${this.resourceName}-${createHash('sha256').update(JSON.stringify(PROGRAM)).digest('hex').slice(0, 8)}`;
    if (props.metrics) checkMonitoring(this, props.metrics, this.resourceName, labels);
    // Rendered before any object is added: a prop that is refused leaves none behind.
    const template = this.renderPodTemplate(props, namespace, rules, labels, programName);
    const verbatim = verbatimPodFields(this, props);
    const egress = props.egress && renderEgress(this, props.egress);
    const ingress = props.metrics && renderIngress(this, props.metrics, PORT);

    this.serviceAccount = addObject(
      this,
      'ServiceAccount',
      k8s.KubeServiceAccount.manifest({ metadata, automountServiceAccountToken: false }),
    );
    for (const flows of this.namespaces) this.addLedger(flows, metadata, namespace, rightsOf(rules, props.dryRun ?? false));
    this.program = addObject(
      this,
      'Program',
      k8s.KubeConfigMap.manifest({ metadata: { name: programName, labels }, immutable: true, data: PROGRAM }),
    );
    this.networkPolicy = addObject(
      this,
      'NetworkPolicy',
      k8s.KubeNetworkPolicy.manifest({
        metadata,
        spec: { podSelector: { matchLabels: selector }, policyTypes: ['Ingress', ...(egress ? ['Egress'] : [])], ingress, egress },
      }),
    );
    if (props.metrics) new SweeperMonitoring(this, 'Monitoring', { ...props.metrics, metadata, selector, port: PORT });
    const deployment = k8s.KubeDeployment.manifest({
      metadata,
      spec: { replicas: 1, strategy: { type: 'Recreate' }, selector: { matchLabels: selector }, template },
    });
    Object.assign(deployment.spec.template.spec, verbatim);
    this.deployment = addObject(this, 'Resource', deployment);
  }

  /** What the sweeper remembers of a namespace and may do there, in a scope of its name. */
  private addLedger(flows: string, { name, labels }: Metadata, namespace: string, rights: k8s.PolicyRule[]): void {
    const scope = new Construct(this, flows);
    const ledger = `${name}-${flows}`;
    // Without data: what the sweeper writes is its own, and applying the manifest again does not touch it.
    addObject(scope, 'Ledger', k8s.KubeConfigMap.manifest({ metadata: { name: ledger, labels } }));
    const grant = (id: string, metadata: Metadata, rules: k8s.PolicyRule[]) => {
      addObject(scope, `${id}Role`, k8s.KubeRole.manifest({ metadata, rules }));
      addObject(
        scope,
        `${id}RoleBinding`,
        k8s.KubeRoleBinding.manifest({
          metadata,
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name },
          subjects: [{ kind: 'ServiceAccount', name, namespace }],
        }),
      );
    };
    grant('Ledger', { name: `${ledger}-ledger`, labels }, [
      { apiGroups: [''], resources: ['configmaps'], resourceNames: [ledger], verbs: ['get', 'patch'] },
    ]);
    grant('Flows', { name, namespace: flows, labels }, rights);
  }

  private renderPodTemplate(
    props: FlowRunSweeperProps,
    namespace: string,
    rules: Rules,
    labels: Record<string, string>,
    programName: string,
  ): k8s.PodTemplateSpec {
    const { api } = props;
    checkPrefectEnv(this, Object.keys(props.env ?? {}), OWNED_API_ENV);
    const probe = (path: string) => ({ httpGet: { path, port: k8s.IntOrString.fromNumber(PORT) }, timeoutSeconds: 10 });
    return renderHardenedPod(this, props, {
      name: 'sweeper',
      serviceAccountName: this.resourceName,
      labels,
      annotations: {},
      args: [
        'python3',
        '/etc/prefect/sweeper/sweeper.py',
        ...this.namespaces.map((name) => `--namespace=${name}`),
        `--home=${namespace}`,
        `--ledger=${this.resourceName}`,
        `--interval=${checkInterval(this, props.interval ?? Duration.seconds(30))}`,
        `--port=${PORT}`,
        ...renderApiKeyArgs(api),
        ...renderRuleArgs(rules),
        ...(props.dryRun ? ['--dry-run'] : []),
      ],
      env: renderApiEnv(api),
      files: {
        program: { mountPath: '/etc/prefect/sweeper', source: { configMap: { name: programName } } },
        ...renderApiKeyFile(api),
      },
      resources: props.resources ?? DEFAULT_RESOURCES,
      livenessProbe: { ...probe('/healthz'), periodSeconds: 30 },
      readinessProbe: { ...probe('/readyz'), periodSeconds: 10 },
    });
  }
}

interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels: Record<string, string>;
}

function checkNamespaces(where: Construct, namespaces: string[]): string[] {
  if (namespaces.length === 0) {
    refuse(where, { prop: 'namespaces', value: [], allowed: 'must not be empty', remedy: 'name the namespaces of flow runs' });
  }
  for (const [i, name] of namespaces.entries()) {
    checkDnsLabel(where, `namespaces[${i}]`, name);
    checkFirst(where, 'namespaces', namespaces, i);
  }
  return namespaces;
}

function checkInterval(where: Construct, interval: Duration): number {
  const seconds = checkWholeSeconds(where, 'interval', interval);
  if (seconds > 300) {
    refuse(where, {
      prop: 'interval',
      value: `${seconds} s`,
      allowed: 'must be at most 300 seconds: a sweeper without a pass for 15 minutes is restarted',
      remedy: 'choose a shorter time',
    });
  }
  return seconds;
}
