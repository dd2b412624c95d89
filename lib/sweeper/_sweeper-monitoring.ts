import type { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { PrometheusRule, PrometheusRuleSpecGroupsRulesExpr, ServiceMonitor } from '../../imports/monitoring.coreos.com';
import { checkDnsLabel, checkLabels } from '../kubernetes/_checks';
import { manifest, type Plain } from '../kubernetes/_manifest';
import { addObject, namespaceOf } from '../kubernetes/_object';
import { refuseOwn } from '../kubernetes/_pod';
import { refuse, type Where } from '../kubernetes/_refuse';
import type { SweeperMetrics } from './sweeper-options';

interface SweeperMonitoringProps extends SweeperMetrics {
  readonly metadata: { readonly name: string; readonly labels: Record<string, string> };
  readonly selector: Record<string, string>;
  readonly port: number;
}

/** The sources that may connect to the metrics port of the sweeper. */
export function renderIngress(where: Where, { scraperNamespace }: SweeperMetrics, port: number): Plain<k8s.NetworkPolicyIngressRule>[] {
  const from = scraperNamespace !== undefined && [
    {
      namespaceSelector: {
        matchLabels: { 'kubernetes.io/metadata.name': checkDnsLabel(where, 'metrics.scraperNamespace', scraperNamespace) },
      },
    },
  ];
  return [{ ...(from && { from }), ports: [{ protocol: 'TCP', port }] }];
}

export function checkMonitoring(where: Where, { labels = {} }: SweeperMetrics, name: string, own: Record<string, string>): void {
  checkLabels(where, 'metrics.labels', labels);
  refuseOwn(where, 'metrics.labels', labels, own);
  if (!/^[a-z]/.test(name)) {
    refuse(where, {
      prop: 'resourceName',
      value: name,
      allowed: 'must begin with a letter with metrics: it names a Service',
      remedy: `write for example sweeper-${name}`,
    });
  }
}

/** The objects that tell Prometheus where the metrics of a sweeper are, and when to alert. */
export class SweeperMonitoring extends Construct {
  public constructor(scope: Construct, id: string, props: SweeperMonitoringProps) {
    super(scope, id);
    const { metadata, selector, port } = props;
    const ports = [{ name: 'metrics', port, targetPort: port }];
    // Pods of flow runs may have the label `app` from their chart, but not this one.
    const pods = { ...selector, 'app.kubernetes.io/name': 'flow-run-sweeper' };
    addObject(this, 'Service', manifest('v1', 'Service', { metadata, spec: { selector: pods, ports } }));
    const monitoring = { ...metadata, labels: { ...props.labels, ...metadata.labels } };
    if (props.serviceMonitor) {
      const spec = { selector: { matchLabels: selector }, endpoints: [{ port: 'metrics' }] };
      addObject(this, 'ServiceMonitor', ServiceMonitor.manifest({ metadata: monitoring, spec }));
    }
    if (props.prometheusRule) {
      addObject(
        this,
        'PrometheusRule',
        PrometheusRule.manifest({ metadata: monitoring, spec: { groups: [alerts(metadata.name, namespaceOf(this))] } }),
      );
    }
  }
}

/**
 * The alerts on the metrics of `program/signs.py`. Prometheus adds the labels `job`, the name of the Service, and `namespace`, the
 * namespace of the pod. The rules use no templates in double braces, because `helm template` would evaluate them.
 */
function alerts(name: string, namespace: string) {
  const labels = { severity: 'warning' };
  const expr = (promql: string) => PrometheusRuleSpecGroupsRulesExpr.fromString(promql);
  // Another team may have a sweeper of the same name.
  const of = (metric: string) => `${metric}{job="${name}",namespace="${namespace}"}`;
  const last = of('flow_run_sweeper_last_success_timestamp_seconds');
  return {
    name,
    rules: [
      {
        alert: 'FlowRunSweeperMissing',
        expr: expr(`absent(${last})`),
        for: '5m',
        labels,
        annotations: {
          summary: 'No flow run sweeper is there to be scraped in the label namespace: what flow runs leave behind stays.',
        },
      },
      {
        // A sweeper in a crash loop may be scraped between two crashes. It is then neither missing nor late.
        alert: 'FlowRunSweeperRestarts',
        expr: expr(`changes(${of('process_start_time_seconds')}[30m]) > 2`),
        labels,
        annotations: {
          summary:
            'The flow run sweeper in the label namespace has started again more than twice in half an hour: see the log of its last container.',
        },
      },
      {
        alert: 'FlowRunSweeperDoesNotGetThrough',
        expr: expr(`time() - ${last} > 900`),
        for: '5m',
        labels,
        annotations: {
          summary:
            'No pass over the namespace in the label flow_namespace has succeeded for 15 minutes: what flow runs leave behind there stays.',
        },
      },
      {
        alert: 'FlowRunSweeperHeldByAnother',
        expr: expr(`${of('flow_run_sweeper_held_by_another')} > 0`),
        for: '15m',
        labels,
        annotations: {
          summary: 'Another sweeper holds the Lease of the namespace in the label flow_namespace: this one does nothing there.',
        },
      },
      {
        alert: 'FlowRunSweeperErrors',
        expr: expr(`increase(${of('flow_run_sweeper_errors_total')}[30m]) > 0`),
        for: '30m',
        labels,
        annotations: { summary: 'The rule of the flow run sweeper in the label rule fails again and again: see its log.' },
      },
      {
        alert: 'FlowRunSweeperCannotTell',
        expr: expr(`${of('flow_run_sweeper_cannot_tell_runs')} > 0`),
        for: '5m',
        labels,
        annotations: {
          summary: 'Flow runs of the namespace in the label flow_namespace may be lost, the sweeper cannot tell: see its log.',
        },
      },
    ],
  };
}
