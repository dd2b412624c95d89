import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiObject, App, Duration, Lazy } from 'cdk8s';
import type { Construct } from 'constructs';
import {
  DebugConfig,
  EvictionPolicy,
  Fleet,
  FleetTeam,
  type FleetTeamProps,
  FlowJobTemplate,
  type FlowJobTemplateProps,
  LogLevel,
  PrefectAgent,
  type PrefectAgentOptions,
  PrefectApi,
  SecretKeyRef,
} from '../lib';
import { everyAgentProp, everyDaskProp, everyFlowJobProp } from './every-prop';
import { chartWith, newChart, tree } from './support';

const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key') });
const root = join(__dirname, '..');

let output: string;
beforeEach(() => {
  output = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
  process.env.CDK8S_OUTDIR = join(output, 'dist');
});
afterEach(() => {
  delete process.env.CDK8S_OUTDIR;
  rmSync(output, { recursive: true });
});

type Teams = { [name: string]: FleetTeamProps };

/** What is in the output after a fleet was synthesized: texts by paths. */
function synth(teams: Teams, defaults: FleetTeamProps = { api }): Record<string, string> {
  new Fleet({ teams, defaults }).synth();
  return files();
}

/** A run of its own, as far as the library can tell. */
function rerun(teams: Teams): Record<string, string> {
  // A process of its own would not know of the other fleet either.
  jest.isolateModules(() => new (require('../lib') as typeof import('../lib')).Fleet({ teams, defaults: { api } }).synth());
  return files();
}

function files(folder = join(output, 'dist')): Record<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => statSync(join(folder, path)).isFile());
  return Object.fromEntries(paths.sort().map((path) => [path, readFileSync(join(folder, path), 'utf8')]));
}

/** What code gives, without leaving anything in the output. */
function synthElsewhere(teams: Teams): Record<string, string> {
  new Fleet({ teams, folder: '../elsewhere' }).synth();
  return files(join(output, 'elsewhere'));
}

/** The same for a file of this text. */
function synthFile(text: string, name = 'fleet.yaml'): Record<string, string> {
  const file = join(output, name);
  writeFileSync(file, text);
  new Fleet({ file, defaults: { api } }).synth();
  return files();
}

function refusals(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    const [head, ...lines] = (error as Error).message.replaceAll(`${output}/`, '').split('\n  ');
    expect(head).toBe(`Fleet: ${lines.length} settings are refused:`);
    expect(existsSync(join(output, 'dist'))).toBe(false);
    return lines;
  }
  throw new Error('nothing was refused');
}

