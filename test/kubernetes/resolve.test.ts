import { App, Chart, type IResolver, JsonPatch, Lazy, type ResolutionContext } from 'cdk8s';
import { parse } from 'yaml';
import { DaskWorkerPolicy, EnvValue, FlowJobTemplate, Manifests, PrefectAgent, PrefectApi, Volume } from '../../lib';
import type { Manifest } from '../support';

const api = PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' });

const TOKEN = `${'$'}{Token[HOST]}`;

/** Replaces text like this, as the resolver for outputs of the AWS CDK does, when the manifests are written. */
class Outputs implements IResolver {
  public values: Record<string, string> = {};

  public resolve(context: ResolutionContext): void {
    const [, name] = /^\$\{Token\[(\w+)\]\}$/.exec(context.value) ?? [];
    if (name !== undefined) context.replaceValue(this.values[name]);
  }
}

function synth(resolvers: IResolver[]): { chart: Chart; agent: PrefectAgent } {
  const chart = new Chart(new App({ resolvers }), 'chart', { namespace: 'prefect' });
  const env = { HOST: EnvValue.of(TOKEN), PRICE: EnvValue.of('$HOME') };
  const dask = new DaskWorkerPolicy(chart, 'Dask');
  const jobTemplate = new FlowJobTemplate(chart, 'Jobs', { env, dask, podAnnotations: { 'example.com/host': TOKEN } });
  return { chart, agent: new PrefectAgent(chart, 'Agent', { api, jobTemplate, env }) };
}

const envOf = (env: { name: string; value?: string }[], name: string) => env.find((entry) => entry.name === name)?.value;

/** The value of HOST in the agent, in its Job template, in the templates of Dask, and in the Job of a flow run. */
function hosts(manifests: Manifests, agent: PrefectAgent): (string | undefined)[] {
  const deployment: Manifest = manifests.one('Deployment');
  const { data: job }: Manifest = manifests.one('ConfigMap', 'prefect-job-template');
  const { data: dask }: Manifest = manifests.one('ConfigMap', 'prefect-job-template-dask');
  const template = parse(job['job.yaml']).spec.template;
  const effective: Manifest = agent.effectiveJob();
  return [
    envOf(deployment.spec.template.spec.containers[0].env, 'HOST'),
    envOf(template.spec.containers[0].env, 'HOST'),
    template.metadata.annotations['example.com/host'],
    ...['worker.yaml', 'scheduler.yaml'].map((file) => envOf(parse(dask[file]).spec.containers[0].env, 'HOST')),
    envOf(effective.spec.template.spec.containers[0].env, 'HOST'),
  ];
}

test('what a resolver of the app replaces, it replaces in the templates within ConfigMaps too, at synthesis', () => {
  const outputs = new Outputs();
  const { chart, agent } = synth([outputs]);
  outputs.values = { HOST: 'db.example' };
  const manifests = Manifests.of(chart);
  expect(hosts(manifests, agent)).toEqual(Array(6).fill('db.example'));
  // Dask expands variables; the rest of its templates is as without a resolver.
  expect(JSON.stringify(manifests.all)).not.toContain('Token[');
  const { data }: Manifest = manifests.one('ConfigMap', 'prefect-job-template-dask');
  expect(envOf(parse(data['worker.yaml']).spec.containers[0].env, 'PRICE')).toBe(`${'$'}{DOLLAR}HOME`);
});

test('so it does in an App of another copy of cdk8s', () => {
  jest.isolateModules(() => {
    const other = require('cdk8s') as typeof import('cdk8s');
    expect(other.Lazy).not.toBe(Lazy);
    const outputs = new Outputs();
    outputs.values = { HOST: 'db.example' };
    const chart = new other.Chart(new other.App({ resolvers: [outputs] }), 'chart', { namespace: 'prefect' });
    new FlowJobTemplate(chart, 'Jobs', { env: { HOST: EnvValue.of(TOKEN) } });
    const { data }: Manifest = chart.toJson().find(({ kind }) => kind === 'ConfigMap');
    expect(envOf(parse(data['job.yaml']).spec.template.spec.containers[0].env, 'HOST')).toBe('db.example');
  });
});

test('a resolver that replaces nothing changes nothing', () => {
  const idle: IResolver = { resolve: () => {} };
  expect(Manifests.of(synth([idle]).chart).all).toEqual(Manifests.of(synth([]).chart).all);
});

test.each<[string, (lazy: string) => unknown]>([
  ['image', (image) => ({ image })],
  ['env', (value) => ({ env: { HOST: EnvValue.of(value) } })],
  ['podAnnotations', (value) => ({ podAnnotations: { 'example.com/host': value } })],
  ['podLabels', (value) => ({ podLabels: { host: value } })],
  ['nodeSelector', (value) => ({ nodeSelector: { pool: value } })],
  ['priorityClassName', (priorityClassName) => ({ priorityClassName })],
  ['volumes', (name) => ({ volumes: { files: Volume.fromSecret(name, { mountPath: '/etc/team' }) } })],
  ['podSpec', (hostname) => ({ podSpec: { hostname } })],
  ['affinity', (value) => ({ affinity: { nodeAffinity: value } })],
])('a Lazy in %s is refused, by name: nothing could check it', (_prop, propsOf) => {
  const lazy = Lazy.any({ produce: () => 'text' });
  const chart = new Chart(new App(), 'chart', { namespace: 'prefect' });
  expect(() => new FlowJobTemplate(chart, 'Jobs', propsOf(lazy) as never)).toThrow(/must be/);
  expect(() => new PrefectAgent(chart, 'Agent', { api, ...(propsOf(lazy) as object) })).toThrow(/must be/);
});

test('the Job of a flow run is that of the patched template', () => {
  const { agent } = synth([]);
  const patch = (text: unknown) => agent.jobTemplate.configMap.addJsonPatch(JsonPatch.replace('/data/job.yaml', text));
  patch('{ metadata: {}, spec: { template: { spec: { dnsPolicy: None } } } }');
  expect(agent.effectiveJob()).toMatchObject({ spec: { template: { spec: { dnsPolicy: 'None' } } } });
  for (const text of ['[', 'text', '{ spec: {} }', 7]) {
    patch(text);
    expect(() => agent.effectiveJob()).toThrow('chart/Jobs: the data "job.yaml" of its ConfigMap must be a Job with a pod template');
  }
});
