import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { emptyFolder, run, tarball, textsOf } from './packages';
import peers from './peers.json';

const BUNDLERS = ['esbuild@0.28.2', 'webpack@5.113.0', '@vercel/ncc@0.45.0'];

/** A chart, a sweeper, and a fleet from a file: all that reads something. */
const APP = `
const { App, Chart } = require('cdk8s');
const { DaskWorkerPolicy, Fleet, FlowJobTemplate, FlowRunSweeper, PrefectAgent, PrefectApi } = require('cdk8s-prefect');
const app = new App();
const chart = new Chart(app, 'prefect', { namespace: 'prefect' });
const api = PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' });
const jobTemplate = new FlowJobTemplate(chart, 'Jobs', { dask: new DaskWorkerPolicy(chart, 'Dask') });
new PrefectAgent(chart, 'Agent', { api, jobTemplate }).effectiveJob();
new FlowRunSweeper(chart, 'Sweeper', { api });
app.synth();
new Fleet({ file: 'teams.yaml', folder: 'teams', defaults: { api } }).synth();
`;
const TEAMS = 'teams:\n  fraud: { agent: { labels: [fraud] }, jobs: { ttlAfterFinished: 5m } }\n';
const WEBPACK = `
const config = { mode: 'production', target: 'node', entry: './app.js', output: { path: process.cwd() + '/webpack', filename: 'index.js' } };
require('webpack')(config, (error, stats) => {
  if (error || stats.hasErrors()) throw error ?? new Error(stats.toString());
});
`;

const project = emptyFolder();
afterAll(() => rmSync(project, { recursive: true }));
let expected: Record<string, string>;
beforeAll(() => {
  const packages = Object.entries(peers.newest).map(([name, version]) => `${name}@${version}`);
  writeFileSync(join(project, 'package.json'), '{ "private": true }');
  writeFileSync(join(project, 'app.js'), APP);
  writeFileSync(join(project, 'teams.yaml'), TEAMS);
  writeFileSync(join(project, 'webpack.js'), WEBPACK);
  run(project, {}, 'npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', tarball(), ...packages, ...BUNDLERS);
  expected = synth(project, 'app.js');
});

test('the app itself writes what is compared', () => {
  expect(Object.keys(expected)).toEqual(['prefect.k8s.yaml', 'teams/fraud/fraud.k8s.yaml']);
});

test.each([
  ['esbuild', ['npx', 'esbuild', 'app.js', '--bundle', '--platform=node', '--outfile=esbuild/index.js']],
  ['webpack', ['node', 'webpack.js']],
  ['ncc', ['npx', 'ncc', 'build', 'app.js', '--out', 'ncc']],
])('a bundle by %s, in another folder and without packages, writes the same', (bundler, [command = '', ...args]) => {
  run(project, {}, command, ...args);
  const elsewhere = emptyFolder();
  try {
    mkdirSync(join(elsewhere, 'bundle'));
    cpSync(join(project, bundler), join(elsewhere, 'bundle'), { recursive: true });
    writeFileSync(join(elsewhere, 'teams.yaml'), TEAMS);
    expect(synth(elsewhere, 'bundle/index.js')).toEqual(expected);
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
});

function synth(folder: string, program: string): Record<string, string> {
  const output = join(folder, 'dist');
  run(folder, { CDK8S_OUTDIR: output, NODE_PATH: '' }, process.execPath, program);
  return textsOf(output);
}
