import type { ApiObject, Duration } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { checkDnsLabel } from './_checks';
import { checkDaskSettings, type DaskSettings, daskRules } from './_dask-settings';
import { addObject, namespaceOf, recommendedLabels } from './_object';
import { DaskDeployMode, type DaskPodOptions } from './dask-options';

/** Properties of `DaskWorkerPolicy`. */
export interface DaskWorkerPolicyProps {
  /**
   * Namespace of the flow runs and their Dask clusters.
   *
   * @default - the namespace of the chart
   */
  readonly flowNamespace?: string;
  /**
   * Where the scheduler runs. `KubeCluster(deploy_mode=...)` in a flow comes first, and then lacks the rights of the other mode.
   *
   * @default DaskDeployMode.REMOTE
   */
  readonly deployMode?: DaskDeployMode;
  /**
   * The workers.
   *
   * @default - as the flow run's pod, without its resources
   */
  readonly worker?: DaskPodOptions;
  /**
   * The scheduler: one whose node goes takes the flow run with it, so prefer stable nodes.
   *
   * @default - as the flow run's pod, without its resources
   */
  readonly scheduler?: DaskPodOptions;
  /**
   * Threads of a worker, each of which runs one task (`--nthreads`).
   *
   * @default 1
   */
  readonly threads?: number;
  /**
   * How long a worker looks for its scheduler before it ends (`--death-timeout`), in whole seconds. One that loses its scheduler
   * later ends at once.
   *
   * @default Duration.seconds(60)
   */
  readonly deathTimeout?: Duration;
  /**
   * How long a scheduler runs on when its flow run has gone, in whole seconds.
   *
   * @default Duration.seconds(60)
   */
  readonly clientTimeout?: Duration;
  /**
   * How long a cluster may be without tasks before it ends (`kubernetes.idle-timeout`), in whole seconds. It ends those of live flow
   * runs too, while they do work that is not in Dask: choose more than the longest such time.
   *
   * @default - for ever: a cluster ends with its flow run
   */
  readonly idleTimeout?: Duration;
  /**
   * Whether only pods of flow runs and of Dask may connect to Dask pods of the namespace: a scheduler runs any code that it is sent.
   * It holds for every Dask pod there, a notebook's too. Needs a network plugin that enforces it.
   *
   * @default true
   * @see https://kubernetes.io/docs/concepts/services-networking/network-policies/
   */
  readonly networkPolicy?: boolean;
  /**
   * Release of dask-kubernetes in the image of the flow runs, from 2022.9.0 to 2024.4.2.
   *
   * @default '2022.12.0'
   */
  readonly daskKubernetesVersion?: string;
  /**
   * Name of the Role and the NetworkPolicy.
   *
   * @default 'prefect-dask'
   */
  readonly resourceName?: string;
}

/** Pods of any Dask cluster: the one label that a flow's own worker template cannot lack. */
const DASK_PODS = { matchExpressions: [{ key: 'dask.org/cluster-name', operator: 'Exists' }] };
const FLOW_RUN_PODS = { matchExpressions: [{ key: 'prefect.io/flow_run_id', operator: 'Exists' }] };

/**
 * Dask clusters that end with their flow run, whatever ends it. For flows with `DaskExecutor` and the classic `KubeCluster` of
 * dask-kubernetes, which need no change: give it to their `FlowJobTemplate` or `FlowRunJob`, whose pods then get the settings, the
 * worker and scheduler templates, and the rights.
 *
 * Scheduler, Service and PodDisruptionBudget belong to the flow run's pod, and go when it goes. So do workers, unless the flow brings
 * a template of its own as `V1Pod` or dict, which no setting reaches; these end with their scheduler, and stay as Completed pods.
 *
 * @example
 * const dask = new DaskWorkerPolicy(chart, 'Dask', {
 *   worker: { resources: { cpuRequest: Cpu.units(1), memoryLimit: Size.gibibytes(4) } },
 *   scheduler: { nodeSelector: { 'example.com/lifecycle': 'on-demand' } },
 * });
 * const jobTemplate = new FlowJobTemplate(chart, 'Jobs', { image: 'registry.example/flows:42', dask });
 *
 * @see https://github.com/dask/dask-kubernetes/blob/2022.12.0/doc/source/kubecluster.rst
 */
export class DaskWorkerPolicy extends Construct {
  /** The Role of flow runs, child `Resource`: exactly the calls that `KubeCluster` makes. */
  public readonly role: ApiObject;
  /** The NetworkPolicy of Dask pods, child `NetworkPolicy`. */
  public readonly networkPolicy?: ApiObject;
  /** The NetworkPolicy of flow runs whose process is the scheduler, child `FlowNetworkPolicy`, with `DaskDeployMode.LOCAL`. */
  public readonly flowNetworkPolicy?: ApiObject;
  /** Name of the Role. */
  public readonly resourceName: string;
  /** Namespace of the flow runs and their Dask clusters. */
  public readonly flowNamespace: string;

  /** @internal */
  public readonly _settings: DaskSettings;

  public constructor(scope: Construct, id: string, props: DaskWorkerPolicyProps = {}) {
    super(scope, id);
    this.flowNamespace = checkDnsLabel(this, 'flowNamespace', props.flowNamespace ?? namespaceOf(this));
    this.resourceName = checkDnsLabel(this, 'resourceName', props.resourceName ?? 'prefect-dask');
    this._settings = checkDaskSettings(this, props);
    const metadata = {
      name: this.resourceName,
      namespace: this.flowNamespace,
      labels: recommendedLabels('prefect-dask', this.resourceName),
    };

    this.role = addObject(this, 'Resource', k8s.KubeRole.manifest({ metadata, rules: daskRules(this._settings.deployMode) }));
    if (props.networkPolicy ?? true) {
      const onlyFromDask = (podSelector: k8s.LabelSelector) => ({
        podSelector,
        policyTypes: ['Ingress'],
        ingress: [{ from: [FLOW_RUN_PODS, DASK_PODS].map((from) => ({ podSelector: from })) }],
      });
      this.networkPolicy = addObject(this, 'NetworkPolicy', k8s.KubeNetworkPolicy.manifest({ metadata, spec: onlyFromDask(DASK_PODS) }));
      if (this._settings.deployMode === DaskDeployMode.LOCAL) {
        this.flowNetworkPolicy = addObject(
          this,
          'FlowNetworkPolicy',
          k8s.KubeNetworkPolicy.manifest({
            metadata: { ...metadata, name: `${this.resourceName}-flows` },
            spec: onlyFromDask({ matchLabels: this._stamp() }),
          }),
        );
      }
    }
  }

  /**
   * Label of flow runs with this policy.
   * @internal
   */
  public _stamp(): { [key: string]: string } {
    return { 'cdk8s-prefect/dask': this.resourceName };
  }
}
