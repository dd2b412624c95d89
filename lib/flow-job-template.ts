import { type ApiObject, Chart, Duration, Yaml } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { checkDnsLabel } from './_checks';
import { type FlowJob, renderFlowJob } from './_flow-job';
import { addObject, namespaceOf, recommendedLabels } from './_object';
import { refuse } from './_refuse';
import type { ImagePullPolicy } from './container-options';
import type { EnvValue } from './env-value';
import type { InitContainer } from './init-container';
import type { SecretKeyRef } from './key-ref';
import type { PodOptions } from './pod-options';
import type { ContainerResources } from './resources';
import type { Volume } from './volume';

/** What becomes of a flow run whose pod has to leave its node. */
export enum EvictionPolicy {
  /**
   * The pod is not evicted: autoscalers and drains wait for the flow. A drain waits until it is given up; a node that is lost, or a
   * spot instance that is taken back, takes the flow with it.
   */
  PROTECT = 'protect',
  /** The run is set to Failed, with the reason. Needs a `FlowRunSweeper`. */
  FAIL = 'fail',
  /** The run is scheduled again. Its tasks should be idempotent. Needs a `FlowRunSweeper`. */
  RUN_AGAIN = 'run-again',
}

/**
 * Levels of Kubernetes' Pod Security Standards.
 *
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
export enum PodSecurity {
  /** As uid and gid 10001 without any privilege, with a home directory of its own. */
  RESTRICTED = 'restricted',
  /** As the user that the image says, which may be root. */
  BASELINE = 'baseline',
}

/** Properties of `FlowJobTemplate`. */
export interface FlowJobTemplateProps extends PodOptions {
  /**
   * Namespace of the Jobs: that of the agent's `flowNamespace`.
   *
   * @default - the namespace of the chart
   */
  readonly flowNamespace?: string;
  /**
   * Image of flow runs that bring none: Docker storage and `KubernetesRun(image=...)` come first.
   *
   * @default - prefecthq/prefect of the version that registered the flow
   */
  readonly image?: string;
  /**
   * When the image is pulled. `KubernetesRun(image_pull_policy=...)` comes first.
   *
   * @default - Kubernetes': Always for the tag latest, else IfNotPresent
   */
  readonly imagePullPolicy?: ImagePullPolicy;
  /**
   * What a flow run asks for and may use at most. `KubernetesRun(cpu_request=..., memory_limit=...)` and their like replace single
   * values.
   *
   * @default - nothing is asked for
   */
  readonly resources?: ContainerResources;
  /**
   * Environment variables of flow runs. Those of the agent (`flowEnvVars`) and of a flow's run config come first.
   *
   * @default - none
   */
  readonly env?: { [name: string]: EnvValue };
  /**
   * Volumes of flow runs, by name, with where the flow sees them.
   *
   * @default - none
   */
  readonly volumes?: { [name: string]: Volume };
  /**
   * Account of flow runs, in their namespace. `KubernetesRun(service_account_name=...)` comes first.
   *
   * @default - the account `default`
   */
  readonly serviceAccountName?: string;
  /**
   * Whether flow runs get the token of their account, to speak to the Kubernetes API.
   *
   * @default - if `serviceAccountName` is given
   */
  readonly automountServiceAccountToken?: boolean;
  /**
   * Labels of the Jobs, beside those of Prefect and the chart.
   *
   * @default - none
   */
  readonly jobLabels?: { [key: string]: string };
  /**
   * Annotations of the Jobs.
   *
   * @default - none
   */
  readonly jobAnnotations?: { [key: string]: string };
  /**
   * Containers that run, in this order, before the flow.
   *
   * @default - none
   */
  readonly initContainers?: InitContainer[];
  /**
   * Containers that start after the init containers, run beside the flow and end with it. Needs Kubernetes 1.29.
   *
   * @default - none
   * @see https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
   */
  readonly sidecars?: InitContainer[];
  /**
   * How long a finished Job is kept if the agent does not delete it: at least 120 seconds, since the agent looks for failed Jobs
   * once a minute.
   *
   * @default Duration.minutes(10)
   */
  readonly ttlAfterFinished?: Duration;
  /**
   * How long a Job may take. Prefect does not see it as a timeout: the run stays Running until its heartbeat is missed.
   *
   * @default - for ever
   */
  readonly activeDeadline?: Duration;
  /**
   * How long a flow run has between SIGTERM and SIGKILL.
   *
   * @default - Kubernetes': 30 seconds
   */
  readonly terminationGracePeriod?: Duration;
  /**
   * What becomes of a flow run whose pod has to leave its node.
   *
   * @default - what Prefect makes of it: the run stays Running until its heartbeat is missed
   */
  readonly onEviction?: EvictionPolicy;
  /**
   * Requirements that the image's entrypoint installs with pip before the flow starts (`EXTRA_PIP_PACKAGES`).
   *
   * @default - none
   */
  readonly extraPipPackages?: string[];
  /**
   * URL of the package index, from a Secret in the flow namespace: it may have credentials, and is not echoed.
   *
   * @default - PyPI
   */
  readonly pipIndexUrl?: SecretKeyRef;
  /**
   * Level of Pod Security that flow runs meet.
   *
   * @default PodSecurity.RESTRICTED
   */
  readonly podSecurity?: PodSecurity;
  /**
   * Name of the ConfigMap, and beginning of the other names.
   *
   * @default 'prefect-job-template'
   */
  readonly resourceName?: string;
}