const everyRow: Required<FleetTeamProps> = (() => {
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

describe('FleetTeam', () => {
  const team = (props: FleetTeamProps) => new FleetTeam(new App(), 'fraud', { api, ...props });

  test('paths are a contract', () => {
    expect(tree(team({ debug: {}, dask: {} })).filter((line) => line.split('/').length < 3)).toEqual([
      'fraud FleetTeam',
      'fraud/Debug DebugConfig',
      'fraud/Dask DaskWorkerPolicy',
      'fraud/Jobs FlowJobTemplate',
      'fraud/Agent PrefectAgent',
    ]);
  });
  test('the namespace is the name of the team', () => expect(team({}).namespace).toBe('fraud'));
  test('resourceName begins all names', () => {
    const { agent, jobTemplate, debug, dask } = team({ resourceName: 'x', debug: {}, dask: {} });
    expect([agent.resourceName, jobTemplate.configMapName, debug?.configMapName, dask?.resourceName]).toEqual([
      'x',
      'x-job-template',
      'x-config',
      'x-dask',
    ]);
  });
  test('the namespace of the flows is said once, of the agent', () => {
    const { jobTemplate, dask } = team({ agent: { flowNamespace: 'flows' }, dask: {} });
    expect([jobTemplate.flowNamespace, dask?.flowNamespace]).toEqual(['flows', 'flows']);
  });
  test('is what one would write by hand', () => {
    const byHand = chartWith((chart) => {
      const debug = new DebugConfig(chart, 'Debug', { level: LogLevel.DEBUG });
      const jobTemplate = new FlowJobTemplate(chart, 'Jobs', { image: 'registry.example/flows:42' });
      new PrefectAgent(chart, 'Agent', { api, labels: ['fraud'], debug, jobTemplate });
    }, 'fraud');
    const row = { debug: { level: LogLevel.DEBUG }, jobs: { image: 'registry.example/flows:42' }, agent: { labels: ['fraud'] } };
    expect(team(row).toJson()).toEqual(byHand.toJson());
  });
});

describe('output', () => {
  const teams: Teams = {
    fraud: { agent: { labels: ['fraud'] } },
    every: everyRow,
    // Names that cdk8s treats in ways of its own.
    default: {},
    resource: { namespace: 'other' },
    [`${'a'.repeat(31)}-${'b'.repeat(31)}`]: {},
  };

  test('the bytes of an App with the same charts, in a folder for each team', () => {
    const app = new App({ outdir: join(output, 'stock') });
    for (const [name, row] of Object.entries(teams)) new FleetTeam(app, name, { api, ...row });
    app.synth();
    const stock = Object.values(files(app.outdir));
    const fleet = synth(teams);
    expect(Object.keys(fleet)).toEqual(
      Object.keys(teams)
        .map((name) => `${name}/${name}.k8s.yaml`)
        .sort(),
    );
    expect(Object.values(fleet).sort()).toEqual(stock.sort());
  });
  test('the same from run to run, without a file touched', () => {
    const before = synth(teams);
    const times = () => Object.keys(before).map((path) => statSync(join(output, 'dist', path)).mtimeMs);
    const untouched = times();
    expect(rerun(teams)).toEqual(before);
    expect(times()).toEqual(untouched);
  });
  test('a changed row changes the files of its team alone', () => {
    const { 'fraud/fraud.k8s.yaml': before, ...others } = synth(teams);
    const { 'fraud/fraud.k8s.yaml': after, ...othersAfter } = rerun({ ...teams, fraud: { agent: { labels: ['changed'] } } });
    expect(othersAfter).toEqual(others);
    expect(after).not.toBe(before);
  });
  test('a team that was removed leaves nothing', () => {
    synth({ fraud: {}, pricing: {} });
    expect(Object.keys(rerun({ fraud: {} }))).toEqual(['fraud/fraud.k8s.yaml']);
    expect(readdirSync(join(output, 'dist'))).toEqual(['fraud']);
  });
  test('what others wrote stays', () => {
    synth({ fraud: {}, pricing: {} });
    const dist = join(output, 'dist');
    mkdirSync(join(dist, 'own'));
    for (const file of ['own/own.yaml', 'pricing/notes.txt', 'app.k8s.yaml']) writeFileSync(join(dist, file), '');
    expect(Object.keys(rerun({ fraud: {} }))).toEqual(['app.k8s.yaml', 'fraud/fraud.k8s.yaml', 'own/own.yaml', 'pricing/notes.txt']);
  });
  test('folder', () => {
    new Fleet({ folder: 'production', teams: { fraud: {} }, defaults: { api } }).synth();
    new Fleet({ folder: 'staging', teams: { fraud: {} }, defaults: { api } }).synth();
    expect(Object.keys(files())).toEqual(['production/fraud/fraud.k8s.yaml', 'staging/fraud/fraud.k8s.yaml']);
  });
  test('refuses two fleets in one folder', () => {
    synth({ fraud: {} });
    expect(() => new Fleet({ teams: { pricing: {} }, defaults: { api } }).synth()).toThrow(
      'Fleet: folder is "": it must not be that of another fleet',
    );
    expect(Object.keys(files())).toEqual(['fraud/fraud.k8s.yaml']);
  });
  test('refuses an empty table', () => expect(() => synth({})).toThrow('Fleet: teams must not be empty'));
});

describe('a row over the defaults', () => {
  const merged = (defaults: FleetTeamProps, row: FleetTeamProps) => {
    let props: FleetTeamProps = {};
    class Spy extends Fleet {
      protected override makeTeam(scope: Construct, name: string, given: FleetTeamProps): FleetTeam {
        props = given;
        return super.makeTeam(scope, name, given);
      }
    }
    new Spy({ teams: { fraud: row }, defaults: { api, ...defaults } }).synth();
    return props;
  };

  test('maps merge by their keys, at every depth', () => {
    const { agent } = merged({ agent: { name: 'a', flowEnvVars: { A: '1', B: '1' } } }, { agent: { flowEnvVars: { B: '2' } } });
    expect(agent).toEqual({ name: 'a', flowEnvVars: { A: '1', B: '2' } });
  });
  test('lists and values replace', () => {
    const other = PrefectApi.server({ url: 'http://prefect.example:4200' });
    const { agent, api: given } = merged({ agent: { labels: ['a', 'b'] } }, { agent: { labels: ['c'] }, api: other });
    expect([agent?.labels, given]).toEqual([['c'], other]);
  });
  test('undefined takes a default away', () => {
    expect(merged({ debug: {}, agent: { name: 'a' } }, { debug: undefined, agent: { name: undefined } })).toMatchObject({
      debug: undefined,
      agent: { name: undefined },
    });
  });
});

describe('a file', () => {
  test('can say every prop', () => {
    const text = readFileSync(join(__dirname, 'fleets', 'every-prop.yaml'), 'utf8');
    expect(synthFile(text)).toEqual(synthElsewhere({ every: everyRow }));
  });
  test('may be JSON', () => {
    const text = JSON.stringify({ $schema: 'fleet.schema.json', teams: { fraud: { jobs: { ttlAfterFinished: '300s' } } } });
    expect(synthFile(text, 'fleet.json')['fraud/fraud.k8s.yaml']).toContain('ttlSecondsAfterFinished: 300');
  });
  test('null takes a default away, and a team may say nothing', () => {
    const written = synthFile('defaults: { debug: {} }\nteams:\n  fraud: { debug: null }\n  pricing:\n');
    expect(Object.entries(written).map(([path, text]) => [path, text.includes('config-toml')])).toEqual([
      ['fraud/fraud.k8s.yaml', false],
      ['pricing/pricing.k8s.yaml', true],
    ]);
  });
  test.each([
    ['1h30m', 'activeDeadlineSeconds: 5400'],
    ['1d', 'activeDeadlineSeconds: 86400'],
    ['90s', 'activeDeadlineSeconds: 90'],
    ['1000ms', 'activeDeadlineSeconds: 1'],
  ])('a time of %s', (time, expected) => {
    const written = synthFile(`teams: { fraud: { jobs: { activeDeadline: ${time} } } }`);
    expect(written['fraud/fraud.k8s.yaml']).toContain(expected);
  });
  test.each([
    ['memoryLimit', '1.5Gi', 'memory: 1536Mi'],
    ['memoryLimit', '2048Ki', 'memory: 2Mi'],
    ['ephemeralStorageLimit', '1Ti', 'ephemeral-storage: 1Ti'],
    ['cpuLimit', '0.25', 'cpu: 250m'],
    ['cpuLimit', '3', 'cpu: 3000m'],
  ])('%s: %s', (resource, amount, expected) => {
    const written = synthFile(`teams: { fraud: { jobs: { resources: { ${resource}: ${amount} } } } }`);
    expect(written['fraud/fraud.k8s.yaml']).toContain(expected);
  });
  test.each([
    ['secret: { secretName: s }, readOnly: false', 'secretName: s'],
    ['configMap: { name: c }, subPath: a/b', 'subPath: a/b'],
    ['emptyDir: { medium: Memory }', 'medium: Memory'],
    ['emptyDir: {}', 'emptyDir: {}'],
  ])('a volume from %s', (source, expected) => {
    const written = synthFile(`teams: { fraud: { agent: { volumes: { v: { mountPath: /v, ${source} } } } } }`);
    expect(written['fraud/fraud.k8s.yaml']).toContain(expected);
  });
  test.each([
    ['configMapKeyRef: { name: c, key: k }', 'configMapKeyRef:'],
    ['fieldRef: { fieldPath: status.hostIP }', 'fieldPath: status.hostIP'],
  ])('a variable from %s', (source, expected) => {
    const written = synthFile(`teams: { fraud: { agent: { env: { V: { ${source} } } } } }`);
    expect(written['fraud/fraud.k8s.yaml']).toContain(expected);
  });
  test('the API may be a server', () => {
    const written = synthFile("teams: { fraud: { api: { server: { url: 'http://prefect.example:4200' } } } }");
    expect(written['fraud/fraud.k8s.yaml']).toContain('value: http://prefect.example:4200');
  });
  test('aliases stand for as many teams as there are', () => {
    const rows = Array.from({ length: 101 }, (_, i) => `  team-${i}: *small\n`).join('');
    const written = synthFile(`teams:\n  first: &small { agent: { requestTimeout: 20s } }\n${rows}`);
    expect(Object.values(written).filter((text) => /REQUEST_TIMEOUT\n +value: "20"/.test(text))).toHaveLength(102);
  });
  test('its teams are beside those of the code, its defaults over those of the code', () => {
    const file = join(output, 'fleet.yaml');
    writeFileSync(file, 'defaults: { agent: { name: from-file } }\nteams: { pricing: {} }');
    new Fleet({ file, defaults: { api, agent: { name: 'from-code', labels: ['kube'] } }, teams: { fraud: {} } }).synth();
    for (const text of Object.values(files())) expect(text).toMatch(/--name=from-file\n.*--label=kube/);
    expect(Object.keys(files())).toHaveLength(2);
  });
  test('the published schema is that of the props', () => {
    const generated = join(output, 'fleet.schema.json');
    execFileSync('node', [join(root, 'scripts', 'fleet-schema.mjs'), generated]);
    expect(readFileSync(join(root, 'lib', 'fleet.schema.json'), 'utf8')).toBe(readFileSync(generated, 'utf8'));
  });
  test('only who reads one waits for its libraries', () => {
    const loaded: string[] = [];
    jest.isolateModules(() => {
      for (const name of ['ajv', 'yaml']) {
        jest.doMock(name, () => {
          loaded.push(name);
          return jest.requireActual(name);
        });
      }
      const { Fleet: fresh } = require('../lib') as typeof import('../lib');
      expect(loaded).toEqual([]);
      writeFileSync(join(output, 'fleet.yaml'), 'teams: { fraud: {} }');
      new fresh({ file: join(output, 'fleet.yaml'), defaults: { api } }).synth();
      expect(loaded).toEqual(['yaml', 'ajv']);
    });
  });
});

describe('everything that is wrong is said at once', () => {
  test('of every team and every field of a table', () => {
    const lines = refusals(() =>
      synth({
        fraud: {
          namespace: 'Fraud',
          agent: { labels: ['a', 'a'], name: ' ', image: 'prefect:latest' },
          jobs: { ttlAfterFinished: Duration.seconds(60), image: 'flows' },
        },
        pricing: { debug: { resourceName: '_' }, dask: { threads: 0 } },
        research: {},
      }),
    );
    expect(lines.map((line) => line.split(/ is|:? it must/)[0])).toEqual([
      'fraud: namespace',
      'fraud/Jobs: ttlAfterFinished',
      'fraud/Jobs: image',
      'fraud/Agent: labels[1]',
      'fraud/Agent: name',
      'fraud/Agent: image',
      'pricing/Debug: resourceName',
      'pricing/Dask: threads',
    ]);
  });
  test('of the defaults once, naming the teams', () => {
    const defaults = { api, agent: { labels: ['a', 'a'] } };
    expect(refusals(() => synth({ fraud: {}, pricing: {}, research: { agent: { labels: [] } } }, defaults))).toEqual([
      '{fraud,pricing}/Agent: labels[1] is "a": it must not be given twice; leave one of them out',
    ]);
  });
  test('of a file, with its lines, beside what the constructs refuse', () => {
    const text = readFileSync(join(__dirname, 'fleets', 'wrong.yaml'), 'utf8');
    expect(refusals(() => synthFile(text))).toMatchSnapshot('wrong.yaml');
  });
  test('of validations that users add', () => {
    class Strict extends Fleet {
      protected override makeTeam(scope: Construct, name: string, props: FleetTeamProps): FleetTeam {
        const team = super.makeTeam(scope, name, props);
        team.agent.node.addValidation({ validate: () => [`${name} needs an owner`] });
        return team;
      }
    }
    const lines = refusals(() => new Strict({ teams: { fraud: {}, pricing: {} }, defaults: { api } }).synth());
    expect(lines).toEqual(['fraud: [fraud/Agent] fraud needs an owner', 'pricing: [pricing/Agent] pricing needs an owner']);
  });
  test.each([
    ['twice the same team', 'teams:\n  fraud: {}\n  fraud: {}\n', ['fleet.yaml:3: Map keys must be unique']],
    ['no YAML', 'teams: {', ['fleet.yaml:1: Flow map in block collection must be sufficiently indented and end with a }']],
    [
      'no teams',
      'team: {}',
      ['fleet.yaml:1: the file: teams must be given', 'fleet.yaml:1: team is not known; known here are $schema, defaults, teams'],
    ],
    ['no map', '- fraud', ['fleet.yaml:1: the file is a list: it must be a map']],
  ])('%s', (_, text, lines) => expect(refusals(() => synthFile(text))).toEqual(lines));
  test('a key in the place of its reference is not repeated', () => {
    const text = 'teams: { fraud: { api: { cloud: { apiKey: s3cret } } } }';
    expect(refusals(() => synthFile(text))).toEqual(['fleet.yaml:1: teams.fraud.api.cloud.apiKey is a text: it must be a map']);
  });
  test('an API is needed', () => {
    expect(refusals(() => synth({ fraud: {} }, {}))).toEqual([
      'fraud: api must be given; give it to the team, or to the defaults of the fleet',
    ]);
  });
  test('the name of a team', () => {
    expect(refusals(() => synth({ Fraud: {}, '../x': {} })).map((line) => line.slice(0, 32))).toEqual([
      'Fraud: the name of the team is "',
      '../x: the name of the team is ".',
    ]);
  });
  test('a team that is given twice', () => {
    writeFileSync(join(output, 'fleet.yaml'), 'teams: { fraud: {} }');
    const fleet = new Fleet({ file: join(output, 'fleet.yaml'), teams: { fraud: {} }, defaults: { api } });
    expect(refusals(() => fleet.synth())).toEqual(['fraud: must be given once; leave it out of the file or of the code']);
  });
  test('objects that two teams would make', () => {
    const [line, ...others] = refusals(() => synth({ fraud: { namespace: 'shared' }, pricing: { namespace: 'shared' } }));
    expect(others).toEqual([]);
    expect(line).toMatch(/^pricing: makes what another team makes: ConfigMap shared\/prefect-job-template of fraud, .*; give one of them/);
    expect(line).toContain('Deployment shared/prefect-agent of fraud');
  });
  test('also those that users add', () => {
    class Shared extends Fleet {
      protected override makeTeam(scope: Construct, name: string, props: FleetTeamProps): FleetTeam {
        const team = super.makeTeam(scope, name, props);
        new ApiObject(team, 'Namespace', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'flows', namespace: '' } });
        return team;
      }
    }
    const fleet = new Shared({ teams: { fraud: {}, pricing: {} }, defaults: { api } });
    expect(refusals(() => fleet.synth())).toEqual([expect.stringContaining('Namespace /flows of fraud')]);
  });
  test('teams may share a namespace under names of their own', () => {
    const row = (resourceName: string) => ({ namespace: 'shared', resourceName, debug: {}, dask: {} });
    expect(Object.keys(synth({ fraud: row('fraud'), pricing: row('pricing') }))).toHaveLength(2);
  });
});

test.each([5, 40])('%d teams: each construct is validated twice, each object resolved once', (count) => {
  let validations = 0;
  let resolutions = 0;
  class Counting extends Fleet {
    protected override makeTeam(scope: Construct, name: string, props: FleetTeamProps): FleetTeam {
      const team = super.makeTeam(scope, name, props);
      team.node.addValidation({
        validate: () => {
          validations++;
          return [];
        },
      });
      for (const object of team.node.findAll().filter(ApiObject.isApiObject)) {
        object.metadata.addAnnotation('example.com/counted', Lazy.any({ produce: () => String(++resolutions) }) as unknown as string);
      }
      return team;
    }
  }
  const teams = Object.fromEntries(Array.from({ length: count }, (_, i) => [`team-${i}`, { debug: {} }]));
  new Counting({ teams, defaults: { api } }).synth();
  // 8 objects: DebugConfig 1, FlowJobTemplate 1, AgentRbac 3, PrefectAgent 3.
  expect([validations, resolutions]).toEqual([2 * count, 8 * count]);
});
