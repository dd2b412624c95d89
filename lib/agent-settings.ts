import type { Duration } from 'cdk8s';

/** What the agent itself may be told, in Prefect's own terms: the options of `prefect agent kubernetes start`. */
export interface AgentSettings {
  /**
   * Labels of the agent: it takes the flow runs whose labels are all among these.
   *
   * @default - none: the agent takes flow runs without labels
   * @see https://docs-v1.prefect.io/orchestration/agents/overview.html#labels
   */
  readonly labels?: string[];
  /**
   * Name of the agent in Prefect, and of its logger.
   *
   * @default 'agent'
   */
  readonly name?: string;
  /**
   * Id of an agent configuration in Prefect Cloud, for its automations: a UUID.
   *
   * @default - none
   */
  readonly agentConfigId?: string;
  /**
   * Environment variables of every flow run. A flow's own run config may override them.
   *
   * @default - none
   * @see https://docs-v1.prefect.io/orchestration/agents/overview.html#environment-variables
   */
  readonly flowEnvVars?: { [name: string]: string };
  /**
   * Whether the agent deletes Jobs that are finished. Jobs that fail are reported in either case.
   *
   * @default true
   */
  readonly deleteFinishedJobs?: boolean;
  /**
   * Whether the logs of flow runs are sent to Prefect. A flow run may turn it off, never on.
   *
   * @default true
   */
  readonly sendFlowRunLogs?: boolean;
  /**
   * Whether connections to the Kubernetes API are kept alive. Without it, a connection that a firewall dropped while it was idle
   * blocks the agent for ever (PrefectHQ/prefect#5066), which is why the default is not Prefect's.
   *
   * @default true
   */
  readonly kubernetesKeepAlive?: boolean;
  /**
   * How long one request to Prefect's API may take: 1 to 30 seconds.
   *
   * @default - Prefect's: 15 seconds
   */
  readonly requestTimeout?: Duration;
  /**
   * Format of the agent's log, in the %-style of Python's logging.
   *
   * @default - Prefect's: '[%(asctime)s] %(levelname)s - %(name)s | %(message)s'
   * @see https://docs.python.org/3/library/logging.html#logrecord-attributes
   */
  readonly logFormat?: string;
}
