/** What Prometheus itself makes of a sweeper's metrics and alerts: its own promtool. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { FlowRunSweeper, PrefectApi, SecretKeyRef } from '../../lib';
import { PROMTOOL } from '../promtool';
import { only, synth } from '../support';

const SWEEPER = join(__dirname, '..', '..', 'lib', 'sweeper', 'program');
const MINUTE = 60;

const folder = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
afterAll(() => rmSync(folder, { recursive: true }));

function promtool(args: string[], input = ''): string {
  return execFileSync(PROMTOOL[0], [...PROMTOOL.slice(1), ...args], {
    cwd: folder,
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** What a sweeper in a cluster with the Prometheus Operator brings along. */
function rulesOf(resourceName?: string): { groups: { rules: { alert: string; annotations: { summary: string } }[] }[] } {
  const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://api.prefect.io' });
  const manifests = synth((chart) => new FlowRunSweeper(chart, 'Sweeper', { api, resourceName, metrics: { prometheusRule: true } }));
  return only('PrometheusRule', manifests).spec;
}

test('the metrics are as Prometheus wants them', () => {
  const program = 'from signs import Signs\ns = Signs(["prefect"])\ns.passed("prefect", 1.5, True)\nprint(s.metrics(), end="")';
  const metrics = execFileSync('python3', ['-B', '-c', program], { env: { ...process.env, PYTHONPATH: SWEEPER }, encoding: 'utf8' });
  expect(metrics).toContain('flow_run_sweeper_pass_seconds_count{flow_namespace="prefect"} 1\n');
  expect(promtool(['check', 'metrics'], metrics)).toBe('');
});

test.each(['flow-run-sweeper', 'team-sweeper'])('the rules of the sweeper %s are as Prometheus wants them', (name) => {
  writeFileSync(join(folder, 'rules.yaml'), stringify(rulesOf(name)));
  expect(promtool(['check', 'rules', '--lint=all', '--lint-fatal', 'rules.yaml'])).toContain('SUCCESS: 6 rules found');
});

test('the queries of the dashboard are ones', () => {
  const { panels } = JSON.parse(readFileSync(join(__dirname, '../../examples/sweeper/dashboard.json'), 'utf8'));
  const queries: string[] = panels.flatMap(({ targets }: { targets: { expr: string }[] }) => targets.map(({ expr }) => expr));
  const rules = queries.map((expr, i) => ({ record: `panel:${i}`, expr }));
  writeFileSync(join(folder, 'dashboard.yaml'), stringify({ groups: [{ name: 'dashboard', rules }] }));
  expect(promtool(['check', 'rules', '--lint=none', 'dashboard.yaml'])).toContain(`SUCCESS: ${queries.length} rules found`);
});

