import { Duration } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import type { Construct } from 'constructs';
import { checkWholeSeconds } from './_checks';
import { refuse } from './_refuse';
import { DaskDeployMode, type DaskPodOptions } from './dask-options';
import type { DaskWorkerPolicyProps } from './dask-worker-policy';

/** A policy with its defaults; times in seconds. */
export interface DaskSettings {
  readonly deployMode: DaskDeployMode;
  readonly worker: DaskPodOptions;
  readonly scheduler: DaskPodOptions;
  readonly threads: number;
  readonly deathTimeout: number;
  readonly clientTimeout: number;
  readonly idleTimeout?: number;
}

export function checkDaskSettings(where: Construct, props: DaskWorkerPolicyProps): DaskSettings {
  const { threads = 1, deathTimeout = Duration.seconds(60), clientTimeout = Duration.seconds(60), idleTimeout } = props;
  checkDaskKubernetes(where, 'daskKubernetesVersion', props.daskKubernetesVersion ?? '2022.12.0');
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
    refuse(where, { prop: 'threads', value: threads, allowed: 'must be a whole number from 1 to 1024', remedy: 'choose such a number' });
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

/** The releases whose `KubeCluster` is the classic one and makes what today's Kubernetes takes. */
export function checkDaskKubernetes(where: Construct, prop: string, version: string): void {
  const [, year, month] = /^(\d{4})\.(\d{1,2})\.\d+$/.exec(version)?.map(Number) ?? [];
  const released = year === undefined || month === undefined ? Number.NaN : year * 12 + month;
  if (!(released >= 2022 * 12 + 9 && released <= 2024 * 12 + 4)) {
    refuse(where, {
      prop,
      value: version,
      allowed:
        'must be a release from 2022.9.0 to 2024.4.2: older ones make PodDisruptionBudgets of policy/v1beta1, which Kubernetes 1.25 removed, and newer ones have no classic KubeCluster',
      remedy: 'put such a release into the image, for example 2022.12.0 (Python 3.8 and later) or 2024.4.2 (Python 3.9 and later)',
    });
  }
}

/** The calls that the classic KubeCluster makes: dask_kubernetes/classic/kubecluster.py. */
export function daskRules(deployMode: DaskDeployMode): k8s.PolicyRule[] {
  if (deployMode === DaskDeployMode.LOCAL) return [{ apiGroups: [''], resources: ['pods'], verbs: ['create', 'delete'] }];
  return [
    { apiGroups: [''], resources: ['pods', 'services'], verbs: ['create', 'get', 'delete'] },
    { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
    { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: ['create', 'get', 'delete'] },
  ];
}
