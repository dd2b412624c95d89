import { type ApiObject, Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { checkConfigMapSize, checkDnsLabel } from './_checks';
import { FlowDask } from './_dask-files';
import { type FlowJob, renderFlowJob } from './_flow-job';
import { addObject, namespaceOf, recommendedLabels } from './_object';
import { stringifyYaml } from './_yaml';
import type { FlowJobProps } from './flow-job-props';

/**
 * What becomes of a flow run whose pod has to leave its node. `FAIL` and `RUN_AGAIN` are labels of the Job that a `FlowRunSweeper` for
 * its namespace carries out, about two minutes later: without one they change nothing.
 */
export enum EvictionPolicy {
  /**
   * The pod is not evicted: autoscalers and drains wait for the flow. A drain waits until it is given up; a node that is lost, or a
   * spot instance that is taken back, takes the flow with it, as with `FAIL`.
   */
  PROTECT = 'protect',
  /** The run is set to Failed, with the reason. Needs a `FlowRunSweeper`. */
  FAIL = 'fail',
  /**
   * The run is scheduled again; tasks that had succeeded and whose results are kept are not run again. Those that ran should be
   * idempotent. Needs a `FlowRunSweeper`.
   */
  RUN_AGAIN = 'run-again',
}

/** What autoscalers look at. */
const PROTECTED = {
  'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
  'karpenter.sh/do-not-disrupt': 'true',
};

/** Properties of `FlowJobTemplate`. */
export interface FlowJobTemplateProps extends FlowJobProps {
  /**
   * Namespace of the Jobs: that of the agent's `flowNamespace`.
   *
   * @default - the namespace of the chart
   */
  readonly flowNamespace?: string;
  /**
   * What becomes of a flow run whose pod has to leave its node.
   *
   * @default - the run stays Running until its heartbeat is missed; with a `FlowRunSweeper`, as `EvictionPolicy.FAIL`
   */
  readonly onEviction?: EvictionPolicy;
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
  /** The account of flow runs, child `Dask/ServiceAccount`, with a policy for Dask and no account given. */
  public readonly serviceAccount?: ApiObject;
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
    const stamp = {
      'cdk8s-prefect/job-template': this.configMapName,
      ...(props.onEviction && { 'cdk8s-prefect/on-eviction': props.onEviction }),
    };
    const own = {
      labels: { ...Chart.of(this).labels, ...stamp },
      podAnnotations: props.onEviction === EvictionPolicy.PROTECT ? PROTECTED : {},
      flowNamespace: this.flowNamespace,
      resourceName: this.configMapName,
    };
    this._job = renderFlowJob(this, props, own);
    this._envNames = (this._job.spec.template.spec.containers[0]?.env ?? []).map(({ name }) => name);
    const labels = recommendedLabels('prefect-job-template', this.configMapName);
    const yaml = stringifyYaml(this._job);
    checkConfigMapSize(this, 'the Job template', yaml);
    this.serviceAccount = props.dask && new FlowDask(this, props.dask, props, own).serviceAccount;

    this.configMap = addObject(
      this,
      'Resource',
      k8s.KubeConfigMap.manifest({
        metadata: { name: this.configMapName, namespace: this.namespace, labels },
        data: { [FlowJobTemplate._FILE]: yaml },
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
