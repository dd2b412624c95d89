import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Assembly } from '@jsii/spec';
import { documented } from './assembly';
import { root } from './documents';
import { exceptions } from './words';

/** The words of a name: `flowEnvVars`, `FLOW_ENV_VARS` and `flow-env-vars` have the same. */
function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.toLowerCase())
    .filter(Boolean);
}

/** The names of a library that jsii has compiled. */
function namesOf(library: string): string[] {
  const { types = {} }: Assembly = JSON.parse(readFileSync(join(root, 'node_modules', library, '.jsii'), 'utf8'));
  return Object.values(types).flatMap((type) => [
    type.name,
    ...('members' in type ? type.members : [...(type.properties ?? []), ...(type.methods ?? [])]).map(({ name }) => name),
  ]);
}

const python: Record<string, string[]> = JSON.parse(execFileSync('python3', [join(__dirname, 'words.py')], { encoding: 'utf8' }));
const prefect3: string[] = JSON.parse(
  execFileSync(process.execPath, [join(root, 'scripts/with-python.mjs'), 'prefect3', 'python3', join(__dirname, 'words3.py')], {
    encoding: 'utf8',
  }),
);
const list = new Set([
  ...Object.values(python).flat(),
  ...prefect3,
  // cdk8s-plus-27 has the Kubernetes API in it.
  ...['cdk8s', 'constructs', 'cdk8s-plus-27'].flatMap(namesOf).flatMap(wordsOf),
]);
const used = documented.flatMap(({ name, path }) => wordsOf(name).map((word) => ({ word, path })));

test('the list is made of each of its sources', () => {
  expect(list.size).toBeGreaterThan(1000);
  // A word that only one of them brings.
  for (const word of ['heartbeat', 'nthreads', 'seccomp', 'mebibytes', 'workspace']) expect(list).toContain(word);
});

test('each word of each public name is a word of Prefect, Kubernetes, Dask or cdk8s, or an exception with its reason', () => {
  expect(used.filter(({ word }) => !list.has(word) && !(word in exceptions)).map(({ word, path }) => `${word} in ${path}`)).toEqual([]);
});

test('no exception is needless', () => {
  const words = used.map(({ word }) => word);
  expect(Object.keys(exceptions).filter((word) => list.has(word) || !words.includes(word))).toEqual([]);
});
