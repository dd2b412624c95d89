import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiObject, App, Chart, YamlOutputType } from 'cdk8s';
import {
  AgentRbac,
  DaskWorkerPolicy,
  DebugConfig,
  EvictionPolicy,
  FlowJobTemplate,
  FlowRunJob,
  FlowRunSweeper,
  PrefectAgent,
  PrefectApi,
} from '../lib';
import { apps, synthApp } from './apps';
import fc from './fast-check';

const TYPES = Object.entries(YamlOutputType).filter((entry): entry is [string, YamlOutputType] => typeof entry[1] === 'number');
const RUNS = process.env.FULL === '1' ? 200 : 20;
const api = PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' });

/** How many objects an app has, and how many documents are in the files that it writes. */
function countsOf(type: YamlOutputType, build: (app: App) => void): { objects: number; documents: number } {
  const outdir = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
  try {
    const app = new App({ outdir, yamlOutputType: type });
    build(app);
    app.synth();
    const files = readdirSync(outdir, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.yaml'));
    return {
      objects: app.node.findAll().filter(ApiObject.isApiObject).length,
      // Every document begins so, and no line of a text within one does.
      documents: files.flatMap((file) => readFileSync(join(outdir, file), 'utf8').match(/^apiVersion: /gm) ?? []).length,
    };
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

describe.each(TYPES)('YamlOutputType.%s', (_, type) => {
  test.each(apps.filter((app) => !app.includes('fleet')))('%s: every object has its document', (path) => {
    let objects = 0;
    const documents = synthApp(path, { PREFECT__CLOUD__API_KEY: 'key' }, () => {
      const { prototype } = (require('cdk8s') as typeof import('cdk8s')).App;
      const { synth } = prototype;
      prototype.synth = function (this: App) {
        Object.assign(this, { yamlOutputType: type });
        objects += this.node.findAll().filter(ApiObject.isApiObject).length;
        synth.call(this);
      };
    });
    expect(documents.length).toBe(objects);
    expect(objects).toBeGreaterThan(1);
  });

  test(`${RUNS} generated charts: every object has its document`, () => {
    fc.assert(
      fc.property(charts, (build) => {
        const { objects, documents } = countsOf(type, build);
        expect(documents).toBe(objects);
      }),
      { numRuns: RUNS },
    );
  });
});

const namespaces = fc.uniqueArray(fc.constantFrom('prefect', 'flows', 'fraud', 'pricing', 'ml'), { minLength: 1, maxLength: 4 });
const charts = fc
  .record({
    namespaces,
    flowNamespace: fc.constantFrom(undefined, 'flows'),
    onEviction: fc.constantFrom(undefined, ...Object.values(EvictionPolicy)),
    dask: fc.boolean(),
    debug: fc.boolean(),
    metrics: fc.boolean(),
    rbacOf: fc.option(fc.constantFrom('flows', 'ml')),
    job: fc.boolean(),
  })
  .map((given) => (app: App) => {
    const { flowNamespace } = given;
    const chart = new Chart(app, 'chart', { namespace: 'prefect' });
    const dask = given.dask ? new DaskWorkerPolicy(chart, 'Dask', { flowNamespace }) : undefined;
    const debug = given.debug ? new DebugConfig(chart, 'Debug') : undefined;
    const jobTemplate = new FlowJobTemplate(chart, 'Jobs', { flowNamespace, onEviction: given.onEviction, dask });
    new PrefectAgent(chart, 'Agent', { api, jobTemplate, debug, flowNamespace });
    const metrics = given.metrics ? { serviceMonitor: true, prometheusRule: true } : undefined;
    new FlowRunSweeper(chart, 'Sweeper', { api, namespaces: given.namespaces, metrics });
    if (given.rbacOf) new AgentRbac(chart, 'Rbac', { flowNamespace: given.rbacOf, resourceName: 'other-agent' });
    if (given.job) new FlowRunJob(chart, 'Job', { api, flowRunId: '11111111-2222-3333-4444-555555555555' });
  });

describe('two objects of one kind and name in two namespaces', () => {
  const build = (app: App) => {
    for (const namespace of ['fraud', 'pricing']) new PrefectAgent(new Chart(app, namespace, { namespace }), 'Agent', { api });
  };

  test('are in files of their own where there is a folder for each chart', () => {
    const { objects, documents } = countsOf(YamlOutputType.FOLDER_PER_CHART_FILE_PER_RESOURCE, build);
    expect([objects, documents]).toEqual([14, 14]);
  });

  test('are refused where cdk8s would write both to one file, which loses the first', () => {
    expect(() => countsOf(YamlOutputType.FILE_PER_RESOURCE, build)).toThrow(
      'fraud/Agent/Resource and pricing/Agent/Resource would be written to one file, Deployment.prefect-agent, and the first be lost; ' +
        'give one of them another resourceName, or use YamlOutputType.FOLDER_PER_CHART_FILE_PER_RESOURCE',
    );
  });

  test('are refused in one chart', () => {
    const inOneChart = (app: App) => {
      const chart = new Chart(app, 'chart', { namespace: 'prefect' });
      for (const flowNamespace of ['a', 'b']) new AgentRbac(chart, flowNamespace, { flowNamespace, serviceAccountName: 'agent' });
    };
    expect(() => countsOf(YamlOutputType.FOLDER_PER_CHART_FILE_PER_RESOURCE, inOneChart)).toThrow('use YamlOutputType.FILE_PER_CHART');
    expect(countsOf(YamlOutputType.FILE_PER_CHART, inOneChart)).toEqual({ objects: 4, documents: 4 });
  });

  test('of others are not ours to judge', () => {
    const others = (app: App) => {
      new PrefectAgent(new Chart(app, 'agent', { namespace: 'prefect' }), 'Agent', { api });
      for (const namespace of ['a', 'b']) {
        new ApiObject(new Chart(app, namespace, { namespace }), 'Config', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' } });
      }
    };
    expect(countsOf(YamlOutputType.FILE_PER_RESOURCE, others)).toEqual({ objects: 9, documents: 8 });
  });
});

test('what was removed may be made again, and what was removed with its parent too', () => {
  const chart = new Chart(new App(), 'chart', { namespace: 'prefect' });
  new PrefectAgent(chart, 'Agent', { api });
  expect(() => new PrefectAgent(chart, 'Other', { api })).toThrow('must be unique: chart/Agent');
  chart.node.tryRemoveChild('Other');
  chart.node.tryRemoveChild('Agent');
  new PrefectAgent(chart, 'Agent', { api });
});
