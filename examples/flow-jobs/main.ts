// Three kinds of flow runs. Each has an agent that takes them by their label, and a Job template of its own.
import { App, Chart, Duration, Size } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import { Cpu, EnvValue, EvictionPolicy, FlowJobTemplate, PrefectAgent, PrefectApi, SecretKeyRef, TaintEffect } from 'cdk8s-prefect';

const app = new App();
const api = PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' });
const chart = new Chart(app, 'prefect', { namespace: 'prefect' });

// A pool of GPU nodes. A taint keeps other pods away from it.
new PrefectAgent(chart, 'Gpu', {
  api,
  resourceName: 'prefect-gpu',
  labels: ['gpu'],
  jobTemplate: new FlowJobTemplate(chart, 'GpuJobs', {
    resourceName: 'gpu-jobs',
    image: 'registry.example/flows-cuda:42',
    nodeSelector: { 'example.com/pool': 'gpu' },
    tolerations: [{ key: 'nvidia.com/gpu', effect: TaintEffect.NO_SCHEDULE }],
    resources: {
      cpuRequest: Cpu.units(4),
      memoryRequest: Size.gibibytes(16),
      memoryLimit: Size.gibibytes(16),
      extendedResources: { 'nvidia.com/gpu': 1 },
    },
    podSpec: { runtimeClassName: 'nvidia' },
  }),
});

// A team with its own namespace, image, service account and database. It cannot reach the Secrets of the agent.
const team = new Chart(app, 'fraud', { namespace: 'fraud' });
new k8s.KubeNamespace(team, 'Namespace', {
  metadata: { name: 'fraud', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
});
new k8s.KubeServiceAccount(team, 'Account', { metadata: { name: 'fraud-flows' } });
chart.addDependency(team);

new PrefectAgent(chart, 'Fraud', {
  api,
  resourceName: 'prefect-fraud',
  labels: ['fraud'],
  flowNamespace: 'fraud',
  jobTemplate: new FlowJobTemplate(chart, 'FraudJobs', {
    resourceName: 'fraud-jobs',
    flowNamespace: 'fraud',
    image: 'registry.example/fraud/flows:7',
    imagePullSecrets: ['registry'],
    serviceAccountName: 'fraud-flows',
    env: { DATABASE_URL: EnvValue.fromSecret(SecretKeyRef.of('database', 'url')) },
    extraPipPackages: ['scikit-learn>=1.2,<2'],
    pipIndexUrl: SecretKeyRef.of('pip', 'index-url'),
  }),
});

// Flows that run for hours and must not be moved. Autoscalers and drains wait for them, for at most a day.
new PrefectAgent(chart, 'Long', {
  api,
  resourceName: 'prefect-long',
  labels: ['long'],
  jobTemplate: new FlowJobTemplate(chart, 'LongJobs', {
    resourceName: 'long-jobs',
    onEviction: EvictionPolicy.PROTECT,
    activeDeadline: Duration.days(1),
    resources: { cpuRequest: Cpu.units(1), memoryRequest: Size.gibibytes(4), memoryLimit: Size.gibibytes(4) },
  }),
});

app.synth();
