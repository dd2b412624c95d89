import type { Duration } from 'cdk8s';
import type { ImagePullPolicy } from './container-options';
import type { DaskWorkerPolicy } from './dask-worker-policy';
import type { EnvValue } from './env-value';
import type { InitContainer } from './init-container';
import type { SecretKeyRef } from './key-ref';
import type { PodOptions } from './pod-options';
import type { ContainerResources } from './resources';
import type { Volume } from './volume';

/**
 * Levels of Kubernetes' Pod Security Standards.
 *
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
export enum PodSecurity {
  /** As uid and gid 10001 without any privilege, with a home directory of its own. */
  RESTRICTED = 'restricted',
  /** As the user that the image says, which may be root. */
  BASELINE = 'baseline',
}

/** What may be said of the Job of a flow run, be it an agent's template or one run alone. */
export interface FlowJobProps extends PodOptions {
  /**
   * Image of flow runs that bring none: Docker storage and `KubernetesRun(image=...)` come first.
   *
   * @default - prefecthq/prefect of the version that registered the flow
   */
  readonly image?: string;
  /**
   * When the image is pulled. `KubernetesRun(image_pull_policy=...)` comes first.
   *
   * @default - Kubernetes': Always for the tag latest, else IfNotPresent
   */
  readonly imagePullPolicy?: ImagePullPolicy;
  /**
   * What a flow run asks for and may use at most. `KubernetesRun(cpu_request=..., memory_limit=...)` and their like replace single
   * values.
   *
   * @default - nothing is asked for
   */
  readonly resources?: ContainerResources;
  /**
   * Environment variables of flow runs. Those of the agent (`flowEnvVars`) and of a flow's run config come first.
   *
   * @default - none
   */
  readonly env?: { [name: string]: EnvValue };
  /**
   * Volumes of flow runs, by name, with where the flow sees them.
   *
   * @default - none
   */
  readonly volumes?: { [name: string]: Volume };
  /**
   * Account of flow runs, in their namespace. `KubernetesRun(service_account_name=...)` comes first.
   *
   * @default - the account `default`; with `dask`, one is made
   */
  readonly serviceAccountName?: string;
  /**
   * Whether flow runs get the token of their account, to speak to the Kubernetes API.
   *
   * @default - if `serviceAccountName` or `dask` is given
   */
  readonly automountServiceAccountToken?: boolean;
  /**
   * Labels of the Jobs, beside those of Prefect and the chart.
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
   * Containers that run, in this order, before the flow.
   *
   * @default - none
   */
  readonly initContainers?: InitContainer[];
  /**
   * Containers that start after the init containers, run beside the flow and end with it. Needs Kubernetes 1.29.
   *
   * @default - none
   * @see https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
   */
  readonly sidecars?: InitContainer[];
  /**
   * How long a finished Job is kept if the agent does not delete it: at least 120 seconds, since the agent looks for failed Jobs
   * once a minute.
   *
   * @default Duration.minutes(10)
   */
  readonly ttlAfterFinished?: Duration;
  /**
   * How long a Job may take. Prefect does not see it as a timeout: the run stays Running until its heartbeat is missed.
   *
   * @default - for ever
   */
  readonly activeDeadline?: Duration;
  /**
   * How long a flow run has between SIGTERM and SIGKILL.
   *
   * @default - Kubernetes': 30 seconds
   */
  readonly terminationGracePeriod?: Duration;
  /**
   * Requirements that the image's entrypoint installs with pip before the flow starts (`EXTRA_PIP_PACKAGES`). To its shell, extras
   * and `==1.*` are patterns: a file of the image's working directory that is named like one (`pandas3` for `pandas[s3]`) is taken
   * instead.
   *
   * @default - none
   */
  readonly extraPipPackages?: string[];
  /**
   * URL of the package index, from a Secret in the flow namespace: it may have credentials, which pip masks in its log.
   *
   * @default - PyPI
   */
  readonly pipIndexUrl?: SecretKeyRef;
  /**
   * What becomes of the Dask clusters that flow runs start. Their account then may create them, and its token is mounted. Sidecars
   * are not in Dask pods, and neither is what a flow's run config sets, but for the image.
   *
   * @default - what dask-kubernetes makes of them: without rights, they do not start
   */
  readonly dask?: DaskWorkerPolicy;
  /**
   * Level of Pod Security that flow runs meet.
   *
   * @default PodSecurity.RESTRICTED
   */
  readonly podSecurity?: PodSecurity;
}
