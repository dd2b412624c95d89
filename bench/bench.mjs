// Times what users wait for, each beside what it is compared with, in turns within one run: npm run bench [-- --small] [ROUNDS]
// Absolute times say more about the machine than about the library; the ratio of the medians is the figure.
// Results are in .cache/bench/, as JSON and as a plot. --small leaves out large fleets, with their targets, Helm and Prefect's CLI.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { helmTemplate, prefectInstall } from './others.mjs';
import { plot } from './plot.mjs';
import { median, ratios, time } from './samples.mjs';
import { versions } from './versions.mjs';

const small = process.argv.includes('--small');
const rounds = Number(process.argv.slice(2).find((arg) => /^\d+$/.test(arg)) ?? 5);
const sizes = small ? [1, 10, 100] : [1, 10, 100, 1000, 2000, 4000];
const largestStock = small ? 100 : 2000;
const largest = sizes.at(-1);
// In memory where there is such a place: what is measured is not the disk, and who else uses it.
const scratch = process.env.TMPDIR === undefined && existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const folder = mkdtempSync(join(scratch, 'cdk8s-prefect-bench-'));
const results = join(import.meta.dirname, '..', '.cache', 'bench');

/** Name in the plot, and argument of synth.cjs. */
const subjects = {
  'cdk8s-prefect, a table': 'ours',
  'cdk8s-prefect, a file': 'file',
  'YAML library alone': 'yaml',
  'YAML library and files': 'yaml and files',
  'stock cdk8s': 'stock',
};

/** The hash of the first output for each number of agents. */
const digests = new Map();

try {
  execFileSync('npm', ['run', '--silent', 'compile'], { stdio: 'ignore' });
  // Of one agent alone, by name.
  const commands = small ? {} : { helm: helmTemplate(folder), cli: prefectInstall() };
  const { fleets, agent } = measureFleets(commands);
  const startUp = measureStartUp();
  const imports = measureImports();
  const guard = measureGuard();
  const review = measureReview();
  await report({ fleets, startUp, imports, guard, review, agent });
} finally {
  rmSync(folder, { recursive: true });
}

/** For each subject and size, and each command: samples, each of a process of its own. */
function measureFleets(commands) {
  const runs = sizes.flatMap((agents) =>
    Object.entries(subjects)
      .filter(([, subject]) => subject !== 'stock' || agents <= largestStock)
      .map(([name, subject]) => ({ name, subject, agents, millis: [], mebibytes: [] })),
  );
  const agent = Object.fromEntries(Object.keys(commands).map((name) => [name, []]));
  for (const agents of sizes) synth('inputs', agents);
  for (let round = 0; round < rounds; round++) {
    for (const run of runs) {
      const { millis, mebibytes } = synth(run.subject, run.agents);
      if (round === 0 && run.subject !== 'yaml') checkBytes(run);
      run.millis.push(millis);
      run.mebibytes.push(mebibytes);
    }
    for (const [name, command] of Object.entries(commands)) agent[name].push(median(Array.from({ length: 5 }, () => time(command))));
  }
  return { fleets: runs, agent };
}

/** Whoever writes manifests writes the same: what is faster must not be less. */
function checkBytes({ name, agents }) {
  const files = readdirSync(join(folder, 'dist'), { recursive: true }).filter((file) => file.endsWith('.k8s.yaml'));
  if (files.length !== agents) throw new Error(`${name} has written ${files.length} files for ${agents} agents`);
  const hash = createHash('sha256');
  for (const file of files.sort((a, b) => (basename(a) < basename(b) ? -1 : 1))) hash.update(readFileSync(join(folder, 'dist', file)));
  const digest = hash.digest('hex');
  if ((digests.get(agents) ?? digest) !== digest) throw new Error(`${name} has written other bytes than the first, for ${agents} agents`);
  digests.set(agents, digest);
}

function synth(subject, agents) {
  rmSync(join(folder, 'dist'), { recursive: true, force: true });
  const { status, stdout, stderr } = spawnSync('node', [join(import.meta.dirname, 'synth.cjs'), subject, agents, folder], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`synth.cjs ${subject} ${agents} failed: ${stderr}`);
  return JSON.parse(stdout);
}

/** The whole command, from cold: main.ts, and an app without a library. */
function measureStartUp() {
  const command = (app) => ['cdk8s', 'synth', '--no-check-upgrade', '--app', `node --import tsx ${app}`, '--output', join(folder, 'dist')];
  const [ours, empty] = [command('main.ts'), command('bench/empty.ts')];
  time(ours);
  time(empty);
  const samples = Array.from({ length: Math.max(rounds, 5) }, () => [time(ours), time(empty)]);
  return { ours: samples.map(([sample]) => sample), empty: samples.map(([, sample]) => sample) };
}

