// Objects of cdk8s-plus-27 in one app with the constructs of this library, which take the names of the objects.
import { App, Chart, Size } from 'cdk8s';
import { ConfigMap, Namespace, PersistentVolumeAccessMode, PersistentVolumeClaim, Secret, ServiceAccount } from 'cdk8s-plus-27';
import { ConfigMapKeyRef, EnvValue, FlowJobTemplate, PrefectAgent, PrefectApi, SecretKeyRef, Volume } from 'cdk8s-prefect';

const app = new App();

const namespaces = new Chart(app, 'namespaces');
const namespace = new Namespace(namespaces, 'Prefect', {
  metadata: { name: 'prefect', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
});

const chart = new Chart(app, 'prefect', { namespace: namespace.name });
chart.addDependency(namespaces);

const account = new ServiceAccount(chart, 'FlowAccount', { metadata: { name: 'fraud-flows' } });
const settings = new ConfigMap(chart, 'Settings', { data: { REGION: 'eu-west-1', 'model.toml': 'threshold = 0.8\n' } });
const cache = new PersistentVolumeClaim(chart, 'Cache', {
  accessModes: [PersistentVolumeAccessMode.READ_WRITE_MANY],
  storage: Size.gibibytes(50),
});
// An existing Secret. One with `stringData` would have its values in the manifests.
const database = Secret.fromSecretName(chart, 'Database', 'fraud-database');

const jobTemplate = new FlowJobTemplate(chart, 'Jobs', {
  serviceAccountName: account.name,
  env: {
    REGION: EnvValue.fromConfigMap(ConfigMapKeyRef.of(settings.name, 'REGION')),
    DATABASE_PASSWORD: EnvValue.fromSecret(SecretKeyRef.of(database.name, 'password')),
  },
  volumes: {
    settings: Volume.fromConfigMap(settings.name, { mountPath: '/etc/fraud', items: { 'model.toml': 'model.toml' } }),
    cache: Volume.fromPersistentVolumeClaim(cache.name, { mountPath: '/cache' }),
  },
});

new PrefectAgent(chart, 'Agent', {
  api: PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' }),
  labels: ['fraud'],
  jobTemplate,
});

app.synth();
