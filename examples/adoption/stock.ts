// Step 1 of adopting an existing install: the same objects that `prefect agent kubernetes install --key KEY --rbac --label kube`
// made, from code. `kubectl diff` must be empty; then the chart owns them and nothing was restarted.
import { App, Chart } from 'cdk8s';
import { StockPrefectAgent } from 'cdk8s-prefect';

const app = new App();
const chart = new Chart(app, 'prefect', { namespace: 'default' });

new StockPrefectAgent(chart, 'Agent', {
  // In clear, as the install has it: read from the environment, so that at least the repository does not.
  key: process.env.PREFECT__CLOUD__API_KEY,
  labels: ['kube'],
  rbac: true,
});

app.synth();
