// Step 1 of adopting an existing install: the same objects as from `prefect agent kubernetes install --key KEY --api URL --rbac --label
// kube`. `kubectl diff` must be empty. Then the chart owns them, and nothing restarts.
import { App, Chart } from 'cdk8s';
import { StockPrefectAgent } from 'cdk8s-prefect';

const app = new App();
const chart = new Chart(app, 'prefect', { namespace: 'default' });

new StockPrefectAgent(chart, 'Agent', {
  // In clear, as in the stock install. Read it from the environment, so that it is not in the repository.
  key: process.env.PREFECT__CLOUD__API_KEY,
  api: 'https://prefect.example.com',
  labels: ['kube'],
  rbac: true,
});

app.synth();
