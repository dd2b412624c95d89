import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { emptyFolder, manifest, root, run, tarball, wheel } from './packages';

/** Folders that are compiled: `build/lib` of `lib`. */
const folders = (manifest.files as string[]).flatMap((file) => /^build\/(.*)/.exec(file)?.[1] ?? []);
const sources = folders.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`),
);
const compiled = sources.filter((file) => file.endsWith('.ts'));
/** What editors read. Programs are embedded in the JavaScript. */
const schemas = sources.filter((file) => file.endsWith('.schema.json'));

const inTarball = (file: string) => run(root, {}, 'tar', '-tzf', file).trim().split('\n').sort();

test('the npm package holds JavaScript, declarations of what is public, schemas, the assembly and the documents, and nothing else', () => {
  const expected = [
    ...['.jsii', 'API.md', 'CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'],
    ...compiled.map((file) => `build/${file.replace(/\.ts$/, '.js')}`),
    // Those of internal files name types of cdk8s-plus-27, which users need not have.
    ...compiled.filter((file) => !basename(file).startsWith('_')).map((file) => `build/${file.replace(/\.ts$/, '.d.ts')}`),
    ...schemas.map((file) => `build/${file}`),
  ];
  expect(schemas.length).toBeGreaterThan(0);
  const files = inTarball(tarball());
  const bundled = files.filter((file) => file.startsWith('package/node_modules/'));
  expect(files.filter((file) => !bundled.includes(file))).toEqual(expected.map((file) => `package/${file}`).sort());
  expect(bundled.length > 0).toBe((manifest.bundledDependencies ?? []).length > 0);
});

test('the wheel holds the same package, and asks PyPI for the same others', () => {
  const folder = emptyFolder();
  run(folder, {}, 'python3', '-m', 'zipfile', '-e', wheel(), '.');
  const module = join(folder, 'cdk8s_prefect/_jsii');
  const [embedded = ''] = readdirSync(module).filter((file) => file.endsWith('.tgz'));
  expect(inTarball(join(module, embedded))).toEqual(inTarball(tarball()));

  const [info = ''] = readdirSync(folder).filter((file) => file.endsWith('.dist-info'));
  const metadata = readFileSync(join(folder, info, 'METADATA'), 'utf8');
  const asked = [...metadata.matchAll(/^Requires-Dist: (\S+)/gm)].map(([, name]) => name);
  const peersAndDependencies = Object.keys({ ...manifest.peerDependencies, ...manifest.dependencies });
  expect(asked.sort()).toEqual(
    [...peersAndDependencies.filter((name) => !manifest.bundledDependencies?.includes(name)), 'jsii', 'publication'].sort(),
  );
  expect(metadata).toContain('License: Apache-2.0');
  // PyPI's page is the README: only whole links, Python alone, no picture that it cannot draw.
  expect(metadata).toContain('### Python');
  expect(metadata).not.toMatch(/\]\((?!https:)|### TypeScript|mermaid|npx tsx/m);
});

test('the documentation in the wheel speaks Python', () => {
  const folder = emptyFolder();
  run(folder, {}, 'python3', '-m', 'zipfile', '-e', wheel(), '.');
  const module = readFileSync(join(folder, 'cdk8s_prefect/__init__.py'), 'utf8');
  expect(module).toContain('from cdk8s_prefect import PrefectAgent, PrefectApi');
  expect(module).not.toMatch(/^\s*(import \{|const |new [A-Z])/m);
});
