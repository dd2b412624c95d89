import { App, Chart, Duration, Size } from 'cdk8s';
import { BaseJobTemplate, Cpu, EnvValue, EvictionPolicy, JobVariable, Prefect3Api, SecretKeyRef, WorkPool } from 'cdk8s-prefect';

const app = new App();
const chart = new Chart(app, 'prefect3', { namespace: 'prefect' });

const api = Prefect3Api.server({
  url: 'http://prefect-server.prefect:4200/api',
  authString: SecretKeyRef.of('prefect-auth', 'auth-string'),
});

const baseJobTemplate = new BaseJobTemplate(chart, 'Template', {
  api,
  flowNamespace: 'flows',
  image: 'registry.example/flows:42',
  resources: { cpuRequest: Cpu.millis(500), memoryRequest: Size.gibibytes(2), memoryLimit: Size.gibibytes(2) },
  // What deployments may say. The rest is locked.
  jobVariables: {
    image: JobVariable.string({ pattern: '^registry\\.example/' }),
    memory_limit: JobVariable.choice(['2Gi', '8Gi'], { description: 'Memory of a flow run.' }),
    env: JobVariable.map(),
    team: JobVariable.choice(['fraud', 'risk'], { required: true }),
  },
  env: { TEAM: EnvValue.of('{{ team }}') },
  nodeSelector: { 'example.com/team': '{{ team }}' },
  onEviction: EvictionPolicy.RUN_AGAIN,
  ttlAfterFinished: Duration.hours(2),
});

new WorkPool(chart, 'Pool', { name: 'k8s', baseJobTemplate });

app.synth();
