import { type ApiObject, Duration } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { checkDnsLabel, checkWholeSeconds } from '../kubernetes/_checks';
import { checkProps } from '../kubernetes/_guard';
import { manifest, type Plain } from '../kubernetes/_manifest';
import { addObject, namespaceOf, recommendedLabels } from '../kubernetes/_object';
import { refuse } from '../kubernetes/_refuse';
import { checkDaskKubernetes, type DaskSettings, daskRules } from './_dask-settings';
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
   * Where the scheduler runs. `KubeCluster(deploy_mode=...)` in a flow overrides it, but then lacks the permissions of the other mode.
   *
   * @default DaskDeployMode.REMOTE
   */
  readonly deployMode?: DaskDeployMode;
  /**
   * Options of the worker pods.
   *
   * @default - as the flow run's pod, without its resources
   */
  readonly worker?: DaskPodOptions;
  /**
   * Options of the scheduler pod. The flow run fails when the scheduler is lost, so prefer stable nodes.
   *
   * @default - as the flow run's pod, without its resources
   */
  readonly scheduler?: DaskPodOptions;
  /**
   * Threads of a worker (`--nthreads`). Each runs one task at a time.
   *
   * @default 1
   */
  readonly threads?: number;
  /**
   * How long a worker waits for its scheduler before it exits (`--death-timeout`), in whole seconds. A worker that loses its scheduler
   * later exits immediately.
   *
   * @default Duration.seconds(60)
   */
  readonly deathTimeout?: Duration;
  /**
   * How long a scheduler continues after its flow run is gone, in whole seconds.
   *
   * @default Duration.seconds(60)
   */
  readonly clientTimeout?: Duration;
  /**
   * How long a cluster may be without tasks before it ends (`kubernetes.idle-timeout`), in whole seconds. This counts even while the
   * flow run itself works outside of Dask, so choose more than the longest such time.
   *
   * @default - for ever: a cluster ends with its flow run
   */
  readonly idleTimeout?: Duration;
  /**
   * Whether only pods of flow runs and of Dask may connect to Dask pods of the namespace, because a scheduler runs any code that it
   * receives. This also applies to Dask pods of notebooks. Needs a network plugin that enforces NetworkPolicies.
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
 * Dask clusters that end with their flow run, whatever ends it. Give it to the `FlowJobTemplate` or `FlowRunJob` of flows with
 * `DaskExecutor` and the classic `KubeCluster` of dask-kubernetes. Flow runs then get the settings, the worker and scheduler templates,
 * and the permissions. The code of the flows stays the same.
 *
 * The pod of the flow run owns scheduler, workers, Service and PodDisruptionBudget, so Kubernetes deletes them with it. Only workers
 * whose template the flow brings itself, as `V1Pod` or dict, have no owner. They exit with their scheduler and stay as Completed pods.
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
  /** The NetworkPolicy of flow runs that run their own scheduler, child `FlowNetworkPolicy`. Only with `DaskDeployMode.LOCAL`. */
  public readonly flowNetworkPolicy?: ApiObject;
  /** Name of the Role. */
  public readonly resourceName: string;
  /** Namespace of the flow runs and their Dask clusters. */
  public readonly flowNamespace: string;

  /** @internal */
  public readonly _settings: DaskSettings;

  public constructor(scope: Construct, id: string, props: DaskWorkerPolicyProps = {}) {
    super(scope, id);
    props = checkProps(this, 'DaskWorkerPolicyProps', props);
    this.flowNamespace = checkDnsLabel(this, 'flowNamespace', props.flowNamespace ?? namespaceOf(this));
    this.resourceName = checkDnsLabel(this, 'resourceName', props.resourceName ?? 'prefect-dask');
    this._settings = checkDaskSettings(this, props);
    const metadata = {
      name: this.resourceName,
      namespace: this.flowNamespace,
      labels: recommendedLabels('prefect-dask', this.resourceName),
    };

    this.role = addObject(
      this,
      'Resource',
      manifest('rbac.authorization.k8s.io/v1', 'Role', { metadata, rules: daskRules(this._settings.deployMode) }),
    );
    if (props.networkPolicy ?? true) {
      const onlyFromDask = (podSelector: Plain<k8s.LabelSelector>) => ({
        podSelector,
        policyTypes: ['Ingress'],
        ingress: [{ from: [FLOW_RUN_PODS, DASK_PODS].map((from) => ({ podSelector: from })) }],
      });
      this.networkPolicy = addObject(
        this,
        'NetworkPolicy',
        manifest('networking.k8s.io/v1', 'NetworkPolicy', { metadata, spec: onlyFromDask(DASK_PODS) }),
      );
      if (this._settings.deployMode === DaskDeployMode.LOCAL) {
        this.flowNetworkPolicy = addObject(
          this,
          'FlowNetworkPolicy',
          manifest('networking.k8s.io/v1', 'NetworkPolicy', {
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

function checkDaskSettings(where: Construct, props: DaskWorkerPolicyProps): DaskSettings {
  const { threads = 1, deathTimeout = Duration.seconds(60), clientTimeout = Duration.seconds(60), idleTimeout } = props;
  checkDaskKubernetes(where, 'daskKubernetesVersion', props.daskKubernetesVersion ?? '2022.12.0');
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
    refuse(where, {
      prop: 'threads',
      value: threads,
      allowed: 'must be a whole number from 1 to 1024',
      remedy: 'write for example threads: 2',
    });
  }
  return {
    deployMode: props.deployMode ?? DaskDeployMode.REMOTE,
    worker: props.worker ?? {},
    scheduler: props.scheduler ?? {},
    threads,
    deathTimeout: checkWholeSeconds(where, 'deathTimeout', deathTimeout),
    clientTimeout: checkWholeSeconds(where, 'clientTimeout', clientTimeout),
    idleTimeout: idleTimeout && checkWholeSeconds(where, 'idleTimeout', idleTimeout),
  };
}
