import { type ApiObject, Duration, Size } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { checkDnsLabel, checkFirst, checkWholeSeconds, showDuration } from '../kubernetes/_checks';
import { checkProps } from '../kubernetes/_guard';
import { type PodTemplate, renderHardenedPod } from '../kubernetes/_hardened-pod';
import { manifest, type Plain } from '../kubernetes/_manifest';
import { renderEgress } from '../kubernetes/_network';
import { addObject, namespaceOf, recommendedLabels } from '../kubernetes/_object';
import { verbatimPodFields } from '../kubernetes/_pod';
import { addDeployment, addFiles, addNetworkPolicy, nameOfFiles } from '../kubernetes/_program';
import { refuse } from '../kubernetes/_refuse';
import { declareSwept } from '../kubernetes/_swept';
import { factsOf } from '../kubernetes/_warnings';
import type { ContainerOptions } from '../kubernetes/container-options';
import type { EgressRule } from '../kubernetes/network';
import type { PodOptions } from '../kubernetes/pod-options';
import { type ContainerResources, Cpu } from '../kubernetes/resources';
import { OWNED_API_ENV, renderApiEnv, renderApiKeyArgs, renderApiKeyFile, warnOfApi } from '../prefect-api/_api-access';
import { checkPrefectEnv, checkPrefectImage, PREFECT_IMAGE } from '../prefect-api/_checks';
import type { PrefectApi } from '../prefect-api/prefect-api';
import { PROGRAMS } from './_embedded';
import { checkMonitoring, renderIngress, SweeperMonitoring } from './_sweeper-monitoring';
import { checkRules, type Rules, renderRuleArgs, rightsOf } from './_sweeper-rules';
import type { SweeperMetrics, SweeperRule } from './sweeper-options';

/** Properties of `FlowRunSweeper`. */
export interface FlowRunSweeperProps extends ContainerOptions, PodOptions {
  /** The Prefect API and how to authenticate. Use the value of the agents of the namespaces. */
  readonly api: PrefectApi;
  /**
   * Namespaces of flow runs: the `flowNamespace` of agents. They must exist.
   *
   * @default - the namespace of the chart
   */
  readonly namespaces?: string[];
  /**
   * Time between two passes, in whole seconds, at most 5 minutes.
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
   * Deletes the Job of a flow run that is finished in Prefect, with its pods. Leave the agent time for two of its passes, one each
   * minute, because it reports why a pod failed. Ended Jobs stay if the agent has `deleteFinishedJobs: false`.
   *
   * @default - after 3 minutes
   */
  readonly finishedJobs?: SweeperRule;
  /**
   * Sets a flow run that stays Cancelling to Cancelled, and deletes its Job.
   *
   * @default - after 5 minutes
   */
  readonly cancellingRuns?: SweeperRule;
  /**
   * Sets a flow run whose pod has not started (image, Secret, ConfigMap, no node for it) to Failed with the reason of Kubernetes, and
   * deletes its Job. From 60 seconds to 12 hours. The time starts when the sweeper first sees the condition, and again after progress.
   * All in all it takes at most three times as long. After 10 minutes Lazarus may schedule a second run.
   *
   * @default - after 10 minutes
   */
  readonly unstartableJobs?: SweeperRule;
  /**
   * Sets a flow run to Failed with the reason, or schedules it again with `EvictionPolicy.RUN_AGAIN`. The run is Submitted or Running,
   * and its process is known to have ended; or its Job and pods are gone, and the heartbeat that the sweeper saw for minutes has stopped.
   * From 60 seconds to 12 hours: a flow run sends a heartbeat every 30 seconds. It takes longer while Prefect may retry a task, or while
   * a pod is terminating.
   *
   * @default - after 90 seconds
   */
  readonly lostRuns?: SweeperRule;
  /**
   * How often the sweeper schedules a flow run with `EvictionPolicy.RUN_AGAIN` again: 1 to 100 times. After that, it sets the run to
   * Failed.
   *
   * @default 10
   */
  readonly runAgainLimit?: number;
  /**
   * Deletes the pod of a Dask worker that has ended.
   *
   * @default - at once
   */
  readonly finishedDaskWorkers?: SweeperRule;
  /**
   * Deletes the pods, Service and PodDisruptionBudget of a Dask cluster when the pod of its flow run has ended or is gone.
   *
   * @default - after 1 minute
   */
  readonly orphanedDaskClusters?: SweeperRule;
  /**
   * Lets Prometheus read the metrics of the sweeper.
   *
   * @default - nothing may connect to the sweeper
   */
  readonly metrics?: SweeperMetrics;
  /**
   * Name of the Deployment, and value of the pods' label `app`. The names of the other objects begin with it.
   *
   * @default 'flow-run-sweeper'
   */
  readonly resourceName?: string;
  /**
   * Resource requests and limits of the sweeper. They replace the whole default.
   *
   * @default - requests 50m CPU, 128Mi memory, 64Mi disk; limits 512Mi memory, 256Mi disk; no CPU limit
   */
  readonly resources?: ContainerResources;
  /**
   * Where the sweeper may connect to. It needs the Kubernetes API and Prefect's API. DNS is always allowed.
   *
   * @default - anywhere
   */
  readonly egress?: EgressRule[];
}

