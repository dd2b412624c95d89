/** What Prometheus itself makes of a sweeper's metrics and alerts: its own promtool. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { FlowRunSweeper, PrefectApi, SecretKeyRef } from '../../lib';
import { only, synth } from '../support';

const [command, ...build] = ['go', 'run', 'github.com/prometheus/prometheus/cmd/promtool@v0.316.0'];
const SWEEPER = join(__dirname, '..', '..', 'lib', 'python', 'sweeper');
const MINUTE = 60;

const folder = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
afterAll(() => rmSync(folder, { recursive: true }));

function promtool(args: string[], input = ''): string {
  return execFileSync(command as string, [...build, ...args], { cwd: folder, input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });
}

/** What a sweeper in a cluster with the Prometheus Operator brings along. */
function rulesOf(resourceName?: string): { groups: { rules: { alert: string; annotations: { summary: string } }[] }[] } {
  const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key') });
  const manifests = synth((chart) => new FlowRunSweeper(chart, 'Sweeper', { api, resourceName, metrics: { prometheusRule: true } }));
  return only('PrometheusRule', manifests).spec;
}

test('the metrics are as Prometheus wants them', () => {
  const program = 'from signs import Signs\ns = Signs(["prefect"])\ns.passed("prefect", 1.5, True)\nprint(s.metrics(), end="")';
  const metrics = execFileSync('python3', ['-B', '-c', program], { env: { ...process.env, PYTHONPATH: SWEEPER }, encoding: 'utf8' });
  expect(metrics).toContain('flow_run_sweeper_pass_seconds_count 1\n');
  expect(promtool(['check', 'metrics'], metrics)).toBe('');
});

test.each(['flow-run-sweeper', 'team-sweeper'])('the rules of the sweeper %s are as Prometheus wants them', (name) => {
  writeFileSync(join(folder, 'rules.yaml'), stringify(rulesOf(name)));
  expect(promtool(['check', 'rules', '--lint=all', '--lint-fatal', 'rules.yaml'])).toContain('SUCCESS: 3 rules found');
});

test('the queries of the dashboard are ones', () => {
  const { panels } = JSON.parse(readFileSync(join(__dirname, '../../examples/sweeper/dashboard.json'), 'utf8'));
  const queries: string[] = panels.flatMap(({ targets }: { targets: { expr: string }[] }) => targets.map(({ expr }) => expr));
  const rules = queries.map((expr, i) => ({ record: `panel:${i}`, expr }));
  writeFileSync(join(folder, 'dashboard.yaml'), stringify({ groups: [{ name: 'dashboard', rules }] }));
  expect(promtool(['check', 'rules', '--lint=none', 'dashboard.yaml'])).toContain(`SUCCESS: ${queries.length} rules found`);
});

describe('alerts', () => {
  const success = (namespace: string, job = 'flow-run-sweeper') =>
    `flow_run_sweeper_last_success_timestamp_seconds{job="${job}", flow_namespace="${namespace}"}`;
  const errors = 'flow_run_sweeper_errors_total{job="flow-run-sweeper", rule="pass"}';
  /** A pass succeeds each minute for two hours. */
  const always = '0+60x120';
  const well = { [success('prefect')]: always };

  test.each<[string, Record<string, string>, string, [string, Record<string, string>][]]>([
    ['are silent while all is well', { ...well, [errors]: '0x120' }, '110m', []],
    ['are silent while the first pass is under way', { [success('prefect')]: '0x3' }, '3m', []],
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
      [['FlowRunSweeperErrors', { rule: 'pass' }]],
    ],
    ['are silent after one error', { ...well, [errors]: '0x9 1x110' }, '60m', []],
  ])('%s', (_, series, time, expected) => {
    const rules = rulesOf();
    const alerts = rules.groups.flatMap((group) => group.rules);
    const cases = alerts.map(({ alert, annotations }) => ({
      eval_time: time,
      alertname: alert,
      exp_alerts: expected
        .filter(([name]) => name === alert)
        .map(([, labels]) => ({
          exp_labels: { severity: 'warning', job: 'flow-run-sweeper', ...labels },
          exp_annotations: { summary: annotations.summary.replace(/\{\{ \$labels\.(\w+) \}\}/g, (__, label) => labels[label] as string) },
        })),
    }));
    const input_series = Object.entries(series).map(([name, values]) => ({ series: name, values }));
    const tests = [{ interval: '1m', input_series, alert_rule_test: cases }];
    writeFileSync(join(folder, 'rules.yaml'), stringify(rules));
    writeFileSync(join(folder, 'tests.yaml'), stringify({ rule_files: ['rules.yaml'], evaluation_interval: '1m', tests }));
    expect(promtool(['test', 'rules', 'tests.yaml'])).toContain('SUCCESS');
  });
});
