import { App, Chart } from 'cdk8s';
import {
  type EgressRule,
  EvictionPolicy,
  Fleet,
  FlowJobTemplate,
  FlowRunJob,
  FlowRunSweeper,
  PrefectAgent,
  PrefectApi,
  SecretKeyRef,
  StockPrefectAgent,
} from '../../lib';

const server = (url = 'http://prefect.example:4200', tenantId?: string) => PrefectApi.server({ url, tenantId });
const api = server();

/** What is printed when an app is synthesized, with a second chart, for which cdk8s validates everything again. */
function printed(make: (chart: Chart, app: App) => void, acknowledged: unknown = undefined, where: 'app' | 'chart' = 'app'): string[] {
  const app = new App({ outdir: require('node:fs').mkdtempSync(`${require('node:os').tmpdir()}/cdk8s-prefect-`) });
  if (where === 'app') app.node.setContext('cdk8s-prefect:acknowledge', acknowledged);
  const chart = new Chart(app, 'chart', { namespace: 'prefect' });
  if (where === 'chart') chart.node.setContext('cdk8s-prefect:acknowledge', acknowledged);
  new Chart(app, 'other');
  make(chart, app);
  return written(() => app.synth());
}

function written(run: () => void): string[] {
  const write = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    run();
    return write.mock.calls
      .map(([text]) => String(text))
      .join('')
      .split('\n')
      .slice(0, -1);
  } finally {
    write.mockRestore();
  }
}

const two = (first: object, second: object) => (chart: Chart) => {
  new PrefectAgent(chart, 'One', { api, resourceName: 'one', ...first });
  new PrefectAgent(chart, 'Two', { api, resourceName: 'two', ...second });
};

test('nothing to say, nothing printed', () => {
  expect(printed(two({ labels: ['a'] }, { labels: ['b'] }))).toEqual([]);
});

describe('same-labels', () => {
  test.each([
    ['no labels', {}, {}],
    ['the same, in another order', { labels: ['a', 'b'] }, { labels: ['b', 'a'] }],
    ['a URL with a final slash', {}, { api: server('http://prefect.example:4200/') }],
  ])('%s', (_, first, second) => {
    expect(printed(two(first, second))).toEqual([
      expect.stringMatching(
        /^cdk8s-prefect: warning same-labels: chart\/One, chart\/Two: take the same flow runs \((no labels|labels a, b) on http:\/\/prefect.example:4200\), .*; give each labels of its own, or acknowledge it: app.node.setContext\('cdk8s-prefect:acknowledge', \['same-labels'\]\)$/,
      ),
    ]);
  });
  test.each([
    ['other labels', { labels: ['a'] }, { labels: ['a', 'b'] }],
    ['another API', {}, { api: server('http://other.example:4200') }],
    ['another tenant', {}, { api: server(undefined, '11111111-2222-3333-4444-555555555555') }],
    ['another key', { api: key('a') }, { api: key('b') }],
  ])('not with %s', (_, first, second) => expect(printed(two(first, second))).toEqual([]));
  test('of a stock agent', () => {
    const url = 'http://prefect.example:4200';
    const lines = printed((chart) => {
      new PrefectAgent(chart, 'One', { api, resourceName: 'one' });
      new StockPrefectAgent(chart, 'Stock', { api: url });
    });
    expect(lines).toEqual([expect.stringContaining('chart/One, chart/Stock: take the same')]);
  });
  test('of a fleet, in one line', () => {
    process.env.CDK8S_OUTDIR = require('node:fs').mkdtempSync(`${require('node:os').tmpdir()}/cdk8s-prefect-`);
    const teams = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`team-${i}`, { namespace: `n${i}` }]));
    const lines = written(() => new Fleet({ defaults: { api }, teams: { ...teams, own: { agent: { labels: ['own'] } } } }).synth());
    delete process.env.CDK8S_OUTDIR;
    expect(lines).toEqual([
      expect.stringMatching(/warning same-labels: team-0\/Agent, team-1\/Agent, .* and 35 more: take the same flow runs \(no labels on/),
    ]);
  });
});

function key(name: string): PrefectApi {
  return PrefectApi.server({ url: 'http://prefect.example:4200', apiKey: SecretKeyRef.of(name, 'key') });
}

