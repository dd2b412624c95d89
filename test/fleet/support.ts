import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  EvictionPolicy,
  Fleet,
  type FleetTeamProps,
  type FlowJobTemplateProps,
  LogLevel,
  type PrefectAgentOptions,
  PrefectApi,
  SecretKeyRef,
} from '../../lib';
import { everyAgentProp, everyDaskProp, everyFlowJobProp } from '../every-prop';
import { newChart } from '../support';

export const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://api.prefect.io' });
/** A folder for each test, where `dist` is the output of `cdk8s synth`. */
export let output: string;
beforeEach(() => {
  output = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
  process.env.CDK8S_OUTDIR = join(output, 'dist');
});
afterEach(() => {
  delete process.env.CDK8S_OUTDIR;
  rmSync(output, { recursive: true });
});

export type Teams = { [name: string]: FleetTeamProps };

/** What is in the output after a fleet was synthesized: texts by paths. */
export function synth(teams: Teams, defaults: FleetTeamProps = { api }): Record<string, string> {
  new Fleet({ teams, defaults }).synth();
  return files();
}

/** A run of its own, as far as the library can tell. */
export function rerun(teams: Teams): Record<string, string> {
  // A process of its own would not know of the other fleet either.
  jest.isolateModules(() => new (require('../../lib') as typeof import('../../lib')).Fleet({ teams, defaults: { api } }).synth());
  return files();
}

export function files(folder = join(output, 'dist')): Record<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => statSync(join(folder, path)).isFile());
  return Object.fromEntries(paths.sort().map((path) => [path, readFileSync(join(folder, path), 'utf8')]));
}

/** What code gives, without leaving anything in the output. */
export function synthElsewhere(teams: Teams): Record<string, string> {
  new Fleet({ teams, folder: '../elsewhere' }).synth();
  return files(join(output, 'elsewhere'));
}

/** The same for a file of this text. */
export function synthFile(text: string, name = 'fleet.yaml'): Record<string, string> {
  const file = join(output, name);
  writeFileSync(file, text);
  new Fleet({ file, defaults: { api } }).synth();
  return files();
}

export function refusals(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    const [head, ...lines] = (error as Error).message
      .replaceAll(`${output}/`, '')
      .replace(/-launcher-[0-9a-f]{8}/g, '-launcher-00000000')
      .split('\n  ');
    expect(head).toBe(lines.length === 1 ? 'Fleet: 1 setting is invalid:' : `Fleet: ${lines.length} settings are invalid:`);
    expect(existsSync(join(output, 'dist'))).toBe(false);
    return lines;
  }
  throw new Error('nothing was refused');
}

export const everyRow: Required<FleetTeamProps> = (() => {
  const { api: everyApi, jobTemplate, debug, ...agent } = everyAgentProp(newChart('prefect'));
  // A row makes its own policy.
  const { dask, ...jobs } = everyFlowJobProp(undefined as never);
  return {
    namespace: 'prefect',
    resourceName: 'team',
    commonLabels: { 'example.com/team': 'data' },
    api: everyApi,
    agent: agent satisfies Required<PrefectAgentOptions>,
    jobs: {
      ...jobs,
      flowNamespace: 'flows',
      onEviction: EvictionPolicy.PROTECT,
      resourceName: 'team-jobs',
    } satisfies Required<Omit<FlowJobTemplateProps, 'dask'>>,
    dask: { ...everyDaskProp, flowNamespace: 'flows' },
    debug: { level: LogLevel.WARNING, flowLevel: LogLevel.DEBUG, resourceName: 'team-config' },
  };
})();
