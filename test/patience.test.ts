import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PATIENCE } from './cluster/harness/eventually';

// A test counts, or compares within one run. What takes how long is for `npm run bench`, which reports it.

/** Waits that are shorter than the common patience, each with the reason. */
const SHORT: Record<string, string> = {
  'cluster/flows/dask_rounds.py timeout=5)': 'one of many tries',
  'cluster/flows/slow.py timeout=5)': 'one of many tries',
  'cluster/harness.test.ts timeout: 10': 'it is about a wait that fails',
  'cluster/harness/own/index.ts --timeout=10s': 'a node that is not ready is started anew',
  'cluster/harness/own/node.ts timeout: 500': 'one of many tries',
};

const files = readdirSync(__dirname, { recursive: true, encoding: 'utf8' }).filter(
  (file) => /\.(ts|py)$/.test(file) && file !== 'patience.test.ts',
);
const texts = files.map((file) => [file, readFileSync(join(__dirname, file), 'utf8')] as const);

/** How a wait says its end, and the milliseconds of what the number counts. */
const WAITS: [RegExp, number][] = [
  [/\btimeout: (\d[\d_]*)/g, 1],
  [/--timeout=(\d+)s/g, 1000],
  [/^\s*\}, (\d[\d_]*)\);$/gm, 1],
  [/\btimeout=(\d+)\)/g, 1000],
  [/\bmonotonic\(\) \+ (\d+)/g, 1000],
];

test('nothing is waited for less than the common patience', () => {
  const short = texts.flatMap(([file, text]) =>
    WAITS.flatMap(([wait, unit]) =>
      [...text.matchAll(wait)]
        .filter(([, number = '']) => Number(number.replaceAll('_', '')) * unit < PATIENCE)
        .map(([found]) => `${file} ${found.trim()}`),
    ),
  );
  expect(short.sort()).toEqual(Object.keys(SHORT).sort());
});

test('no test expects anything of a time that it took', () => {
  const clock = /(Date\.now\(\)|performance\.now\(\)|cpuUsage\(|hrtime|monotonic\(\)|perf_counter\(\)|time\.time\(\))/;
  const expecting = texts.flatMap(([file, text]) =>
    text
      .split('\n')
      .filter((line) => /^\s*(expect\(|assert )/.test(line) && clock.test(line))
      .map((line) => `${file} ${line.trim()}`),
  );
  expect(expecting).toEqual([]);
});
