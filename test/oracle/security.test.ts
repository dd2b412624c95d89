import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Chart, YamlOutputType } from 'cdk8s';
import {
  BaseJobTemplate,
  FlowRunSweeper,
  Prefect3Api,
  PrefectAgent,
  PrefectApi,
  PrefectWorker,
  SecretKeyRef,
  StockPrefectAgent,
  WorkPool,
} from '../../lib';
import waivers from './waivers.json';

const CHECKOV = ['node', 'scripts/with-python.mjs', 'checkov', 'checkov'];
const KUBE_SCORE = ['go', 'run', 'github.com/zegl/kube-score/cmd/kube-score@v1.20.0'];

const folder = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
afterAll(() => rmSync(folder, { recursive: true }));

const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://api.prefect.io' });
const image = `prefecthq/prefect:1.4.1-python3.9@sha256:${'0'.repeat(64)}`;
const hardened = synth('hardened', (chart) => new PrefectAgent(chart, 'Agent', { api, labels: ['kube'], image }));
const sweeper = synth('sweeper', (chart) => new FlowRunSweeper(chart, 'Sweeper', { api, image }));
const worker = synth('worker', (chart) => {
  const server = Prefect3Api.server({ url: 'https://prefect.example/api', authString: SecretKeyRef.of('prefect', 'auth-string') });
  const baseJobTemplate = new BaseJobTemplate(chart, 'Template', { api: server });
  // The Job of the pool is not of the worker: it belongs into another file.
  const pools = new Chart(new App(), 'pools', { namespace: 'prefect' });
  const workPool = new WorkPool(pools, 'Pool', { name: 'k8s', baseJobTemplate });
  const prefect3 = `prefecthq/prefect:3.9.1-python3.11-kubernetes@sha256:${'0'.repeat(64)}`;
  new PrefectWorker(chart, 'Worker', { workPool, image: prefect3, replicas: 2 });
});
const stock = synth('stock', (chart) => {
  new StockPrefectAgent(chart, 'Agent', { key: 'secret', labels: ['kube'], rbac: true });
});

function synth(name: string, build: (chart: Chart) => void): string {
  const app = new App({ yamlOutputType: YamlOutputType.FILE_PER_APP });
  build(new Chart(app, name, { namespace: 'prefect' }));
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, app.synthYaml());
  return file;
}

/** Rules that checkov finds broken. */
function checkov(file: string): string[] {
  const [command, ...args] = CHECKOV;
  const output = execFileSync(
    command as string,
    [...args, '--file', file, '--framework', 'kubernetes', '--skip-download', '--soft-fail', '--output', 'json'],
    {
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    },
  );
  const { results, summary } = JSON.parse(output);
  expect(summary.parsing_errors).toBe(0);
  expect(summary.passed).toBeGreaterThan(50);
  return results.failed_checks.map(({ check_id }: { check_id: string }) => check_id);
}

/** Rules that kube-score grades critical, once for each finding. It exits with 1 when there are any. */
function kubeScore(file: string): string[] {
  const [command, ...args] = KUBE_SCORE;
  const { stdout, stderr, error } = spawnSync(command as string, [...args, 'score', '--output-format', 'json', file], { encoding: 'utf8' });
  if (error) throw new Error(`kube-score needs Go: ${error.message}`);
  if (!stdout.trim()) throw new Error(`kube-score did not run: ${stderr}`);
  const objects: { checks: { check: { id: string }; grade: number; skipped: boolean; comments: unknown[] }[] }[] = JSON.parse(stdout);
  const critical = objects.flatMap(({ checks }) => checks.filter(({ grade, skipped }) => grade === 1 && !skipped));
  return critical.flatMap(({ check, comments }) => comments.map(() => check.id));
}

const waived = (tool: string) => waivers.filter((waiver) => waiver.tool === tool).map(({ rule }) => rule);

describe.each([
  ['the hardened agent', hardened],
  ['the sweeper', sweeper],
  ['the worker and its observer', worker],
])('%s', (_, file) => {
  test('has nothing for checkov but the waivers', () => expect([...new Set(checkov(file))]).toEqual(waived('checkov')));
  test('has nothing critical for kube-score but the waivers', () => expect([...new Set(kubeScore(file))]).toEqual(waived('kube-score')));
});

describe('the waivers', () => {
  test('are at most 3, each with a reason', () => {
    expect(waivers.length).toBeLessThanOrEqual(3);
    expect(waivers.filter(({ reason }) => reason.length < 20)).toEqual([]);
  });
});

// Without these, a tool that no longer looks would pass for an agent that is sound.
describe('the stock agent, for comparison', () => {
  test('checkov', () => expect(checkov(stock).length).toBe(21));
  test('kube-score', () => expect(kubeScore(stock).length).toBe(9));
});
