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
