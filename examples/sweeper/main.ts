// Flow runs that may be evicted, a sweeper that schedules them again and deletes leftovers, and its alerts and dashboard. Needs the
// Prometheus Operator, and Grafana's sidecar that loads ConfigMaps with the label grafana_dashboard.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, Chart, Duration } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import { DaskWorkerPolicy, EvictionPolicy, FlowJobTemplate, FlowRunSweeper, PrefectAgent, PrefectApi } from 'cdk8s-prefect';

const app = new App();
const api = PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' });
const chart = new Chart(app, 'prefect', { namespace: 'prefect' });

new PrefectAgent(chart, 'Agent', {
  api,
  jobTemplate: new FlowJobTemplate(chart, 'Jobs', {
    image: 'registry.example/flows:42',
    onEviction: EvictionPolicy.RUN_AGAIN,
    dask: new DaskWorkerPolicy(chart, 'Dask'),
  }),
});

new FlowRunSweeper(chart, 'Sweeper', {
  api,
  unstartableJobs: { after: Duration.minutes(5) },
  metrics: { scraperNamespace: 'monitoring', serviceMonitor: true, prometheusRule: true, labels: { release: 'kube-prometheus' } },
});

const monitoring = new Chart(app, 'monitoring', { namespace: 'monitoring' });
new k8s.KubeConfigMap(monitoring, 'Dashboard', {
  metadata: { name: 'prefect-flow-run-sweeper', labels: { grafana_dashboard: '1' } },
  data: { 'prefect-flow-run-sweeper.json': readFileSync(join(__dirname, 'dashboard.json'), 'utf8') },
});

app.synth();
