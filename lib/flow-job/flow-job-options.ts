import type { Duration } from 'cdk8s';
import type { ImagePullPolicy } from '../kubernetes/container-options';
import type { EnvFrom } from '../kubernetes/env-from';
import type { EnvValue } from '../kubernetes/env-value';
import type { InitContainer } from '../kubernetes/init-container';
import type { PodOptions } from '../kubernetes/pod-options';
import type { ContainerResources } from '../kubernetes/resources';
import type { Volume } from '../kubernetes/volume';

/**
 * Levels of Kubernetes' Pod Security Standards.
 *
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
export enum PodSecurity {
  /** Uid and gid 10001, no privileges, and a home directory of its own. */
  RESTRICTED = 'restricted',
  /** The user of the image, which may be root. */
  BASELINE = 'baseline',
}

/** Options of the Job of a flow run, for Prefect 1 and Prefect 3. */
export interface FlowJobOptions extends PodOptions {
  /**
   * Image of the flow container. With Prefect 1, Docker storage and `KubernetesRun(image=...)` override it.
   *
   * @default - prefecthq/prefect, of the version that registered the flow (Prefect 1) or that the worker runs (Prefect 3)
   */
  readonly image?: string;
  /**
   * When the image is pulled. With Prefect 1, `KubernetesRun(image_pull_policy=...)` overrides it.
   *
   * @default - Kubernetes': Always for the tag latest, else IfNotPresent
   */
  readonly imagePullPolicy?: ImagePullPolicy;
  /**
   * Resource requests and limits of the flow container. With Prefect 1, `KubernetesRun(cpu_request=..., memory_limit=...)` and similar
   * arguments override single values.
   *
   * @default - nothing is asked for
   */
  readonly resources?: ContainerResources;
  /**
   * Environment variables of the flow container. With Prefect 1, those of the agent (`flowEnvVars`) and of the run config override
   * them.
   *
   * @default - none
   */
  readonly env?: { [name: string]: EnvValue };
  /**
   * Secrets and ConfigMaps of which every key is an environment variable. Those of `env`, and those that the construct sets, come first.
   *
   * @default - none
   */
  readonly envFrom?: EnvFrom[];
  /**
   * Volumes of the flow container with their mount paths, by name.
   *
   * @default - none
   */
  readonly volumes?: { [name: string]: Volume };
  /**
   * Service account of flow runs, in their namespace. With Prefect 1, `KubernetesRun(service_account_name=...)` overrides it.
   *
   * @default - the account `default`; with a policy for Dask, one is made
   */
  readonly serviceAccountName?: string;
  /**
   * Whether to mount the token of the service account, for flows that use the Kubernetes API.
   * If it is set, it also decides for Prefect 1 flows whose run config names an account.
   *
   * @default - if `serviceAccountName` or a policy for Dask is given
   */
  readonly automountServiceAccountToken?: boolean;
  /**
   * Labels of the Jobs, in addition to those of Prefect and the chart.
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
   * Containers that run before the flow container, in this order.
   *
   * @default - none
   */
  readonly initContainers?: InitContainer[];
  /**
   * Containers that start after the init containers, run next to the flow container and end with it. Needs Kubernetes 1.29.
   *
   * @default - none
   * @see https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
   */
  readonly sidecars?: InitContainer[];
  /**
   * Time between SIGTERM and SIGKILL, in whole seconds.
   *
   * @default - Kubernetes': 30 seconds
   */
  readonly terminationGracePeriod?: Duration;
  /**
   * Pod Security level of the pods of flow runs.
   *
   * @default PodSecurity.RESTRICTED
   */
  readonly podSecurity?: PodSecurity;
}
