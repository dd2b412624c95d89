import type { Duration } from 'cdk8s';

/** One of the things that a sweeper puts right: whether it does, and how long it waits. */
export interface SweeperRule {
  /**
   * Whether the sweeper acts by this rule.
   *
   * @default true
   */
  readonly enabled?: boolean;
  /**
   * How long what the rule is about must have lasted, in whole seconds.
   *
   * @default - see the prop of the rule
   */
  readonly after?: Duration;
}

/** How Prometheus gets at a sweeper's metrics. */
export interface SweeperMetrics {
  /**
   * Namespace whose pods may scrape. Needs a network plugin that enforces it.
   *
   * @default - any
   */
  readonly scraperNamespace?: string;
  /**
   * Whether to make a `ServiceMonitor`. Needs the Prometheus Operator.
   *
   * @default false
   * @see https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.ServiceMonitor
   */
  readonly serviceMonitor?: boolean;
  /**
   * Whether to make a `PrometheusRule`, with alerts for a sweeper that is not there, that does not get through, or that meets errors. Needs the
   * Prometheus Operator.
   *
   * @default false
   * @see https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PrometheusRule
   */
  readonly prometheusRule?: boolean;
  /**
   * Labels of both, by which a Prometheus selects them: often `{ release: 'NAME' }`.
   *
   * @default - none
   */
  readonly labels?: { [key: string]: string };
}
