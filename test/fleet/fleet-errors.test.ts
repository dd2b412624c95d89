import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApiObject, Chart, Duration } from 'cdk8s';
import type { Construct } from 'constructs';
import { Fleet, type FleetTeam, type FleetTeamProps } from '../../lib';
import { api, output, refusals, synth, synthFile } from './support';

// Everything that is wrong is said at once, and nothing is written.

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
    'fraud/Jobs: image',
    'fraud/Jobs: ttlAfterFinished',
    'fraud/Agent: labels[1]',
    'fraud/Agent: name',
    'fraud/Agent: image',
    'pricing/Debug: resourceName',
    'pricing/Dask: threads',
  ]);
});
test('of a field that another part gets from the agent once, and all other fields of that part', () => {
  const row = { agent: { flowNamespace: 'F', requestTimeout: Duration.millis(1) }, jobs: { image: 'flows' } };
  expect(refusals(() => synth({ fraud: row })).map((line) => line.split(' is')[0])).toEqual([
    'fraud/Jobs: flowNamespace',
    'fraud/Jobs: image',
    'fraud/Agent: requestTimeout',
  ]);
});
test('of the defaults once, naming the teams', () => {
  const defaults = { api, agent: { labels: ['a', 'a'] } };
  expect(refusals(() => synth({ fraud: {}, pricing: {}, research: { agent: { labels: [] } } }, defaults))).toEqual([
    '{fraud,pricing}/Agent: labels[1] is "a": it must not be given twice; leave one of them out',
  ]);
});
test('of a file, with its lines, beside what the constructs refuse', () => {
  const text = readFileSync(join(__dirname, 'wrong.yaml'), 'utf8');
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
test('a file that is not there', () => {
  expect(() => new Fleet({ file: '/none.yaml' }).synth()).toThrow(
    'Fleet: file is "/none.yaml": it must be a file that can be read (ENOENT: no such file',
  );
});
test.each([
  ['twice the same team', 'teams:\n  fraud: {}\n  fraud: {}\n', ['fleet.yaml:3: Map keys must be unique']],
  ['no YAML', 'teams: {', ['fleet.yaml:1: Flow map in block collection must be sufficiently indented and end with a }']],
  ['no teams', 'team: {}', ['fleet.yaml:1: the file: teams must be given', 'fleet.yaml:1: team is not known; did you mean teams?']],
  ['no map', '- fraud', ['fleet.yaml:1: the file is a list: it must be an object; write for example teams: { fraud: {} }']],
])('%s', (_, text, lines) => expect(refusals(() => synthFile(text))).toEqual(lines));
test('a key in the place of its reference is not repeated', () => {
  const text = 'teams: { fraud: { api: { cloud: { apiKey: s3cret, url: https://prefect.example } } } }';
  expect(refusals(() => synthFile(text))).toEqual([
    'fleet.yaml:1: teams.fraud.api.cloud.apiKey is a string: it must be an object; write for example apiKey: { name: prefect-api-key, key: key }',
  ]);
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
  expect(refusals(() => fleet.synth())).toEqual(['fleet.yaml:1: fraud: must be given once; leave it out of the file or of the code']);
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
test('a second chart, which no file would have', () => {
  class Nested extends Fleet {
    protected override makeTeam(scope: Construct, name: string, props: FleetTeamProps): FleetTeam {
      const team = super.makeTeam(scope, name, props);
      new Chart(team, 'Nested');
      return team;
    }
  }
  const fleet = new Nested({ teams: { fraud: {} }, defaults: { api } });
  expect(refusals(() => fleet.synth())).toEqual([expect.stringContaining('fraud/Nested: its chart must be in the chart of the team')]);
});
test('teams may share a namespace under names of their own', () => {
  const row = (resourceName: string) => ({ namespace: 'shared', resourceName, debug: {}, dask: {} });
  expect(Object.keys(synth({ fraud: row('fraud'), pricing: row('pricing') }))).toHaveLength(2);
});