const DEFAULT_RESOURCES: ContainerResources = {
  cpuRequest: Cpu.millis(50),
  memoryRequest: Size.mebibytes(128),
  memoryLimit: Size.mebibytes(512),
  ephemeralStorageRequest: Size.mebibytes(64),
  ephemeralStorageLimit: Size.mebibytes(256),
};
const PORT = 8080;

/**
 * Ends flow runs that lost their pod, cannot start or stay Cancelling, and deletes the Jobs, pods and Dask clusters that they leave
 * behind. It handles only Jobs of a `PrefectAgent` with a `FlowJobTemplate`, and the Dask clusters of their pods.
 *
 * It keeps its state in one ConfigMap for each namespace. Applying the manifests again does not change that state.
 *
 * @example
 * const api = PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' });
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
    props = checkProps(this, 'FlowRunSweeperProps', props);
    const namespace = namespaceOf(this);
    this.resourceName = checkDnsLabel(this, 'resourceName', props.resourceName ?? 'flow-run-sweeper');
    this.namespaces = checkNamespaces(this, props.namespaces ?? [namespace]);
    const rules = checkRules(this, props);
    const selector = { app: this.resourceName };
    const labels = { ...recommendedLabels('flow-run-sweeper', this.resourceName), ...selector };
    const metadata = { name: this.resourceName, labels };
    const programName = nameOfFiles(this.resourceName, PROGRAMS);
    if (props.metrics) checkMonitoring(this, props.metrics, this.resourceName, labels);
    // Rendered before any object is added, so that an invalid prop leaves no objects behind.
    const template = this.renderPodTemplate(props, namespace, rules, labels, programName);
    const verbatim = verbatimPodFields(this, props);
    const egress = props.egress && renderEgress(this, props.egress);
    const ingress = props.metrics && renderIngress(this, props.metrics, PORT);

    this.serviceAccount = addObject(
      this,
      'ServiceAccount',
      manifest('v1', 'ServiceAccount', { metadata, automountServiceAccountToken: false }),
    );
    for (const flows of this.namespaces) {
      this.addLedger(flows, metadata, namespace, rightsOf(rules, props.dryRun ?? false));
      for (const rule of ['lostRuns', 'unstartableJobs'] as const) {
        if (rules[rule] !== undefined && !props.dryRun) declareSwept(this, flows, rule);
      }
    }
    const program = { ...metadata, selector };
    this.program = addFiles(this, 'Program', programName, labels, PROGRAMS);
    this.networkPolicy = addNetworkPolicy(this, program, ingress, egress);
    if (props.metrics) new SweeperMonitoring(this, 'Monitoring', { ...props.metrics, metadata, selector, port: PORT });
    this.deployment = addDeployment(this, program, { ...template, spec: { ...template.spec, ...verbatim } });
    factsOf(this).sweepers.push({ scope: this, namespaces: this.namespaces, endsLostRuns: rules.lostRuns !== undefined });
    warnOfApi(this, props.api);
  }

  /** The ledger and the permissions for one namespace, in a scope with its name. */
  private addLedger(flows: string, { name, labels }: Metadata, namespace: string, rights: Plain<k8s.PolicyRule>[]): void {
    const scope = new Construct(this, flows);
    const ledger = `${name}-ledger-${flows}`;
    // The manifest has no data, so applying it again does not change the data of the sweeper.
    addObject(scope, 'Ledger', manifest('v1', 'ConfigMap', { metadata: { name: ledger, labels } }));
    const grant = (id: string, metadata: Metadata, rules: Plain<k8s.PolicyRule>[]) => {
      addObject(scope, `${id}Role`, manifest('rbac.authorization.k8s.io/v1', 'Role', { metadata, rules }));
      addObject(
        scope,
        `${id}RoleBinding`,
        manifest('rbac.authorization.k8s.io/v1', 'RoleBinding', {
          metadata,
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name },
          subjects: [{ kind: 'ServiceAccount', name, namespace }],
        }),
      );
    };
    grant('Ledger', { name: ledger, labels }, [
      { apiGroups: [''], resources: ['configmaps'], resourceNames: [ledger], verbs: ['get', 'patch'] },
    ]);
    // The name contains the namespace, because cdk8s can write a file for each resource, named by kind and name.
    grant('Flows', { name: `${name}-${flows}`, namespace: flows, labels }, rights);
  }

  private renderPodTemplate(
    props: FlowRunSweeperProps,
    namespace: string,
    rules: Rules,
    labels: Record<string, string>,
    programName: string,
  ): PodTemplate {
    const { api } = props;
    checkPrefectEnv(this, Object.keys(props.env ?? {}), OWNED_API_ENV);
    const probe = (path: string) => ({ httpGet: { path, port: PORT }, timeoutSeconds: 10 });
    return renderHardenedPod(this, props, {
      name: 'sweeper',
      serviceAccountName: this.resourceName,
      labels,
      annotations: {},
      args: [
        'python3',
        '/etc/prefect/sweeper/sweeper.py',
        // Its own namespace is that of its pod, so that kustomize can move it. The names of objects keep the one of the chart.
        ...this.namespaces.map((name) => `--namespace=${name === namespace ? '$(POD_NAMESPACE)' : name}`),
        '--home=$(POD_NAMESPACE)',
        `--home-in-names=${namespace}`,
        `--ledger=${this.resourceName}`,
        `--interval=${checkInterval(this, props.interval ?? Duration.seconds(30))}`,
        `--port=${PORT}`,
        '--pod-uid=$(POD_UID)',
        `--run-again-limit=${checkRunAgainLimit(this, props.runAgainLimit ?? 10)}`,
        ...renderApiKeyArgs(api),
        ...renderRuleArgs(rules),
        ...(props.dryRun ? ['--dry-run'] : []),
      ],
      image: checkPrefectImage(this, 'image', props.image ?? PREFECT_IMAGE),
      env: [
        ...renderApiEnv(api),
        { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
        { name: 'POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
      ],
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
    refuse(where, {
      prop: 'namespaces',
      value: [],
      allowed: 'must not be empty',
      remedy: "name the namespaces of flow runs, for example namespaces: ['flows']",
    });
  }
  for (const [i, name] of namespaces.entries()) {
    checkDnsLabel(where, `namespaces[${i}]`, name);
    checkFirst(where, 'namespaces', namespaces, i);
  }
  return namespaces;
}

function checkRunAgainLimit(where: Construct, limit: number): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) {
    refuse(where, {
      prop: 'runAgainLimit',
      given: String(limit),
      allowed: 'must be a whole number from 1 to 100',
      remedy: 'use EvictionPolicy.FAIL for flow runs that must not run again',
    });
  }
  return limit;
}

function checkInterval(where: Construct, interval: Duration): number {
  const seconds = checkWholeSeconds(where, 'interval', interval);
  if (seconds > 300) {
    refuse(where, {
      prop: 'interval',
      given: showDuration(interval),
      allowed: 'must be at most 300 seconds: a sweeper without a pass for 15 minutes is restarted',
      remedy: 'write for example Duration.seconds(30)',
    });
  }
  return seconds;
}
