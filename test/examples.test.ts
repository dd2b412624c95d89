import { apps, synthApp } from './apps';

test.each(apps)('%s', (app) => {
  const objects = synthApp(app).map(({ kind, metadata }) => [kind, metadata.namespace, metadata.name].filter(Boolean).join(' '));
  expect(objects).toMatchSnapshot(app);
});

test('main.ts is the stock install, hardened: label kube, and RBAC', () => {
  const manifests = synthApp('main.ts');
  expect(manifests.find(({ kind }) => kind === 'Deployment').spec.template.spec.containers[0].args).toContain('--label=kube');
  expect(manifests.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['Role', 'RoleBinding']));
});
test('main.ts takes the URL of another API from the environment', () => {
  const env = { PREFECT__CLOUD__API: 'http://prefect.example:4200' };
  expect(JSON.stringify(synthApp('main.ts', env))).toContain('http://prefect.example:4200');
});
test('the hardened step of the adoption replaces each object of the stock one', () => {
  const identities = (app: string) => synthApp(app).map(({ kind, metadata }) => `${kind} ${metadata.namespace} ${metadata.name}`);
  expect(identities('examples/adoption/hardened.ts')).toEqual(expect.arrayContaining(identities('examples/adoption/stock.ts')));
});
test('the dashboard and the alerts ask for metrics that the sweeper has', () => {
  const manifests = synthApp('examples/sweeper/main.ts');
  const dashboard = manifests.find(({ metadata }) => metadata.labels?.grafana_dashboard).data['prefect-flow-run-sweeper.json'];
  const alerts = JSON.stringify(manifests.find(({ kind }) => kind === 'PrometheusRule').spec);
  const asked = new Set(`${JSON.stringify(JSON.parse(dashboard))} ${alerts}`.match(/flow_run_sweeper_\w+/g));
  const signs = manifests.find(({ immutable, data }) => immutable && data['signs.py']).data['signs.py'];
  const counters = [...signs.matchAll(/^ {8}"(\w+)": \(/gm)].map(([, name]) => `flow_run_sweeper_${name}_total`);
  const others = signs.match(/flow_run_sweeper_\w+(?=[ "])/g);
  for (const metric of asked) expect([...counters, ...others]).toContain(metric);
  // Each metric of ours has a panel.
  const shown = JSON.stringify(JSON.parse(dashboard)).match(/flow_run_sweeper_\w+/g);
  for (const metric of new Set([...counters, ...others])) expect(shown?.some((each) => each.startsWith(metric))).toBe(true);
});
test('no text of ours has double braces, which `helm template` would evaluate', () => {
  for (const app of apps) {
    const own = synthApp(app, { PREFECT__CLOUD__API_KEY: 'key' }).filter(
      ({ metadata }) => metadata.labels?.['app.kubernetes.io/managed-by'] === 'cdk8s-prefect',
    );
    expect(JSON.stringify(own)).not.toContain('{{');
  }
});
