import { ApiObject, App, Chart } from 'cdk8s';
import { Construct } from 'constructs';
import { DaskWorkerPolicy, FlowJobTemplate, Manifests, PrefectAgent, PrefectApi, SecretKeyRef } from '../../lib';
import { newChart } from '../support';

const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://api.prefect.io' });

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
  expect(() => Manifests.of(agent)).toThrow(
    'chart/Agent: scope must be an App or a Chart; write for example Manifests.of(Chart.of(construct))',
  );
});

test('one manifest, by kind or by kind and name', () => {
  const manifests = Manifests.of(agentChart());
  expect(manifests.one('Deployment')).toMatchObject({ metadata: { name: 'prefect-agent' } });
  expect(manifests.one('ConfigMap', 'prefect-agent-job-template')).toMatchObject({ kind: 'ConfigMap' });
  expect(() => manifests.one('ConfigMap')).toThrow(
    'Manifests: kind is "ConfigMap": it must match one manifest, and matches 2; use one of ',
  );
  expect(() => manifests.one('Role', 'agent')).toThrow(
    /^Manifests: name is "agent": .* matches 0; use one of .*Role flows\/prefect-agent-rbac/,
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

describe('never less than Kubernetes grants', () => {
  const rule = (verb: string) => [{ apiGroups: [''], resources: ['secrets'], verbs: [verb] }];
  const account = { kind: 'ServiceAccount', name: 'flows', namespace: 'prefect' };
  /** What the account may do by objects of RBAC, in a chart with a namespace. */
  const rulesBy = (...objects: [string, object][]) => {
    const chart = newChart('prefect');
    for (const [i, [kind, rest]] of objects.entries()) {
      new ApiObject(chart, `${i}`, { apiVersion: 'rbac.authorization.k8s.io/v1', kind, metadata: { name: `${i}` }, ...rest });
    }
    return Manifests.of(chart).rulesOf('flows', 'prefect');
  };
  const role = (kind: string, name = '0') => ({ kind, name, apiGroup: 'rbac.authorization.k8s.io' });

  test('a ClusterRoleBinding is for every namespace, also where cdk8s gives it one', () => {
    const binding = { subjects: [account], roleRef: role('ClusterRole') };
    expect(rulesBy(['ClusterRole', { rules: rule('get') }], ['ClusterRoleBinding', binding])).toEqual(['get secrets']);
  });
  test.each([
    { kind: 'User', name: 'system:serviceaccount:prefect:flows' },
    { kind: 'Group', name: 'system:serviceaccounts' },
    { kind: 'Group', name: 'system:serviceaccounts:prefect' },
    { kind: 'Group', name: 'system:authenticated' },
  ])('the account is $name too', (subject) => {
    const binding = { subjects: [subject], roleRef: role('Role') };
    expect(rulesBy(['Role', { rules: rule('get') }], ['RoleBinding', binding])).toEqual(['get secrets in prefect']);
  });
  test.each([
    { kind: 'User', name: 'system:serviceaccount:other:flows' },
    { kind: 'User', name: 'flows' },
    { kind: 'Group', name: 'system:serviceaccounts:other' },
    { kind: 'Group', name: 'system:serviceaccount:prefect:flows' },
    { kind: 'Group', name: 'system:unauthenticated' },
  ])('the account is not $kind $name', (subject) => {
    expect(rulesBy(['Role', { rules: rule('get') }], ['RoleBinding', { subjects: [subject], roleRef: role('Role') }])).toEqual([]);
  });
  test('an aggregated ClusterRole has the rules of those that it selects, in place of its own, and what the cluster adds', () => {
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { 'example.com/to': 'flows' } }] };
    const labels = { 'example.com/to': 'flows' };
    expect(
      rulesBy(
        ['ClusterRole', { aggregationRule, rules: rule('delete') }],
        ['ClusterRole', { metadata: { name: '1', labels }, rules: rule('get') }],
        ['ClusterRole', { rules: rule('list') }],
        ['RoleBinding', { subjects: [account], roleRef: role('ClusterRole') }],
      ),
    ).toEqual(['ClusterRole 0 in prefect', 'get secrets in prefect']);
  });
  test('an aggregated ClusterRole that selects none of these keeps its own rules', () => {
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { 'example.com/to': 'flows' } }] };
    expect(
      rulesBy(
        ['ClusterRole', { aggregationRule, rules: rule('get') }],
        ['RoleBinding', { subjects: [account], roleRef: role('ClusterRole') }],
      ),
    ).toEqual(['ClusterRole 0 in prefect', 'get secrets in prefect']);
  });
  test('no names are all names, a role may have no rules, and a List has items', () => {
    const all = [{ ...rule('get')[0], resourceNames: [] }];
    const binding = { kind: 'RoleBinding', metadata: { name: 'b', namespace: 'prefect' }, subjects: [account], roleRef: role('Role') };
    expect(rulesBy(['Role', { rules: all }], ['List', { items: [binding] }], ['Role', {}])).toEqual(['get secrets in prefect']);
  });
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
