import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { ApiObject, App, Lazy } from 'cdk8s';
import type { Construct } from 'constructs';
import {
  DebugConfig,
  EnvValue,
  Fleet,
  FleetTeam,
  type FleetTeamProps,
  FlowJobTemplate,
  LogLevel,
  PrefectAgent,
  PrefectApi,
} from '../../lib';
import { chartWith, tree } from '../support';
import { api, everyRow, files, output, rerun, synth, type Teams } from './support';

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
  test('its agent is told of a sweeper that is in another app, as any sweeper of a fleet is', () => {
    const { args } = team({ agent: { sweeper: true } }).agent.deployment.toJson().spec.template.spec.containers[0];
    expect(args).toEqual(expect.arrayContaining(['--sweeper=true', '--sweeper-of-image-pulls=true']));
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
      'Fleet: folder is "": it must not be the folder of another fleet',
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

test.each([5, 40])('%d teams: each construct is validated once, each object resolved once', (count) => {
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
  expect([validations, resolutions]).toEqual([count, 8 * count]);
});

describe('maps from elsewhere are merged as any other', () => {
  const plain = { jobs: { env: { A: EnvValue.of('1') }, podLabels: { stage: 'test' } }, agent: { labels: ['fraud'] } };
  const defaults: FleetTeamProps = { api, jobs: { image: 'registry.example/flows:42', env: { B: EnvValue.of('2') } } };
  const bare = (value: object): object => Object.assign(Object.create(null), mapValues(value, bare));
  const foreign = (value: object): object => Object.assign(runInNewContext('({})'), mapValues(value, foreign));

  const rows = { fraud: plain, every: { ...everyRow, namespace: 'every' } };
  const expected = () => {
    new Fleet({ teams: rows, defaults, folder: 'expected' }).synth();
    return files(join(output, 'dist', 'expected'));
  };

  test.each([
    ['without a prototype', bare],
    ['of another realm', foreign],
  ])('%s', (_, make) => {
    new Fleet({ teams: make(rows) as Teams, defaults: make(defaults), folder: 'given' }).synth();
    expect(files(join(output, 'dist', 'given'))).toEqual(expected());
  });
});

/** The same keys; of values that are maps, but not instances of classes, what `make` makes. */
function mapValues(value: object, make: (value: object) => object): object {
  const isMap = (item: unknown) => typeof item === 'object' && item !== null && Object.getPrototypeOf(item) === Object.prototype;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, isMap(item) ? make(item) : item]));
}