/**
 * The Job of every flow run, as far as it is decided on the cluster: the agent fills it in anew for each run, so a change applies to
 * the next one. Give it to a `PrefectAgent` as `jobTemplate`; one without makes a default of its own.
 *
 * What the agent overwrites has no prop here: command line, name, namespace and log level of a flow run.
 *
 * @example
 * const jobTemplate = new FlowJobTemplate(chart, 'Jobs', {
 *   image: 'registry.example/flows:42',
 *   resources: { memoryRequest: Size.gibibytes(2), memoryLimit: Size.gibibytes(2) },
 *   onEviction: EvictionPolicy.PROTECT,
 * });
 * new PrefectAgent(chart, 'Agent', { api, jobTemplate });
 *
 * @see https://docs-v1.prefect.io/orchestration/agents/kubernetes.html#custom-job-template
 */
export class FlowJobTemplate extends Construct {
  /** The ConfigMap, child `Resource`. */
  public readonly configMap: ApiObject;
  /** The PodDisruptionBudget, child `PodDisruptionBudget`, with `EvictionPolicy.PROTECT`. */
  public readonly podDisruptionBudget?: ApiObject;
  /** Name of the ConfigMap. */
  public readonly configMapName: string;
  /** Namespace of the ConfigMap. */
  public readonly namespace: string;
  /** Namespace of the Jobs. */
  public readonly flowNamespace: string;

  /**
   * The template as the agent reads it.
   * @internal
   */
  public readonly _job: FlowJob;

  /**
   * Names of the environment variables that it sets.
   * @internal
   */
  public readonly _envNames: string[];

  /**
   * Key of the ConfigMap.
   * @internal
   */
  public static readonly _FILE = 'job.yaml';

  public constructor(scope: Construct, id: string, props: FlowJobTemplateProps = {}) {
    super(scope, id);
    this.namespace = namespaceOf(this);
    this.flowNamespace = checkDnsLabel(this, 'flowNamespace', props.flowNamespace ?? this.namespace);
    this.configMapName = checkDnsLabel(this, 'resourceName', props.resourceName ?? 'prefect-job-template');
    if (props.onEviction === EvictionPolicy.FAIL || props.onEviction === EvictionPolicy.RUN_AGAIN) {
      refuse(this, {
        prop: 'onEviction',
        value: props.onEviction,
        allowed: 'must be EvictionPolicy.PROTECT: a FlowRunSweeper carries out the others, and this release has none',
        remedy: 'leave it out, or protect the flow runs',
      });
    }
    const stamp = {
      'cdk8s-prefect/job-template': this.configMapName,
      ...(props.onEviction && { 'cdk8s-prefect/on-eviction': props.onEviction }),
    };
    this._job = renderFlowJob(this, props, { ...Chart.of(this).labels, ...stamp }, props.ttlAfterFinished ?? Duration.minutes(10));
    this._envNames = (this._job.spec.template.spec.containers[0]?.env ?? []).map(({ name }) => name);
    const labels = recommendedLabels('prefect-job-template', this.configMapName);

    this.configMap = addObject(
      this,
      'Resource',
      k8s.KubeConfigMap.manifest({
        metadata: { name: this.configMapName, namespace: this.namespace, labels },
        data: { [FlowJobTemplate._FILE]: Yaml.stringify(this._job) },
      }),
    );
    if (props.onEviction === EvictionPolicy.PROTECT) {
      this.podDisruptionBudget = addObject(
        this,
        'PodDisruptionBudget',
        k8s.KubePodDisruptionBudget.manifest({
          metadata: { name: `${this.configMapName}-protect`, namespace: this.flowNamespace, labels },
          spec: {
            // More than there will ever be, so that no healthy one may go: pods of Jobs allow neither maxUnavailable nor percentages.
            minAvailable: k8s.IntOrString.fromNumber(2 ** 31 - 1),
            selector: { matchLabels: stamp },
            unhealthyPodEvictionPolicy: 'AlwaysAllow',
          },
        }),
      );
    }
  }
}
