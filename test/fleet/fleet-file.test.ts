import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fleet } from '../../lib';
import { api, everyRow, files, output, synthElsewhere, synthFile } from './support';

const root = join(__dirname, '../..');

test('can say every prop', () => {
  const text = readFileSync(join(__dirname, 'every-prop.yaml'), 'utf8');
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
  expect(readFileSync(join(root, 'lib', 'fleet', 'fleet.schema.json'), 'utf8')).toBe(readFileSync(generated, 'utf8'));
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
    const { Fleet: fresh } = require('../../lib') as typeof import('../../lib');
    expect(loaded).toEqual([]);
    writeFileSync(join(output, 'fleet.yaml'), 'teams: { fraud: {} }');
    new fresh({ file: join(output, 'fleet.yaml'), defaults: { api } }).synth();
    expect(loaded.sort()).toEqual(['ajv', 'yaml']);
  });
});
