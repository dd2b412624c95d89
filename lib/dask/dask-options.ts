import type { EnvValue } from '../kubernetes/env-value';
import type { PodOptions } from '../kubernetes/pod-options';
import type { ContainerResources } from '../kubernetes/resources';

/** Where the Dask scheduler runs. */
export enum DaskDeployMode {
  /** In a pod of its own. */
  REMOTE = 'remote',
  /** In the process of the flow run. There is no Service and no PodDisruptionBudget, and the cluster starts faster. */
  LOCAL = 'local',
}

/**
 * Options in which a Dask pod differs from the pod of its flow run. `env` is merged with that of the flow run; any other option
 * replaces it.
 */
export interface DaskPodOptions extends PodOptions {
  /**
   * Resource requests and limits of the pod. For workers, the memory limit is also Dask's `--memory-limit`.
   *
   * @default - nothing is asked for
   */
  readonly resources?: ContainerResources;
  /**
   * Environment variables, in addition to those of the flow run's template.
   *
   * @default - none
   */
  readonly env?: { [name: string]: EnvValue };
}