describe('localhost', () => {
  test.each(['http://localhost:4200', 'http://127.0.0.1:4200', 'http://[::1]:4200', 'http://0.0.0.0:4200', 'http://LOCALHOST'])(
    '%s, of whatever asks Prefect',
    (url) => {
      const local = server(url);
      const lines = printed((chart) => {
        new PrefectAgent(chart, 'Agent', { api: local, resourceName: 'agent' });
        new FlowRunSweeper(chart, 'Sweeper', { api: local });
        new FlowRunJob(chart, 'Run', { api: local, flowRunId: '11111111-2222-3333-4444-555555555555' });
        new StockPrefectAgent(chart, 'Stock', { api: url, labels: ['stock'], namespace: 'stock' });
      });
      expect(lines[0]).toMatch(
        /^cdk8s-prefect: warning localhost: chart\/Agent, chart\/Sweeper, chart\/Run, chart\/Stock: api has the URL /,
      );
      expect(lines).toHaveLength(1);
    },
  );
  test('not a host that begins like it', () => {
    expect(printed((chart) => new PrefectAgent(chart, 'Agent', { api: server('http://localhost.example') }))).toEqual([]);
  });
});

describe('no-sweeper', () => {
  const template = (onEviction?: EvictionPolicy) => (chart: Chart) => new FlowJobTemplate(chart, 'Jobs', { onEviction });
  test.each([EvictionPolicy.FAIL, EvictionPolicy.RUN_AGAIN])('%s', (policy) => {
    expect(printed(template(policy))).toEqual([
      expect.stringContaining('warning no-sweeper: chart/Jobs: onEviction needs a FlowRunSweeper'),
    ]);
  });
  test.each([EvictionPolicy.PROTECT, undefined])('not with %s', (policy) => expect(printed(template(policy))).toEqual([]));
  test.each([
    ['of that namespace', { namespaces: ['prefect'] }, []],
    ['of another', { namespaces: ['other', 'prefect-2'] }, ['no-sweeper', 'idle-sweeper']],
    ['that leaves lost runs alone', { lostRuns: { enabled: false } }, ['no-sweeper']],
  ])('with a sweeper %s', (_, props, ids) => {
    const lines = printed((chart) => {
      template(EvictionPolicy.FAIL)(chart);
      new FlowRunSweeper(chart, 'Sweeper', { api, ...props });
    });
    expect(lines.map((line) => / warning ([-\w]+): /.exec(line)?.[1])).toEqual(ids);
  });
  test('a sweeper alone is for flows of another app', () => {
    expect(printed((chart) => new FlowRunSweeper(chart, 'Sweeper', { api, namespaces: ['elsewhere'] }))).toEqual([]);
  });
});

test.each([
  ['*.internal', true],
  ['10.*', true],
  ['[fd00::7]', true],
  ['fd00::/8', true],
  ['a.b:c', true],
  ['.internal', false],
  ['prefect.example:4200', false],
  ['10.0.0.0/8', false],
  ['192.0.2.7', false],
])('no-proxy: %s', (host, warns) => {
  const proxy = { url: 'http://proxy.example:3128', noProxy: [host] };
  const lines = printed((chart) => new PrefectAgent(chart, 'Agent', { api, proxy, egress: [] satisfies EgressRule[] }));
  expect(lines).toEqual(warns ? [expect.stringContaining(`warning no-proxy: chart/Agent: proxy.noProxy has ${host}, which`)] : []);
});

describe('acknowledged', () => {
  const local = (chart: Chart) => new PrefectAgent(chart, 'Agent', { api: server('http://localhost:4200') });
  test.each(['app', 'chart'] as const)('in the context of the %s', (where) => {
    expect(printed(local, ['localhost'], where)).toEqual([]);
    expect(printed(local, 'localhost', where)).toEqual([]);
  });
  test('another one', () => expect(printed(local, ['no-proxy'])).toHaveLength(1));
  test('by one of two agents', () => {
    const lines = printed((chart, app) => {
      const other = new Chart(app, 'known', { namespace: 'known' });
      other.node.setContext('cdk8s-prefect:acknowledge', ['same-labels']);
      for (const where of [chart, other]) new PrefectAgent(where, 'Agent', { api });
    });
    expect(lines).toEqual([]);
  });
});
