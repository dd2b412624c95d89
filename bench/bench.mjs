// Times what users wait for, each beside what it is compared with, in turns within one run: npm run bench [-- ROUNDS]
// Absolute times say more about the machine than about the library; the ratio of the medians is the figure.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const rounds = Number(process.argv[2] ?? 9);
const output = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-bench-'));

const synth = (app) => ['cdk8s', 'synth', '--no-check-upgrade', '--app', `node --import tsx ${app}`, '--output', join(output, 'dist')];
const comparisons = [
  { name: 'cdk8s synth of main.ts / of an empty app', ours: synth('main.ts'), theirs: synth('bench/empty.ts'), target: 1.3 },
];

try {
  for (const { name, ours, theirs, target } of comparisons) {
    time(ours);
    time(theirs);
    const samples = Array.from({ length: rounds }, () => [time(ours), time(theirs)]);
    const [ourMedian, theirMedian] = [0, 1].map((side) => median(samples.map((pair) => pair[side])));
    const ratio = (ourMedian / theirMedian).toFixed(2);
    console.log(`${name}: ${ratio} (at most ${target}; medians of ${rounds}: ${Math.round(ourMedian)} ms / ${Math.round(theirMedian)} ms)`);
  }
} finally {
  rmSync(output, { recursive: true });
}

function time([command, ...args]) {
  const start = performance.now();
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${stderr}`);
  return performance.now() - start;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
