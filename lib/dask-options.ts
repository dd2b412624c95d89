import type { EnvValue } from './env-value';
import type { PodOptions } from './pod-options';
import type { ContainerResources } from './resources';

/** Where the scheduler of a Dask cluster runs. */
export enum DaskDeployMode {
  /** In a pod of its own. */
  REMOTE = 'remote',
  /** In the flow run's process: no Service and no PodDisruptionBudget, and less to start. */
  LOCAL = 'local',
}

/**
 * What a Dask pod has otherwise than its flow run's pod. `env` is beside the flow run's; any other option replaces the flow run's of
 * the same name.
 */
export interface DaskPodOptions extends PodOptions {
  /**
   * What the pod asks for and may use at most. Of workers, the memory limit is Dask's `--memory-limit` too.
   *
   * @default - nothing is asked for
   */
  readonly resources?: ContainerResources;
  /**
   * Environment variables, beside those of the flow run's template.
   *
   * @default - none
   */
  readonly env?: { [name: string]: EnvValue };
}
