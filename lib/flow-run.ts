/**
 * The run config of a flow, in the words of `prefect.run_configs.KubernetesRun`. One with `env` alone stands for a `UniversalRun`.
 *
 * @see https://docs-v1.prefect.io/orchestration/flow_config/run_configs.html#kubernetesrun
 */
export interface KubernetesRun {
  /**
   * A Job template of the flow's own. It replaces that of the agent as a whole.
   *
   * @default - the agent's
   */
  readonly jobTemplate?: { [key: string]: unknown };
  /**
   * Image of the run, unless its storage is Docker.
   *
   * @default - the template's
   */
  readonly image?: string;
  /**
   * Environment variables of the run.
   *
   * @default - none
   */
  readonly env?: { [name: string]: string };
  /**
   * CPU limit, as Kubernetes writes it.
   *
   * @default - the template's
   */
  readonly cpuLimit?: string;
  /**
   * CPU request, as Kubernetes writes it.
   *
   * @default - the template's
   */
  readonly cpuRequest?: string;
  /**
   * Memory limit, as Kubernetes writes it.
   *
   * @default - the template's
   */
  readonly memoryLimit?: string;
  /**
   * Memory request, as Kubernetes writes it.
   *
   * @default - the template's
   */
  readonly memoryRequest?: string;
  /**
   * Account of the run.
   *
   * @default - the template's
   */
  readonly serviceAccountName?: string;
  /**
   * Names of pull secrets of the run.
   *
   * @default - the template's
   */
  readonly imagePullSecrets?: string[];
  /**
   * When the image is pulled.
   *
   * @default - the template's
   */
  readonly imagePullPolicy?: string;
}

/** A flow run, as far as its Job depends on it. */
export interface FlowRun {
  /**
   * Id of the flow run.
   *
   * @default - zeros
   */
  readonly id?: string;
  /**
   * Id of the flow.
   *
   * @default - zeros
   */
  readonly flowId?: string;
  /**
   * Version of Prefect that registered the flow.
   *
   * @default '1.4.1'
   */
  readonly coreVersion?: string;
  /**
   * Full name of the image, if the flow's storage is Docker.
   *
   * @default - another storage
   */
  readonly dockerStorageImage?: string;
  /**
   * Its run config.
   *
   * @default - none
   */
  readonly runConfig?: KubernetesRun;
}
