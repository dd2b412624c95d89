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

/** Of what was measured in the same round, if both were in each: what else the machine does then is in both. */
export function ratio(ours, theirs) {
  if (ours.length !== theirs.length) return median(ours) / median(theirs);
  return median(ours.map((sample, round) => sample / theirs[round]));
}
