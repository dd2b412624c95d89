/** A flow run of a deployment, as far as the Job that a worker makes of it depends on it. Names are of ASCII, without `&`. */
export interface WorkerFlowRun {
  /**
   * Id of the flow run.
   *
   * @default - zeros
   */
  readonly id?: string;
  /**
   * Name of the flow run, of which Prefect makes that of the Job.
   *
   * @default 'flow-run'
   */
  readonly name?: string;
  /**
   * Id of the flow.
   *
   * @default - zeros
   */
  readonly flowId?: string;
  /**
   * Name of the flow.
   *
   * @default 'flow'
   */
  readonly flowName?: string;
  /**
   * Id of the deployment.
   *
   * @default - zeros
   */
  readonly deploymentId?: string;
  /**
   * Name of the deployment.
   *
   * @default 'deployment'
   */
  readonly deploymentName?: string;
  /**
   * Id of the work pool.
   *
   * @default - zeros
   */
  readonly workPoolId?: string;
  /**
   * Name of the work pool.
   *
   * @default 'work-pool'
   */
  readonly workPoolName?: string;
  /**
   * Id of the worker.
   *
   * @default - zeros
   */
  readonly workerId?: string;
  /**
   * Name of the worker.
   *
   * @default 'worker'
   */
  readonly workerName?: string;
  /**
   * Release of Prefect that the worker runs, with Python 3.11.
   *
   * @default '3.9.1'
   */
  readonly prefectVersion?: string;
}
