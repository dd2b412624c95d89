import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const lib = join(__dirname, '../lib');

/** The folders of `lib/`, lowest first, each with the folders that it may import from. */
const MAY_IMPORT: Record<string, string[]> = {
  kubernetes: [],
  'prefect-api': ['kubernetes'],
  dask: ['kubernetes'],
  'flow-job': ['kubernetes', 'prefect-api', 'dask'],
  agent: ['kubernetes', 'prefect-api', 'dask', 'flow-job'],
  worker: ['kubernetes', 'prefect-api', 'dask', 'flow-job'],
  sweeper: ['kubernetes', 'prefect-api'],
  review: ['kubernetes', 'prefect-api', 'dask', 'flow-job', 'agent', 'worker', 'sweeper'],
  fleet: ['kubernetes', 'prefect-api', 'dask', 'flow-job', 'agent', 'worker', 'sweeper'],
};

const files = readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts') && file !== 'index.ts');

/** Paths from `lib/` of the modules that a file names, whether it imports types or values. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(lib, file), 'utf8');
  return [...text.matchAll(/(?:from|import\(|require\()\s*'(\.[^']*)'/g)].map(([, path]) =>
    relative(lib, join(lib, dirname(file), path as string)),
  );
}

test('every file is in a folder that has its place in the order', () => {
  expect(new Set(files.map((file) => dirname(file)))).toEqual(new Set(Object.keys(MAY_IMPORT)));
});

test.each(files)('%s imports from its own folder and those below it', (file) => {
  const own = dirname(file);
  const others = importsOf(file)
    .map((path) => dirname(path))
    .filter((folder) => folder !== own && folder !== '../imports');
  expect([own, ...(MAY_IMPORT[own] ?? [])]).toEqual(expect.arrayContaining(others));
});

test('no files import each other in a circle', () => {
  const graph = new Map(files.map((file) => [file, importsOf(file).map((path) => `${path}.ts`)]));
  const done = new Set<string>();
  const visit = (file: string, trail: string[]): void => {
    expect(trail.includes(file) ? [...trail, file] : []).toEqual([]);
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
});
