import { spawnSync } from 'node:child_process';

/** How long a command takes, in milliseconds. */
export function time([command, ...args]) {
  const start = performance.now();
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${error ?? stderr}`);
  return performance.now() - start;
}

export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** Round by round: what else the machine does at the time is in both. */
export function ratios(ours, theirs) {
  return ours.map((sample, round) => sample / theirs[round]);
}
