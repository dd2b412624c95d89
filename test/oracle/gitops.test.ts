// What kustomize and Flux make of the manifests: the facts of docs/how-to/gitops.md.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Chart } from 'cdk8s';
import { parse, parseAllDocuments } from 'yaml';
import { DaskWorkerPolicy, EnvValue, EvictionPolicy, FlowJobTemplate, FlowRunSweeper, PrefectAgent, PrefectApi } from '../../lib';
import { container, type Manifest, only } from '../support';

const folder = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** kustomize and Flux' substitution, from their Go modules. */
// As .ci/run compiles them, so that Go's cache serves both.
const GO = { CGO_ENABLED: '0', GOFLAGS: '-mod=readonly -trimpath', GOWORK: 'off' };
const program = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cdk8s-prefect', 'gitops');
beforeAll(() => {
  execFileSync('go', ['build', '-o', program, '.'], {
    cwd: join(__dirname, 'modules', 'gitops'),
    env: { ...process.env, ...GO },
    stdio: 'inherit',
  });

  const app = new App({ outdir: join(folder, 'base') });
  const chart = new Chart(app, 'prefect', { namespace: 'prefect' });
  const api = PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' });
  const dask = new DaskWorkerPolicy(chart, 'Dask');
  const env = { PRICE: EnvValue.of('$9') };
  const jobTemplate = new FlowJobTemplate(chart, 'Jobs', { dask, onEviction: EvictionPolicy.PROTECT, env });
  new PrefectAgent(chart, 'Agent', { api, jobTemplate, env, labels: ['a$b'] });
  new FlowRunSweeper(chart, 'Sweeper', { api, metrics: { serviceMonitor: true, prometheusRule: true } });
  app.synth();
  writeFileSync(join(folder, 'base', 'kustomization.yaml'), JSON.stringify({ resources: ['prefect.k8s.yaml'] }));
}, 1_800_000);

/** What `kustomize build` gives, after the substitution of Flux if there are flags for it. */
function build(kustomization: object, ...flags: string[]): Manifest[] {
  const overlay = mkdtempSync(join(folder, 'overlay-'));
  writeFileSync(join(overlay, 'kustomization.yaml'), JSON.stringify({ resources: ['../base'], ...kustomization }));
  const options = flags.filter((flag) => flag.startsWith('-'));
  const variables = flags.filter((flag) => !flag.startsWith('-'));
  const text = execFileSync(program, [...options, overlay, ...variables], { encoding: 'utf8', stdio: 'pipe' });
  return parseAllDocuments(text).map((document) => document.toJS());
}

const named = (manifests: Manifest[], kind: string, name: string): Manifest =>
  manifests.find(({ kind: its, metadata }) => its === kind && metadata.name === name);
const jobOf = (configMap: Manifest) => parse(configMap.data['job.yaml']);

describe('kustomize', () => {
  test('namespace moves objects, subjects and the agent, which asks in the namespace where it is', () => {
    const manifests = build({ namespace: 'team' });
    expect([...new Set(manifests.map(({ metadata }) => metadata.namespace))]).toEqual(['team']);
    const subjects = manifests.flatMap((manifest) => manifest.subjects ?? []);
    expect([...new Set(subjects.map(({ namespace }) => namespace))]).toEqual(['team']);
    const agent = container(named(manifests, 'Deployment', 'prefect-agent'));
    expect(JSON.stringify(agent)).not.toMatch(/"prefect"/);
    expect(agent.env).toContainEqual({ name: 'NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } });
  });
  test('namespace moves the sweeper too, whose objects keep their names', () => {
    const manifests = build({ namespace: 'team' });
    const sweeper = container(named(manifests, 'Deployment', 'flow-run-sweeper'));
    expect(sweeper.args).toEqual(expect.arrayContaining(['--home=$(POD_NAMESPACE)', '--namespace=$(POD_NAMESPACE)']));
    expect(sweeper.args.filter((arg: string) => arg.endsWith('prefect'))).toEqual(['--home-in-names=prefect']);
    expect(named(manifests, 'ConfigMap', 'flow-run-sweeper-ledger-prefect').metadata.namespace).toBe('team');
  });
  test('namespace does not reach the expressions of alerts', () => {
    const rule = only('PrometheusRule', build({ namespace: 'team' }));
    expect(JSON.stringify(rule.spec)).toContain('namespace=\\"prefect\\"');
  });
  test('namePrefix does not reach names within the Job template', () => {
    const manifests = build({ namePrefix: 'x-' });
    const { spec } = jobOf(named(manifests, 'ConfigMap', 'x-prefect-job-template')).spec.template;
    expect(spec.serviceAccountName).toBe('prefect-job-template-dask');
    expect(manifests.some(({ kind, metadata }) => kind === 'ServiceAccount' && metadata.name === spec.serviceAccountName)).toBe(false);
  });
  test('labels with includeSelectors reach the budget of PROTECT, but not the pods that it is for', () => {
    const manifests = build({ labels: [{ pairs: { team: 'data' }, includeSelectors: true }] });
    expect(only('PodDisruptionBudget', manifests).spec.selector.matchLabels).toHaveProperty('team', 'data');
    const { metadata } = jobOf(named(manifests, 'ConfigMap', 'prefect-job-template')).spec.template;
    expect(metadata.labels).not.toHaveProperty('team');
  });
  test('labels without includeSelectors change nothing but labels', () => {
    const manifests = build({ labels: [{ pairs: { team: 'data' } }] });
    expect(only('PodDisruptionBudget', manifests).spec).toEqual(only('PodDisruptionBudget', build({})).spec);
  });
});

describe('postBuild of Flux', () => {
  test.each([[['-substitute']], [['-substitute', '-strict']]])('%p refuses nothing, and changes but a $$ in a Deployment', (flags) => {
    const [given, made] = [build({}), build({}, ...flags, 'TEAM=data')];
    const label = '--label=a$$b';
    const { args } = container(named(given, 'Deployment', 'prefect-agent'));
    expect(args).toContain(label);
    args[args.indexOf(label)] = '--label=a$b';
    expect(made).toEqual(given);
  });
  test('would replace the variables of Dask without the annotation', () => {
    const bare = { patches: [{ target: { kind: 'ConfigMap' }, patch: '[{"op": "remove", "path": "/metadata/annotations"}]' }] };
    const patches = { ...bare, patches: [{ ...bare.patches[0], target: { kind: 'ConfigMap', name: 'prefect-job-template-dask' } }] };
    const { data } = named(build(patches, '-substitute', 'TEAM=data'), 'ConfigMap', 'prefect-job-template-dask');
    expect(parse(data['worker.yaml']).metadata.ownerReferences[0].name).toBeNull();
    expect(() => build(patches, '-substitute', '-strict', 'TEAM=data')).toThrow('variable not set (strict mode)');
  });
});
