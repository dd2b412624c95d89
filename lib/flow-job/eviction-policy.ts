/**
 * What happens to a flow run whose pod has to leave its node. With Prefect 1, `FAIL` and `RUN_AGAIN` need a `FlowRunSweeper` for the
 * namespace, which acts about two minutes later. Without a sweeper they change nothing. With Prefect 3 the flow run acts itself.
 */
export enum EvictionPolicy {
  /**
   * The pod is not evicted: autoscalers and drains wait until the flow ends. When a node is lost or a spot instance is taken back, the
   * run is lost, as with `FAIL`.
   */
  PROTECT = 'protect',
  /**
   * The sweeper sets the run to Failed, with the reason (Prefect 1), or the worker's observer sets it to Crashed (Prefect 3). With
   * Prefect 1 it needs a `FlowRunSweeper`.
   */
  FAIL = 'fail',
  /**
   * The run is scheduled again. Prefect skips tasks whose results it kept and runs all others again, so they should be idempotent. With
   * Prefect 1 it needs a `FlowRunSweeper`.
   */
  RUN_AGAIN = 'run-again',
}
