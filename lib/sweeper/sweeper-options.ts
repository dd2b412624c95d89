import type { Duration } from 'cdk8s';

/** A rule of the sweeper: whether it is on, and its delay. */
export interface SweeperRule {
  /**
   * Whether the rule is on.
   *
   * @default true
   */
  readonly enabled?: boolean;
  /**
   * How long the condition must last before the sweeper acts, in whole seconds.
   *
   * @default - see the prop of the rule
   */
  readonly after?: Duration;
}

/** Options of the metrics of a sweeper. */
export interface SweeperMetrics {
  /**
   * Namespace whose pods may read the metrics. Needs a network plugin that enforces NetworkPolicies.
   *
   * @default - any
   */
  readonly scraperNamespace?: string;
  /**
   * Whether to create a `ServiceMonitor`. Needs the Prometheus Operator.
   *
   * @default false
   * @see https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.ServiceMonitor
   */
  readonly serviceMonitor?: boolean;
  /**
   * Whether to create a `PrometheusRule` with alerts: the sweeper is missing or restarts, its passes fail, another sweeper holds the
   * Lease, a rule has errors, or the sweeper cannot tell whether a flow run lives. Needs the Prometheus Operator.
   *
   * @default false
   * @see https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PrometheusRule
   */
  readonly prometheusRule?: boolean;
  /**
   * Labels of both, by which Prometheus selects them, often `{ release: 'NAME' }`.
   *
   * @default - none
   */
  readonly labels?: { [key: string]: string };
}
