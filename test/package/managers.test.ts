import { copyFileSync, mkdirSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { emptyFolder, run, tarball } from './packages';
import peers from './peers.json';

/** A package manager with its command, and where it needs one that is newer than the oldest that this library supports, a Node. */
const MANAGERS: [string, { tools: string[]; command: string[]; files?: Record<string, string> }][] = [
  ['npm', { tools: [], command: ['npm', 'install', '--no-audit', '--no-fund'] }],
  ['pnpm 10', { tools: ['pnpm@10.34.8'], command: ['pnpm', 'install'] }],
  ['pnpm 12', { tools: ['pnpm@12.21.0', 'node@22.23.3'], command: ['pnpm', 'install'] }],
  ['yarn 1', { tools: ['yarn@1.22.22'], command: ['yarn', 'install', '--non-interactive'] }],
  [
    'yarn 4',
    {
      tools: ['@yarnpkg/cli-dist@4.18.1'],
      command: ['yarn', 'install'],
      files: { 'yarn.lock': '', '.yarnrc.yml': 'nodeLinker: node-modules\nenableImmutableInstalls: false\nenableTelemetry: false\n' },
    },
  ],
];
const APP = `
const { App, Chart } = require('cdk8s');
const { PrefectAgent, PrefectApi } = require('cdk8s-prefect');
const app = new App();
const api = PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' });
new PrefectAgent(new Chart(app, 'prefect', { namespace: 'prefect' }), 'Agent', { api });
app.synth();
`;

const folder = emptyFolder();
afterAll(() => rmSync(folder, { recursive: true }));

test.each(MANAGERS)(
  '%s installs the package without a warning or a script that is left out, and the app runs',
  (name, { tools, command, files }) => {
    const home = join(folder, name.replace(' ', '-'));
    const project = join(home, 'project');
    mkdirSync(project, { recursive: true });
    writeFileSync(join(home, 'package.json'), '{ "private": true }');
    // `node` is a package whose install script brings the program.
    if (tools.length > 0) run(home, {}, 'npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', '--foreground-scripts', ...tools);
    const dependencies = { ...peers.newest, 'cdk8s-prefect': 'file:./package.tgz' };
    // yarn 1 takes a name with an @ for a folder.
    copyFileSync(tarball(), join(project, 'package.tgz'));
    writeFileSync(
      join(project, 'package.json'),
      JSON.stringify({ name: 'app', version: '1.0.0', private: true, license: 'MIT', dependencies }),
    );
    writeFileSync(join(project, 'app.js'), APP);
    for (const [file, text] of Object.entries(files ?? {})) writeFileSync(join(project, file), text);

    const registry = run(project, {}, 'npm', 'config', 'get', 'registry').trim();
    const env = {
      PATH: [join(home, 'node_modules', '.bin'), process.env.PATH].join(delimiter),
      npm_config_loglevel: 'notice',
      YARN_NPM_REGISTRY_SERVER: registry,
      YARN_UNSAFE_HTTP_WHITELIST: new URL(registry).hostname,
      CDK8S_OUTDIR: join(project, 'dist'),
    };
    const said = run(project, env, 'sh', '-c', `${command.join(' ')} 2>&1`);
    expect(said.split('\n').filter((line) => /warn|ignored|YN0002|YN0060|YN0005/i.test(line))).toEqual([]);
    run(project, env, 'node', 'app.js');
    expect(readdirSync(join(project, 'dist'))).toEqual(['prefect.k8s.yaml']);
  },
);

test('beyond cdk8s and constructs an install brings at most 10 packages and 10 MB', () => {
  const project = join(folder, 'npm', 'project', 'node_modules');
  const files = readdirSync(project, { recursive: true, encoding: 'utf8' }).filter((file) => !/^(cdk8s|constructs)\//.test(file));
  const packages = files.filter((file) => /(^|node_modules\/)(@[^/]+\/)?[^/@.]+\/package\.json$/.test(file));
  const bytes = files.map((file) => statSync(join(project, file))).reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
  expect(packages.length).toBeGreaterThan(0);
  expect(packages.length).toBeLessThanOrEqual(10);
  expect(bytes).toBeLessThanOrEqual(10_000_000);
});

// `npm run bench` times it, beside importing cdk8s.
test('importing it reads no other package but cdk8s and constructs, and at most as many bytes as importing cdk8s', () => {
  const program = `
    require('cdk8s');
    const before = Object.keys(require.cache);
    require('cdk8s-prefect');
    const ours = Object.keys(require.cache).filter((file) => !before.includes(file));
    console.log(JSON.stringify({ before, ours }));`;
  const project = realpathSync(join(folder, 'npm', 'project'));
  const { before, ours }: Record<'before' | 'ours', string[]> = JSON.parse(run(project, {}, 'node', '-e', program));
  const bytes = (files: string[]) => files.reduce((sum, file) => sum + statSync(file).size, 0);
  const packageOf = (file: string) => relative(join(project, 'node_modules'), file).replace(/\/(build|lib)\/.*/, '');
  expect([...new Set(ours.map(packageOf))]).toEqual(['cdk8s-prefect']);
  expect(bytes(ours)).toBeLessThanOrEqual(bytes(before));
});
