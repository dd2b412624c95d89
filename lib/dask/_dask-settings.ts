import type { k8s } from 'cdk8s-plus-27';
import type { Construct } from 'constructs';
import type { Plain } from '../kubernetes/_manifest';
import { refuse } from '../kubernetes/_refuse';
import { DaskDeployMode, type DaskPodOptions } from './dask-options';

/** The props of a policy with defaults. Times are in seconds. */
export interface DaskSettings {
  readonly deployMode: DaskDeployMode;
  readonly worker: DaskPodOptions;
  readonly scheduler: DaskPodOptions;
  readonly threads: number;
  readonly deathTimeout: number;
  readonly clientTimeout: number;
  readonly idleTimeout?: number;
}

/** The releases that have the classic `KubeCluster` and create objects that today's Kubernetes accepts. */
export function checkDaskKubernetes(where: Construct, prop: string, version: string): void {
  const [, year, month] = /^(\d{4})\.(\d{1,2})\.\d+$/.exec(version)?.map(Number) ?? [];
  const released = year === undefined || month === undefined ? Number.NaN : year * 12 + month;
  if (!(released >= 2022 * 12 + 9 && released <= 2024 * 12 + 4)) {
    refuse(where, {
      prop,
      value: version,
      allowed:
        'must be a release from 2022.9.0 to 2024.4.2: older ones create PodDisruptionBudgets of policy/v1beta1, which Kubernetes 1.25 removed, and newer ones have no classic KubeCluster',
      remedy: `write ${prop.startsWith('extra') ? 'dask-kubernetes==2022.12.0' : "daskKubernetesVersion: '2022.12.0'"} (Python 3.8 and later) or 2024.4.2 (Python 3.9 and later), and install that release in the environment of the flow`,
    });
  }
}

/** The calls that the classic KubeCluster makes: dask_kubernetes/classic/kubecluster.py. */
export function daskRules(deployMode: DaskDeployMode): Plain<k8s.PolicyRule>[] {
  if (deployMode === DaskDeployMode.LOCAL) return [{ apiGroups: [''], resources: ['pods'], verbs: ['create', 'delete'] }];
  return [
    { apiGroups: [''], resources: ['pods', 'services'], verbs: ['create', 'get', 'delete'] },
    { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
    { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: ['create', 'get', 'delete'] },
  ];
}
