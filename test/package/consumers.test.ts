import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { minVersion, satisfies } from 'semver';
import { apps } from '../apps';
import { guides } from '../docs/documents';
import { emptyFolder, manifest, root, run, tarball, textsOf, wheel } from './packages';
import peers from './peers.json';

type Age = keyof typeof peers;
const ages = Object.keys(peers) as Age[];

/** As in the field: nothing of this repository, and an API key that an adopted install needs. */
const SYNTH = { PREFECT__CLOUD__API_KEY: 'key', NODE_PATH: '' };

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

test('the oldest peers are the lowest that package.json allows, and the newest are allowed too', () => {
  for (const [name, range] of Object.entries<string>(manifest.peerDependencies)) {
    expect(peers.oldest[name as 'cdk8s']).toBe(minVersion(range)?.version);
    expect(satisfies(peers.newest[name as 'cdk8s'], range)).toBe(true);
  }
});

const written: Partial<Record<Age, Record<string, Record<string, string>>>> = {};

test.each(ages)('a TypeScript project with the %s peers compiles every example strictly, synthesizes and tests', (age) => {
  const project = folder();
  writeFileSync(join(project, 'package.json'), '{ "private": true }');
  const packages = Object.entries(peers[age]).map(([name, version]) => `${name}@${version}`);
  run(project, {}, 'npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', '--save-exact', tarball(), ...packages);
  const installed = JSON.parse(run(project, {}, 'npm', 'ls', '--json')).dependencies;
  expect(Object.keys(installed).sort()).toEqual([manifest.name, ...Object.keys(manifest.peerDependencies)].sort());

  for (const folder of ['src', 'out']) copyApps(join(project, folder));
  copy('test/package/consumer/chart.test.ts', join(project, 'src/chart.test.ts'));
  // The compiler, the runner and their types are tools, not packages that the library could lean on.
  const types = join(root, 'node_modules/@types');
  const compilerOptions = { strict: true, skipLibCheck: false, target: 'es2022', module: 'node20', rootDir: 'src', outDir: 'out' };
  const tsconfig = { compilerOptions: { ...compilerOptions, typeRoots: [types], types: ['node', 'jest'] }, include: ['src'] };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(tsconfig));
  run(project, {}, process.execPath, join(root, 'node_modules/typescript/bin/tsc'));

  written[age] = Object.fromEntries(apps.map((app) => [app, synth(project, process.execPath, join('out', app.replace(/\.ts$/, '.js')))]));
  expect(Object.values(written[age] ?? {}).flatMap(Object.keys).length).toBeGreaterThanOrEqual(apps.length);
  run(project, {}, process.execPath, join(root, 'node_modules/jest/bin/jest.js'), '--rootDir', join(project, 'out'));
});

test('the oldest and the newest peers write the same YAML', () => {
  expect(written.oldest).toEqual(written.newest);
});

test('peers older than that are refused by npm', () => {
  const project = folder();
  writeFileSync(join(project, 'package.json'), '{ "private": true }');
  expect(() =>
    run(project, {}, 'npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', tarball(), 'cdk8s@2.68.5', 'constructs@10.3.0'),
  ).toThrow('ERESOLVE');
});

test.each(ages)(
  'in a fresh virtual environment with the %s peers, each example in Python writes the YAML of TypeScript byte for byte',
  (age) => {
    const project = folder();
    run(project, {}, 'python3', '-m', 'venv', '.venv');
    const python = join(project, '.venv/bin/python');
    const packages = Object.entries(peers[age]).map(([name, version]) => `${name}==${version}`);
    run(project, {}, python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', wheel(), ...packages);
    copyApps(project);
    for (const app of apps) {
      const program = app.replace(/\.ts$/, '.py');
      expect([app, synth(project, python, program)]).toEqual([app, written[age]?.[app]]);
    }
    const examples = [...translated(), ...inDocuments()];
    writeFileSync(join(project, 'examples.json'), JSON.stringify(examples));
    copy('test/package/run_examples.py', join(project, 'run_examples.py'));
    const ran = run(project, { CDK8S_OUTDIR: join(project, 'dist') }, python, 'run_examples.py', 'examples.json');
    expect(ran.trim().split('\n')).toEqual(examples.map(([place]) => place));
  },
);

/** The examples of the reference, as the docstrings of the wheel have them. */
function translated(): string[][] {
  const { snippets } = JSON.parse(readFileSync(join(root, '.jsii.tabl.json'), 'utf8'));
  const all: { location: { api: { fqn?: string; moduleFqn?: string } }; translations: { python: { source: string } } }[] =
    Object.values(snippets);
  expect(all.length).toBeGreaterThan(5);
  return all.map(({ location: { api }, translations }) => [api.fqn ?? api.moduleFqn ?? '', translations.python.source]);
}

/** The Python of the documentation, as far as it is about charts. */
function inDocuments(): string[][] {
  const blocks = guides.flatMap(({ snippets }) => snippets).filter(({ language, text }) => language === 'py' && text.includes('cdk8s'));
  expect(blocks.length).toBeGreaterThan(1);
  return blocks.map(({ place, text }) => [place, text]);
}

function folder(): string {
  const made = emptyFolder();
  folders.push(made);
  return made;
}

/** Every app, with the files that it reads. */
function copyApps(to: string): void {
  for (const path of ['main.ts', 'main.py', 'examples']) copy(path, join(to, path));
}

function copy(path: string, to: string): void {
  cpSync(join(root, path), to, { recursive: true });
}

function synth(project: string, command: string, program: string): Record<string, string> {
  const output = join(project, 'dist');
  rmSync(output, { recursive: true, force: true });
  run(project, { ...SYNTH, CDK8S_OUTDIR: output }, command, program);
  return textsOf(output);
}
