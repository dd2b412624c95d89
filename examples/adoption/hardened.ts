// Step 2 of adopting an existing install: the hardened agent under the same names, so that it replaces the stock one in place.
// Create the Secret with the API key first:
//   kubectl create secret generic prefect-api-key --namespace default --from-literal=key="$PREFECT__CLOUD__API_KEY"
import { App, Chart } from 'cdk8s';
import { PrefectAgent, PrefectApi, SecretKeyRef } from 'cdk8s-prefect';

const app = new App();
const chart = new Chart(app, 'prefect', { namespace: 'default' });

new PrefectAgent(chart, 'Agent', {
  api: PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://prefect.example.com' }),
  labels: ['kube'],
});

app.synth();
