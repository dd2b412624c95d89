import type { Duration } from 'cdk8s';

/** Settings of the agent: the options of `prefect agent kubernetes start`. */
export interface AgentSettings {
  /**
   * Labels of the agent. It takes the flow runs whose labels are all among these. An agent with labels ignores flow runs without
   * labels; an agent without labels takes only those.
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
   * Id of an agent configuration in Prefect Cloud 1, for automations: a UUID.
   *
   * @default - none
   */
  readonly agentConfigId?: string;
  /**
   * Environment variables of every flow run. The run config of a flow overrides them.
   *
   * @default - none
   * @see https://docs-v1.prefect.io/orchestration/agents/overview.html#environment-variables
   */
  readonly flowEnvVars?: { [name: string]: string };
  /**
   * Whether the agent deletes finished Jobs. It reports failed Jobs in either case.
   *
   * @default true
   */
  readonly deleteFinishedJobs?: boolean;
  /**
   * Whether to send the logs of flow runs to Prefect. A flow run can turn this off, but not on.
   *
   * @default true
   */
  readonly sendFlowRunLogs?: boolean;
  /**
   * Whether to send TCP keep-alive packets on connections to the Kubernetes API. Without them, the agent hangs when a firewall drops an
   * idle connection (PrefectHQ/prefect#5066). So the default differs from Prefect's.
   *
   * @default true
   */
  readonly kubernetesKeepAlive?: boolean;
  /**
   * Timeout of one request to Prefect's API: 1 to 30 seconds.
   *
   * @default - Prefect's: 15 seconds
   */
  readonly requestTimeout?: Duration;
  /**
   * Log format of the agent, in the %-style of Python's logging.
   *
   * @default - Prefect's: '[%(asctime)s] %(levelname)s - %(name)s | %(message)s'
   * @see https://docs.python.org/3/library/logging.html#logrecord-attributes
   */
  readonly logFormat?: string;
}
