import { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { PrometheusRule, PrometheusRuleSpecGroupsRulesExpr, ServiceMonitor } from '../imports/monitoring.coreos.com';
import { checkDnsLabel, checkLabels } from './_checks';
import { addObject } from './_object';
import { refuseOwn } from './_pod';
import { refuse, type Where } from './_refuse';
import type { SweeperMetrics } from './sweeper-options';

interface SweeperMonitoringProps extends SweeperMetrics {
  readonly metadata: { readonly name: string; readonly labels: Record<string, string> };
  readonly selector: Record<string, string>;
  readonly port: number;
}

/** Who may connect to the sweeper: those who scrape. */
export function renderIngress(where: Where, { scraperNamespace }: SweeperMetrics, port: number): k8s.NetworkPolicyIngressRule[] {
  const from = scraperNamespace !== undefined && [
    {
      namespaceSelector: {
        matchLabels: { 'kubernetes.io/metadata.name': checkDnsLabel(where, 'metrics.scraperNamespace', scraperNamespace) },
      },
    },
  ];
  return [{ ...(from && { from }), ports: [{ protocol: 'TCP', port: k8s.IntOrString.fromNumber(port) }] }];
}

export function checkMonitoring(where: Where, { labels = {} }: SweeperMetrics, name: string, own: Record<string, string>): void {
  checkLabels(where, 'metrics.labels', labels);
  refuseOwn(where, 'metrics.labels', labels, own);
  if (!/^[a-z]/.test(name)) {
    refuse(where, {
      prop: 'resourceName',
      value: name,
      allowed: 'must begin with a letter with metrics: it names a Service',
      remedy: 'choose such a name',
    });
  }
}

/** What tells Prometheus where the metrics of a sweeper are, and when to alert. */
export class SweeperMonitoring extends Construct {
  public constructor(scope: Construct, id: string, props: SweeperMonitoringProps) {
    super(scope, id);
    const { metadata, selector, port } = props;
    const ports = [{ name: 'metrics', port, targetPort: k8s.IntOrString.fromNumber(port) }];
    addObject(this, 'Service', k8s.KubeService.manifest({ metadata, spec: { selector, ports } }));
    const monitoring = { ...metadata, labels: { ...props.labels, ...metadata.labels } };
    if (props.serviceMonitor) {
      const spec = { selector: { matchLabels: selector }, endpoints: [{ port: 'metrics' }] };
      addObject(this, 'ServiceMonitor', ServiceMonitor.manifest({ metadata: monitoring, spec }));
    }
    if (props.prometheusRule) {
      addObject(this, 'PrometheusRule', PrometheusRule.manifest({ metadata: monitoring, spec: { groups: [alerts(metadata.name)] } }));
    }
  }
}

/** The metrics are those of `python/sweeper/signs.py`; `job` is the name of the Service. */
function alerts(name: string) {
  const labels = { severity: 'warning' };
  const expr = (promql: string) => PrometheusRuleSpecGroupsRulesExpr.fromString(promql);
  const last = `flow_run_sweeper_last_success_timestamp_seconds{job="${name}"}`;
  return {
    name,
    rules: [
      {
        alert: 'FlowRunSweeperMissing',
        expr: expr(`absent(${last})`),
        for: '5m',
        labels,
        annotations: { summary: 'No flow run sweeper is there to be scraped: what flow runs leave behind stays.' },
      },
      {
        alert: 'FlowRunSweeperDoesNotGetThrough',
        expr: expr(`time() - ${last} > 900`),
        for: '5m',
        labels,
        annotations: {
          summary: 'No pass over {{ $labels.flow_namespace }} has succeeded for 15 minutes: what flow runs leave behind there stays.',
        },
      },
      {
        alert: 'FlowRunSweeperErrors',
        expr: expr(`increase(flow_run_sweeper_errors_total{job="${name}"}[30m]) > 0`),
        for: '30m',
        labels,
        annotations: { summary: 'The rule {{ $labels.rule }} of the flow run sweeper fails again and again: see its log.' },
      },
    ],
  };
}