/** `require` of what we depend on, then of the library, in milliseconds. */
function measureImports() {
  const program = `
    const start = performance.now();
    require('cdk8s'), require('constructs');
    const dependencies = performance.now();
    require('./build/lib');
    console.log(JSON.stringify([dependencies - start, performance.now() - dependencies]));`;
  const samples = Array.from({ length: 2 * rounds + 1 }, () => JSON.parse(execFileSync('node', ['-e', program], { encoding: 'utf8' })));
  return { dependencies: samples.map(([sample]) => sample), library: samples.map(([, sample]) => sample) };
}

/** A fleet with and without the checks of props, in turns. */
function measureGuard() {
  const agents = small ? 100 : 1000;
  const guard = [join(import.meta.dirname, 'guard.cjs'), agents, 4 * rounds, folder];
  return JSON.parse(execFileSync('node', guard, { encoding: 'utf8' }));
}

/** The review of a fleet of which every agent changes, beside synthesizing it, in turns. */
function measureReview() {
  const program = [join(import.meta.dirname, 'review.cjs'), small ? 200 : 4000, rounds, folder];
  return JSON.parse(execFileSync('node', program, { encoding: 'utf8' }));
}

function report({ fleets, startUp, imports, guard, review, agent }) {
  const of = (subject, agents) => fleets.find((run) => run.subject === subject && run.agents === agents);
  const millis = (subject, agents) => of(subject, agents).millis;
  const perAgent = millis('ours', largest).map((sample) => sample / largest);
  const large = (target) => (small ? {} : target);
  const comparisons = [
    { name: 'cdk8s synth of main.ts / of an empty app', values: ratios(startUp.ours, startUp.empty), atMost: 1.3 },
    { name: 'ms to import the library, beyond its dependencies', values: imports.library, atMost: 20 },
    { name: 'a fleet / the same without the checks of props', values: ratios(guard.on, guard.off), atMost: 1.05 },
    { name: 'to review a fleet / to synthesize it', values: ratios(review.review, review.synthesis), atMost: 1 },
    { name: 'importing the library / importing cdk8s', values: ratios(imports.library, imports.dependencies), atMost: 0.5 },
    {
      name: `${largest} agents / YAML library alone`,
      values: ratios(millis('ours', largest), millis('yaml', largest)),
      ...large({ atMost: 1.7 }),
    },
    {
      name: `${largest} agents / YAML library, writing the same files`,
      values: ratios(millis('ours', largest), millis('yaml and files', largest)),
    },
    { name: `${largest} agents from a file / from a table`, values: ratios(millis('file', largest), millis('ours', largest)) },
    { name: `MiB for ${largest} agents`, values: of('ours', largest).mebibytes, ...large({ atMost: 1024 }) },
    {
      name: `stock cdk8s / ours, ${largestStock} agents`,
      values: ratios(millis('stock', largestStock), millis('ours', largestStock)),
      ...large({ atLeast: 11 }),
    },
    ...(small
      ? []
      : [
          { name: '4000 agents / 1000 agents', values: ratios(millis('ours', 4000), millis('ours', 1000)), atMost: 4.4 },
          { name: 'helm template / ours, per agent', values: ratios(agent.helm, perAgent), atLeast: 22 },
          { name: 'prefect agent kubernetes install / ours, per agent', values: ratios(agent.cli, perAgent), atLeast: 270 },
        ]),
  ];
  for (const run of fleets) {
    console.log(
      `${run.name}, ${run.agents} agents: ${Math.round(median(run.millis))} ms, ${Math.round(median(run.mebibytes))} MiB (${spread(run.millis)})`,
    );
  }
  for (const [name, samples] of Object.entries({ ...startUp, ...imports, ...agent })) {
    console.log(`${name}: ${Math.round(median(samples))} ms (${spread(samples)})`);
  }
  console.log('');
  // Reported, not enforced: a busy machine is not a mistake.
  for (const { name, values, atMost, atLeast } of comparisons) {
    const value = median(values);
    const bounds = [atMost && `at most ${atMost}`, atLeast && `at least ${atLeast}`].filter(Boolean);
    const missed = value > atMost || value < atLeast ? ': MISSED' : '';
    const [least, most] = [Math.min(...values), Math.max(...values)].map((each) => each.toFixed(2));
    console.log(
      `${name}: ${value.toFixed(2)}, ${values.length} rounds, ${least} to ${most}${bounds.map((bound) => ` (${bound}${missed})`).join('')}`,
    );
  }
  const used = versions();
  const machine = `${cpus().length} × ${cpus()[0].model}`;
  mkdirSync(results, { recursive: true });
  writeFileSync(
    join(results, 'bench.json'),
    `${JSON.stringify({ versions: used, machine, scratch, rounds, comparisons, fleets, startUp, imports, guard, review, perAgent: agent }, null, 1)}\n`,
  );
  return plot(fleets, { ...used, machine, rounds }, join(results, 'bench.svg'));
}

function spread(samples) {
  return `${samples.length} rounds, ${Math.round(Math.min(...samples))} to ${Math.round(Math.max(...samples))}`;
}
