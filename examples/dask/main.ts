// Flows with DaskExecutor and KubeCluster. Their clusters end with them, workers may run on spot instances, and only flow runs and Dask
// can connect to a scheduler. The code of the flows stays the same.
import { App, Chart, Duration, Size } from 'cdk8s';
import { Cpu, DaskWorkerPolicy, EnvValue, FlowJobTemplate, PrefectAgent, PrefectApi, TaintEffect } from 'cdk8s-prefect';

const app = new App();
const chart = new Chart(app, 'prefect', { namespace: 'prefect' });

const dask = new DaskWorkerPolicy(chart, 'Dask', {
  worker: {
    resources: { cpuRequest: Cpu.units(2), memoryRequest: Size.gibibytes(8), memoryLimit: Size.gibibytes(8) },
    nodeSelector: { 'example.com/lifecycle': 'spot' },
    tolerations: [{ key: 'spot', effect: TaintEffect.NO_SCHEDULE }],
    env: { OMP_NUM_THREADS: EnvValue.of('1') },
  },
  // If its node is lost, the flow run fails.
  scheduler: {
    resources: { cpuRequest: Cpu.millis(500), memoryRequest: Size.gibibytes(1), memoryLimit: Size.gibibytes(1) },
    nodeSelector: { 'example.com/lifecycle': 'on-demand' },
  },
  threads: 2,
  deathTimeout: Duration.minutes(2),
});

new PrefectAgent(chart, 'Agent', {
  api: PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' }),
  labels: ['dask'],
  jobTemplate: new FlowJobTemplate(chart, 'Jobs', {
    dask,
    // An image with dask-kubernetes, which prefecthq/prefect does not have.
    image: 'registry.example/flows-dask:42',
    nodeSelector: { 'example.com/lifecycle': 'on-demand' },
    resources: { cpuRequest: Cpu.millis(500), memoryRequest: Size.gibibytes(1), memoryLimit: Size.gibibytes(1) },
  }),
});

app.synth();
