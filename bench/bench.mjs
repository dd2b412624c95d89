// Times what users wait for, each beside what it is compared with, in turns within one run: npm run bench [-- --small] [ROUNDS]
// Absolute times say more about the machine than about the library; the ratio of the medians is the figure.
// Results are in .cache/bench/, as JSON and as a plot. --small leaves out large fleets, with their targets, Helm and Prefect's CLI.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { helmTemplate, prefectInstall } from './others.mjs';
import { plot } from './plot.mjs';
import { median, ratio, time } from './samples.mjs';
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

try {
  execFileSync('npm', ['run', '--silent', 'compile'], { stdio: 'ignore' });
  // Of one agent alone, by name.
  const commands = small ? {} : { helm: helmTemplate(folder), cli: prefectInstall() };
  const { fleets, agent } = measureFleets(commands);
  const startUp = measureStartUp();
  const imports = measureImports();
  await report(fleets, startUp, imports, agent);
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
      // Minutes each, and far from its target.
      if (run.subject === 'stock' && run.agents >= 1000 && round > 0) continue;
      const { millis, mebibytes } = synth(run.subject, run.agents);
      run.millis.push(millis);
      run.mebibytes.push(mebibytes);
    }
    for (const [name, command] of Object.entries(commands)) agent[name].push(median(Array.from({ length: 5 }, () => time(command))));
  }
  return { fleets: runs, agent };
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
    require('cdk8s'), require('cdk8s-plus-27'), require('constructs');
    const dependencies = performance.now();
    require('./build/lib');
    console.log(JSON.stringify([dependencies - start, performance.now() - dependencies]));`;
  const samples = Array.from({ length: 2 * rounds + 1 }, () => JSON.parse(execFileSync('node', ['-e', program], { encoding: 'utf8' })));
  return { dependencies: samples.map(([sample]) => sample), library: samples.map(([, sample]) => sample) };
}

function report(fleets, startUp, imports, agent) {
  const of = (subject, agents) => fleets.find((run) => run.subject === subject && run.agents === agents);
  const millis = (subject, agents) => of(subject, agents).millis;
  const perAgent = millis('ours', largest).map((sample) => sample / largest);
  const large = (target) => (small ? {} : target);
  const comparisons = [
    { name: 'cdk8s synth of main.ts / of an empty app', value: ratio(startUp.ours, startUp.empty), atMost: 1.3 },
    { name: 'ms to import the library, beyond its dependencies', value: median(imports.library), atMost: 20 },
    {
      name: `${largest} agents / YAML library alone`,
      value: ratio(millis('ours', largest), millis('yaml', largest)),
      ...large({ atMost: 2 }),
    },
    {
      name: `${largest} agents / YAML library, writing the same files`,
      value: ratio(millis('ours', largest), millis('yaml and files', largest)),
    },
    { name: `${largest} agents from a file / from a table`, value: ratio(millis('file', largest), millis('ours', largest)) },
    { name: `MiB for ${largest} agents`, value: median(of('ours', largest).mebibytes), ...large({ atMost: 1024 }) },
    {
      name: `stock cdk8s / ours, ${largestStock} agents`,
      value: ratio(millis('stock', largestStock), millis('ours', largestStock)),
      ...large({ atLeast: 10 }),
    },
    ...(small
      ? []
      : [
          { name: '4000 agents / 1000 agents', value: ratio(millis('ours', 4000), millis('ours', 1000)), atMost: 4.4 },
          { name: 'helm template / ours, per agent', value: ratio(agent.helm, perAgent), atLeast: 20 },
          { name: 'prefect agent kubernetes install / ours, per agent', value: ratio(agent.cli, perAgent), atLeast: 200 },
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
  for (const { name, value, atMost, atLeast } of comparisons) {
    const bounds = [atMost && `at most ${atMost}`, atLeast && `at least ${atLeast}`].filter(Boolean);
    const missed = value > atMost || value < atLeast ? ': MISSED' : '';
    console.log(`${name}: ${value.toFixed(2)}${bounds.map((bound) => ` (${bound}${missed})`).join('')}`);
  }
  const used = versions();
  const machine = `${cpus().length} × ${cpus()[0].model}`;
  mkdirSync(results, { recursive: true });
  writeFileSync(
    join(results, 'bench.json'),
    `${JSON.stringify({ versions: used, machine, scratch, rounds, comparisons, fleets, startUp, imports, perAgent: agent }, null, 1)}\n`,
  );
  return plot(fleets, { ...used, machine, rounds }, join(results, 'bench.svg'));
}

function spread(samples) {
  return `${samples.length} rounds, ${Math.round(Math.min(...samples))} to ${Math.round(Math.max(...samples))}`;
}
