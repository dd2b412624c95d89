import { App, Chart } from 'cdk8s';
import { PrefectAgent, PrefectApi, SecretKeyRef } from 'cdk8s-prefect';

const app = new App();
const chart = new Chart(app, 'prefect', { namespace: 'default' });

new PrefectAgent(chart, 'Agent', {
  api: PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: process.env.PREFECT__CLOUD__API }),
  labels: ['kube'],
});

app.synth();
