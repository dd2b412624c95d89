// Flows with DaskExecutor and KubeCluster, whose code stays as it is: their clusters end with them, workers may run on spot instances,
// and nobody but flow runs and Dask connects to a scheduler.
import { App, Chart, Duration, Size } from 'cdk8s';
import { Cpu, DaskWorkerPolicy, EnvValue, FlowJobTemplate, PrefectAgent, PrefectApi, SecretKeyRef, TaintEffect } from 'cdk8s-prefect';

const app = new App();
const chart = new Chart(app, 'prefect', { namespace: 'prefect' });

const dask = new DaskWorkerPolicy(chart, 'Dask', {
  worker: {
    resources: { cpuRequest: Cpu.units(2), memoryRequest: Size.gibibytes(8), memoryLimit: Size.gibibytes(8) },
    nodeSelector: { 'example.com/lifecycle': 'spot' },
    tolerations: [{ key: 'spot', effect: TaintEffect.NO_SCHEDULE }],
    env: { OMP_NUM_THREADS: EnvValue.of('1') },
  },
  // One that is taken back takes the flow run with it.
  scheduler: {
    resources: { cpuRequest: Cpu.millis(500), memoryRequest: Size.gibibytes(1), memoryLimit: Size.gibibytes(1) },
    nodeSelector: { 'example.com/lifecycle': 'on-demand' },
  },
  threads: 2,
  deathTimeout: Duration.minutes(2),
});

new PrefectAgent(chart, 'Agent', {
  api: PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key') }),
  labels: ['dask'],
  jobTemplate: new FlowJobTemplate(chart, 'Jobs', {
    dask,
    // With dask-kubernetes in it, which prefecthq/prefect lacks.
    image: 'registry.example/flows-dask:42',
    nodeSelector: { 'example.com/lifecycle': 'on-demand' },
    resources: { cpuRequest: Cpu.millis(500), memoryRequest: Size.gibibytes(1), memoryLimit: Size.gibibytes(1) },
  }),
});

app.synth();
