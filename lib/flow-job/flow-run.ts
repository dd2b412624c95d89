/**
 * The run config of a flow, with the fields of `prefect.run_configs.KubernetesRun`. A `UniversalRun` has `env` only.
 *
 * @see https://docs-v1.prefect.io/orchestration/flow_config/run_configs.html#kubernetesrun
 */
export interface KubernetesRun {
  /**
   * A Job template of the flow itself. It replaces the whole template of the agent.
   *
   * @default - the agent's
   */
  readonly jobTemplate?: { [key: string]: unknown };
  /**
   * Image of the run. Docker storage overrides it.
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
   * CPU limit as in Kubernetes, for example `500m`.
   *
   * @default - the template's
   */
  readonly cpuLimit?: string;
  /**
   * CPU request as in Kubernetes, for example `500m`.
   *
   * @default - the template's
   */
  readonly cpuRequest?: string;
  /**
   * Memory limit as in Kubernetes, for example `2Gi`.
   *
   * @default - the template's
   */
  readonly memoryLimit?: string;
  /**
   * Memory request as in Kubernetes, for example `2Gi`.
   *
   * @default - the template's
   */
  readonly memoryRequest?: string;
  /**
   * Service account of the run.
   *
   * @default - the template's
   */
  readonly serviceAccountName?: string;
  /**
   * Names of image pull Secrets of the run.
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

/** The properties of a flow run that its Job depends on. */
export interface FlowRun {
  /**
   * Id of the flow run: a UUID.
   *
   * @default - zeros
   */
  readonly id?: string;
  /**
   * Name of the flow run, which is an annotation of its pod.
   *
   * @default - no annotation
   */
  readonly name?: string;
  /**
   * Name of the flow, which is an annotation of its pod.
   *
   * @default - no annotation
   */
  readonly flowName?: string;
  /**
   * Id of the flow: a UUID.
   *
   * @default - zeros
   */
  readonly flowId?: string;
  /**
   * Version of Prefect with which the flow was registered.
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
   * The run config of the flow run.
   *
   * @default - none
   */
  readonly runConfig?: KubernetesRun;
}