describe('alerts', () => {
  const success = (flows: string, job = 'flow-run-sweeper', namespace = 'prefect') =>
    `flow_run_sweeper_last_success_timestamp_seconds{job="${job}", namespace="${namespace}", flow_namespace="${flows}"}`;
  const errorsOf = (namespace: string) =>
    `flow_run_sweeper_errors_total{job="flow-run-sweeper", namespace="${namespace}", flow_namespace="prefect", rule="pass"}`;
  const errors = errorsOf('prefect');
  const start = (namespace: string) => `process_start_time_seconds{job="flow-run-sweeper", namespace="${namespace}"}`;
  /** A pass succeeds each minute for two hours. */
  const always = '0+60x120';
  const well = { [success('prefect')]: always };

  test.each<[string, Record<string, string>, string, [string, Record<string, string>][]]>([
    ['are silent while all is well', { ...well, [errors]: '0x120' }, '110m', []],
    ['are silent while the first pass is under way', { [success('prefect')]: '0x3' }, '3m', []],
    [
      'tell of a namespace that another sweeper holds',
      { ...well, 'flow_run_sweeper_held_by_another{job="flow-run-sweeper", namespace="prefect", flow_namespace="prefect"}': '1x120' },
      '110m',
      [['FlowRunSweeperHeldByAnother', { flow_namespace: 'prefect' }]],
    ],
    [
      'tell of a namespace whose passes fail from a time on',
      { ...well, [success('other')]: `0+60x60 ${60 * MINUTE}x60` },
      '85m',
      [['FlowRunSweeperDoesNotGetThrough', { flow_namespace: 'other' }]],
    ],
    [
      'tell of a namespace of which no pass has ever succeeded',
      { ...well, [success('other')]: '0x120' },
      '25m',
      [['FlowRunSweeperDoesNotGetThrough', { flow_namespace: 'other' }]],
    ],
    [
      'tell of a sweeper that was never there, beside another',
      { [success('a', 'team-sweeper')]: always },
      '10m',
      [['FlowRunSweeperMissing', {}]],
    ],
    ['tell of a sweeper that is gone', { [success('prefect')]: '0+60x60 stale' }, '70m', [['FlowRunSweeperMissing', {}]]],
    [
      'tell of an error that comes again and again, from the first',
      { ...well, [errors]: '0x9 1+1x110' },
      '60m',
      [['FlowRunSweeperErrors', { flow_namespace: 'prefect', rule: 'pass' }]],
    ],
    [
      'tell of flow runs of which the sweeper cannot tell',
      { ...well, 'flow_run_sweeper_cannot_tell_runs{job="flow-run-sweeper", namespace="prefect", flow_namespace="prefect"}': '0x30 1x90' },
      '40m',
      [['FlowRunSweeperCannotTell', { flow_namespace: 'prefect' }]],
    ],
    ['are silent after one error', { ...well, [errors]: '0x9 1x110' }, '60m', []],
    [
      'tell of a sweeper that is gone, beside one of the same name in another namespace',
      { [success('prefect')]: '0+60x60 stale', [success('prefect', 'flow-run-sweeper', 'other')]: always },
      '70m',
      [['FlowRunSweeperMissing', {}]],
    ],
    [
      'are silent about what ails one of the same name in another namespace',
      {
        ...well,
        [success('flows', 'flow-run-sweeper', 'other')]: '0x120',
        [errorsOf('other')]: '0x9 1+1x110',
        [start('other')]: '0+60x120',
      },
      '60m',
      [],
    ],
    [
      'tell of a sweeper that starts again and again, and is there between',
      { ...well, [start('prefect')]: '0x60 100 _x8 200 _x8 300x40' },
      '80m',
      [['FlowRunSweeperRestarts', {}]],
    ],
    ['are silent after one restart', { ...well, [start('prefect')]: '0x60 100x60' }, '80m', []],
  ])('%s', (_, series, time, expected) => {
    const rules = rulesOf();
    const alerts = rules.groups.flatMap((group) => group.rules);
    const cases = alerts.map(({ alert, annotations }) => ({
      eval_time: time,
      alertname: alert,
      exp_alerts: expected
        .filter(([name]) => name === alert)
        .map(([, labels]) => ({
          exp_labels: { severity: 'warning', job: 'flow-run-sweeper', namespace: 'prefect', ...labels },
          exp_annotations: {
            summary: annotations.summary.replace(
              /\{\{ \$labels\.(\w+) \}\}/g,
              (__, label: string) => new Map(Object.entries({ namespace: 'prefect', ...labels })).get(label) ?? '',
            ),
          },
        })),
    }));
    const input_series = Object.entries(series).map(([name, values]) => ({ series: name, values }));
    const tests = [{ interval: '1m', input_series, alert_rule_test: cases }];
    writeFileSync(join(folder, 'rules.yaml'), stringify(rules));
    writeFileSync(join(folder, 'tests.yaml'), stringify({ rule_files: ['rules.yaml'], evaluation_interval: '1m', tests }));
    expect(promtool(['test', 'rules', 'tests.yaml'])).toContain('SUCCESS');
  });
});
