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

/** What some examples take a Namespace and a quota from. */
const PLUS = ['cdk8s-plus-27', manifest.devDependencies['cdk8s-plus-27']];

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

  copy('main.ts', join(project, 'src/main.ts'));
  // The compiler, the runner and their types are tools, not packages that the library could lean on.
  const types = join(root, 'node_modules/@types');
  const compilerOptions = { strict: true, skipLibCheck: false, target: 'es2022', module: 'node20', rootDir: 'src', outDir: 'out' };
  const tsconfig = { compilerOptions: { ...compilerOptions, typeRoots: [types], types: ['node', 'jest'] }, include: ['src'] };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(tsconfig));
  const compile = () => run(project, {}, process.execPath, join(root, 'node_modules/typescript/bin/tsc'));
  compile();
  expect(Object.keys(synth(project, process.execPath, 'out/main.js'))).toEqual(['prefect.k8s.yaml']);

  // Only examples need it: the library is compiled and synthesized without it above.
  run(project, {}, 'npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', '--save-exact', PLUS.join('@'));
  for (const folder of ['src', 'out']) copyApps(join(project, folder));
  copy('test/package/consumer/chart.test.ts', join(project, 'src/chart.test.ts'));
  compile();

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
    const packages = [...Object.entries(peers[age]), PLUS].map(([name, version]) => `${name}==${version}`);
    run(project, {}, python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', wheel(), ...packages);
    copyApps(project);
    for (const app of apps) {
      const program = app.replace(/\.ts$/, '.py');
      expect([app, synth(project, python, program)]).toEqual([app, written[age]?.[app]]);
    }
    // As where the home cannot be written to: docs/how-to/python.md.
    const homeless = { ...SYNTH, HOME: join(project, 'main.py'), CDK8S_OUTDIR: join(project, 'dist') };
    expect(() => run(project, homeless, python, 'main.py')).toThrow('JSII_RUNTIME_PACKAGE_CACHE_ROOT');
    run(project, { ...homeless, JSII_RUNTIME_PACKAGE_CACHE_ROOT: join(project, 'jsii') }, python, 'main.py');
    copy('test/package/mistakes.py', join(project, 'mistakes.py'));
    expectMistakes(run(project, { CDK8S_OUTDIR: join(project, 'dist') }, 'sh', '-c', `${python} mistakes.py 2>&1`));
    copy('test/package/run_examples.py', join(project, 'run_examples.py'));
    // One process each: in one, two fleets with the same folder are an error.
    for (const examples of [translated(), inDocuments()]) {
      writeFileSync(join(project, 'examples.json'), JSON.stringify(examples));
      const ran = run(project, { CDK8S_OUTDIR: join(project, 'dist') }, python, 'run_examples.py', 'examples.json');
      expect(ran.trim().split('\n')).toEqual(examples.map(([place]) => place));
    }
  },
);

/** Errors and warnings name props as Python does, and repeat no key. */
function expectMistakes(printed: string): void {
  const lines = printed.trim().split('\n');
  const errors = Object.fromEntries(lines.filter((line) => line.startsWith('[')).map((line) => JSON.parse(line)));
  expect(errors).toEqual({
    value: expect.stringMatching(/^chart\/Agent: flow_namespace is "Flows": it must be a DNS label .*; write for example flows$/),
    duration: expect.stringMatching(/^chart\/Agent: request_timeout is 0\.001 seconds: .*; write for example Duration\.seconds\(15\)$/),
    amount: expect.stringMatching(/^chart\/Jobs: resources\.memory_request is 4Gi: it must be at most the limit, 2Gi; /),
    field: expect.stringMatching(/^chart\/Jobs: pod_spec\.runtime_class_name is not a field .*; did you mean runtimeClassName\?$/),
    list: expect.stringMatching(/^chart\/Sweeper: run_again_limit is 0: /),
    key: expect.stringMatching(/SecretKeyRef: name must be .*; write for example SecretKeyRef\.of\('prefect-api-key', 'key'\)$/),
    'key name': expect.stringMatching(/SecretKeyRef: key must be a key in the Secret's data, not the secret itself: /),
    env: expect.stringMatching(/^chart\/Jobs: env\.PREFECT__CLOUD__API must not be set: .*; leave it out$/),
    cloud: expect.stringMatching(/PrefectApi: url must not be on prefect\.cloud.*for example PrefectApi\.server\(url='http:/),
    twice: expect.stringMatching(/^chart\/B: resource_name is "prefect-agent": .*; write for example resource_name='team-prefect-agent' /),
    fleet: expect.stringMatching(/Fleet: 2 settings are invalid:\n {2}fraud\/Jobs: flow_namespace .*\n {2}fraud\/Agent: request_timeout /),
    // docs/fleets.md: jsii passes to the method only the keywords that it names.
    'by keyword': 'False',
  });
  expect(printed).not.toContain('pcu_');
  const warnings = lines.filter((line) => line.startsWith('cdk8s-prefect: warning')).map((line) => line.slice('cdk8s-prefect: '.length));
  expect(warnings).toEqual([
    expect.stringMatching(/^warning localhost: chart\/Agent: .*app\.node\.set_context\('cdk8s-prefect:acknowledge', \['localhost'\]\)$/),
    expect.stringMatching(/^warning same-labels: chart\/Agent, acknowledged\/Agent: /),
    expect.stringMatching(/^warning no-sweeper: chart\/Jobs: on_eviction needs a FlowRunSweeper with lost_runs /),
  ]);
}

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
  const blocks = guides
    .flatMap(({ snippets }) => snippets)
    .filter(
      ({ language, attributes, text }) => ['py', 'python'].includes(language) && !attributes.includes('norun') && text.includes('cdk8s'),
    );
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
