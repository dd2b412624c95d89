import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from './support';

const root = join(__dirname, '..');
const apps = [
  'main.ts',
  ...readdirSync(join(root, 'examples'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join('examples', file)),
].sort();

/** Runs an app as `cdk8s synth` does, and reads what it wrote. */
function synth(app: string): Manifest[] {
  const output = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
  process.env.CDK8S_OUTDIR = output;
  try {
    jest.isolateModules(() => require(join(root, app)));
    return readdirSync(output)
      .sort()
      .flatMap((file) => parseAllDocuments(readFileSync(join(output, file), 'utf8')).map((document) => document.toJS()));
  } finally {
    delete process.env.CDK8S_OUTDIR;
    rmSync(output, { recursive: true });
  }
}

test.each(apps)('%s', (app) => {
  const objects = synth(app).map(({ kind, metadata }) => [kind, metadata.namespace, metadata.name].filter(Boolean).join(' '));
  expect(objects).toMatchSnapshot(relative(root, join(root, app)));
});

test('main.ts is the stock install, hardened: label kube, and RBAC', () => {
  const manifests = synth('main.ts');
  expect(manifests.find(({ kind }) => kind === 'Deployment').spec.template.spec.containers[0].args).toContain('--label=kube');
  expect(manifests.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['Role', 'RoleBinding']));
});
test('main.ts takes the URL of another API from the environment', () => {
  process.env.PREFECT__CLOUD__API = 'http://prefect.example:4200';
  try {
    expect(JSON.stringify(synth('main.ts'))).toContain('http://prefect.example:4200');
  } finally {
    delete process.env.PREFECT__CLOUD__API;
  }
});
test('the hardened step of the adoption replaces each object of the stock one', () => {
  const identities = (app: string) => synth(app).map(({ kind, metadata }) => `${kind} ${metadata.namespace} ${metadata.name}`);
  expect(identities('examples/adoption/hardened.ts')).toEqual(expect.arrayContaining(identities('examples/adoption/stock.ts')));
});
