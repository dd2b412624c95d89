import { App, Chart, Size } from 'cdk8s';
import { BaseJobTemplate, EnvValue, JobVariable, Prefect3Api, PrefectWorker, SecretKeyRef, WorkPool } from 'cdk8s-prefect';

const app = new App();
const chart = new Chart(app, 'worker', { namespace: 'prefect' });

const api = Prefect3Api.server({
  url: 'http://prefect-server.prefect:4200/api',
  authString: SecretKeyRef.of('prefect-auth', 'auth-string'),
});

const baseJobTemplate = new BaseJobTemplate(chart, 'Template', {
  api,
  flowNamespace: 'flows',
  image: 'registry.example/flows:42',
  resources: { memoryRequest: Size.gibibytes(1), memoryLimit: Size.gibibytes(1) },
  jobVariables: { image: JobVariable.string(), env: JobVariable.map() },
});
const workPool = new WorkPool(chart, 'Pool', { name: 'k8s', baseJobTemplate });

new PrefectWorker(chart, 'Worker', {
  workPool,
  replicas: 2,
  // What flow runs sign in with: a Secret in their namespace.
  flowRunCredentials: SecretKeyRef.of('prefect-flows', 'auth-string'),
  env: { PREFECT_WORKER_QUERY_SECONDS: EnvValue.of('5') },
  egress: [{ cidr: '10.0.0.0/8', ports: [443, 4200] }],
});

app.synth();
