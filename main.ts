import { App, Chart } from 'cdk8s';
import { PrefectAgent, PrefectApi, SecretKeyRef } from 'cdk8s-prefect';

const app = new App();
const chart = new Chart(app, 'prefect', { namespace: 'default' });

new PrefectAgent(chart, 'Agent', {
  api: PrefectApi.server({
    // The name of the Service in the Helm chart of Prefect Server.
    url: process.env.PREFECT__CLOUD__API ?? 'http://prefect-apollo.prefect-server:4200',
    apiKey: SecretKeyRef.of('prefect-api-key', 'key'),
  }),
  labels: ['kube'],
});

app.synth();
