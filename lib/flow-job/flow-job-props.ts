import type { Duration } from 'cdk8s';
import type { DaskWorkerPolicy } from '../dask/dask-worker-policy';
import type { SecretKeyRef } from '../kubernetes/key-ref';
import type { FlowJobOptions } from './flow-job-options';

/** Options of the Job of a Prefect 1 flow run, in the template of an agent or of a single run. */
export interface FlowJobProps extends FlowJobOptions {
  /**
   * How long Kubernetes keeps a finished Job that the agent does not delete: at least 120 seconds, because the agent checks for failed
   * Jobs once a minute.
   *
   * @default Duration.minutes(10)
   */
  readonly ttlAfterFinished?: Duration;
  /**
   * How long a Job may take. Prefect does not treat this as a timeout: the run stays Running until its heartbeat is missed.
   *
   * @default - for ever
   */
  readonly activeDeadline?: Duration;
  /**
   * Whether the status of a failed pod has the end of its containers' logs (`terminationMessagePolicy: FallbackToLogsOnError`). A pod
   * may fail before Prefect starts, for example in pip or an import. The agent then writes the last line into the log of the flow run:
   * at most 200 characters, without credentials in URLs. It writes nothing with `sendFlowRunLogs: false`.
   *
   * @default true
   * @see https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
   */
  readonly terminationMessageFromLog?: boolean;
  /**
   * Requirements that the entrypoint of the image installs with pip before the flow starts (`EXTRA_PIP_PACKAGES`). The shell treats
   * extras and `==1.*` as file patterns. A file in the working directory with a matching name (`pandas3` for `pandas[s3]`) replaces
   * them.
   *
   * @default - none
   */
  readonly extraPipPackages?: string[];
  /**
   * The Secret with the URL of the package index, in the flow namespace. The URL may have credentials: pip masks them in its log.
   *
   * @default - PyPI
   */
  readonly pipIndexUrl?: SecretKeyRef;
  /**
   * Policy for the Dask clusters that flow runs start. It gives flow runs the permission to create them, and mounts the token of the
   * service account. Dask pods have no sidecars. Of the run config of a flow they take only the image.
   *
   * @default - what dask-kubernetes makes of them: without rights, they do not start
   */
  readonly dask?: DaskWorkerPolicy;
}
