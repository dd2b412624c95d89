import { ApiObject, App, Chart } from 'cdk8s';
import { Construct } from 'constructs';
import { DaskWorkerPolicy, FlowJobTemplate, Manifests, PrefectAgent, PrefectApi, SecretKeyRef } from '../lib';
import { newChart } from './support';

const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key') });

function agentChart(): Chart {
  const chart = newChart('prefect');
  new PrefectAgent(chart, 'Agent', { api, flowNamespace: 'flows' });
  return chart;
}

test('the manifests are those that cdk8s writes', () => {
  const chart = agentChart();
  expect(Manifests.of(chart).all).toEqual(chart.toJson());
});
test('those of an app are of all its charts', () => {
  const app = new App();
  new ApiObject(new Chart(app, 'a'), 'Resource', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } });
  const outer = new Chart(app, 'b', { namespace: 'b' });
  const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' } };
  new ApiObject(new Chart(outer, 'c', { namespace: 'c' }), 'Resource', config);
  new ApiObject(outer, 'Resource', config);
  expect(Manifests.of(app).names().sort()).toEqual(['ConfigMap b/c', 'ConfigMap c/c', 'Namespace a']);
  expect(Manifests.of(outer).names().sort()).toEqual(['ConfigMap b/c', 'ConfigMap c/c']);
});
test('what is neither a chart nor an app is refused', () => {
  const agent = new Construct(newChart('prefect'), 'Agent');
  expect(() => Manifests.of(agent)).toThrow('chart/Agent: scope must be an App or a Chart; give Chart.of(...) of what you test');
});

test('one manifest, by kind or by kind and name', () => {
  const manifests = Manifests.of(agentChart());
  expect(manifests.one('Deployment')).toMatchObject({ metadata: { name: 'prefect-agent' } });
  expect(manifests.one('ConfigMap', 'prefect-agent-job-template')).toMatchObject({ kind: 'ConfigMap' });
  expect(() => manifests.one('ConfigMap')).toThrow(
    'Manifests: kind is "ConfigMap": it must be that of one manifest, and is that of 2; there is ',
  );
  expect(() => manifests.one('Role', 'agent')).toThrow(
    /^Manifests: name is "agent": .* is that of 0; there is .*Role flows\/prefect-agent-rbac/,
  );
});

test('what the account of an agent may do', () => {
  expect(Manifests.of(agentChart()).rulesOf('prefect-agent')).toEqual([
    'create jobs.batch in flows',
    'delete jobs.batch in flows',
    'list events in flows',
    'list jobs.batch in flows',
    'list pods in flows',
  ]);
});
test('accounts of one name in two namespaces are told apart', () => {
  const manifests = Manifests.of(agentChart());
  expect(manifests.rulesOf('prefect-agent', 'prefect')).toHaveLength(5);
  expect(manifests.rulesOf('prefect-agent', 'flows')).toEqual([]);
});
test('rules for one object, for URLs, and of roles that are elsewhere', () => {
  const chart = new Chart(new App(), 'chart');
  const add = (kind: string, name: string, rest: object, namespace?: string) =>
    new ApiObject(chart, `${kind}-${name}`, { apiVersion: 'rbac.authorization.k8s.io/v1', kind, metadata: { name, namespace }, ...rest });
  const subjects = [
    { kind: 'ServiceAccount', name: 'flows', namespace: 'prefect' },
    { kind: 'User', name: 'other' },
  ];
  add('ClusterRole', 'wide', { rules: [{ nonResourceURLs: ['/version'], verbs: ['get'] }] });
  add('Role', 'narrow', { rules: [{ apiGroups: [''], resources: ['secrets'], resourceNames: ['key'], verbs: ['get'] }] }, 'prefect');
  add('ClusterRoleBinding', 'wide', { subjects, roleRef: { kind: 'ClusterRole', name: 'wide' } });
  add('RoleBinding', 'narrow', { subjects, roleRef: { kind: 'Role', name: 'narrow' } }, 'prefect');
  add('RoleBinding', 'elsewhere', { subjects, roleRef: { kind: 'ClusterRole', name: 'view' } }, 'prefect');
  add('RoleBinding', 'not-there', { subjects, roleRef: { kind: 'Role', name: 'narrow' } }, 'flows');
  const manifests = Manifests.of(chart);
  expect(manifests.rulesOf('flows')).toEqual([
    'ClusterRole view in prefect',
    'Role narrow in flows',
    'get /version',
    'get secrets/key in prefect',
  ]);
  expect(manifests.rulesOf('other')).toEqual([]);
});

test('snapshots need not hold programs and their checksums', () => {
  const chart = newChart('prefect');
  const dask = new DaskWorkerPolicy(chart, 'Dask');
  new PrefectAgent(chart, 'Agent', { api, jobTemplate: new FlowJobTemplate(chart, 'Jobs', { dask }) });
  const own = { 'run.py': 'print()' };
  new ApiObject(chart, 'Own', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'own' }, data: own });
  const manifests = Manifests.of(chart);
  const small = manifests.withoutPrograms();
  expect(JSON.stringify(small.all)).not.toMatch(/import |launcher-(?!0{8})/);
  expect(small.one('ConfigMap', 'prefect-agent-launcher-00000000')).toMatchObject({ data: { 'launcher.py': '<program>' } });
  expect(JSON.stringify(small.one('Deployment'))).toContain('prefect-agent-launcher-00000000');
  expect(small.one('ConfigMap', 'own')).toMatchObject({ data: own });
  expect(Object.keys(small.one('ConfigMap', 'prefect-job-template-dask').data as object)).toContain('worker.yaml');
  expect(manifests.all).toEqual(chart.toJson());
});
