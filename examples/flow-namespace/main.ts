// An agent whose flow runs have a namespace of their own. Everyone who may create Jobs in a namespace can read its Secrets, so flows
// cannot reach the Secrets of the agent. The agent has a Role in the flow namespace and no permission in its own.
import { App, Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import { DebugConfig, LogLevel, PrefectAgent, PrefectApi, SecretKeyRef } from 'cdk8s-prefect';

const app = new App();

const namespaces = new Chart(app, 'namespaces');
new k8s.KubeNamespace(namespaces, 'Prefect', {
  metadata: { name: 'prefect', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
});
new k8s.KubeNamespace(namespaces, 'Flows', {
  metadata: { name: 'flows', labels: { 'pod-security.kubernetes.io/enforce': 'baseline' } },
});

const chart = new Chart(app, 'prefect', { namespace: 'prefect' });
chart.addDependency(namespaces);

new PrefectAgent(chart, 'Agent', {
  api: PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200', apiKey: SecretKeyRef.of('prefect-api-key', 'key') }),
  labels: ['kube'],
  flowNamespace: 'flows',
  debug: new DebugConfig(chart, 'Debug', { flowLevel: LogLevel.DEBUG }),
});

app.synth();
