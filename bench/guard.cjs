// What the checks of props cost: fleets with and without them, in turns within one process. node bench/guard.cjs AGENTS PAIRS FOLDER
// Prints the milliseconds of each.
const { join } = require('node:path');
const guard = require('../build/lib/kubernetes/_guard');
const { EvictionPolicy, Fleet, LogLevel, PrefectApi } = require('../build/lib');
const { Size } = require('cdk8s');

const [agents, pairs, folder] = process.argv.slice(2);
process.env.CDK8S_OUTDIR = join(folder, 'guard');
const on = { ...guard };
const off = { ...guard, checkProps: (_where, _name, props) => props ?? {}, checkOwnProps: (_where, _name, props) => props ?? {} };
off.checkArguments = (_name, values) => values;

const defaults = {
  api: PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' }),
  debug: { level: LogLevel.DEBUG },
  jobs: { resources: { memoryRequest: Size.gibibytes(2), memoryLimit: Size.gibibytes(2) }, onEviction: EvictionPolicy.PROTECT },
};
const row = (i) => ({ agent: { labels: [`team-${i}`] }, jobs: { image: `registry.example/team-${i}/flows:1` } });
const teams = Object.fromEntries(Array.from({ length: Number(agents) }, (_, i) => [`team-${i}`, row(i)]));
const fleet = new Fleet({ defaults, teams });

function time(functions) {
  Object.assign(guard, functions);
  const start = process.cpuUsage().user;
  fleet.synth();
  return (process.cpuUsage().user - start) / 1000;
}

time(on);
time(off);
const samples = { on: [], off: [] };
for (let pair = 0; pair < Number(pairs); pair++) {
  const order = pair % 2 === 0 ? ['on', 'off'] : ['off', 'on'];
  for (const name of order) samples[name].push(time(name === 'on' ? on : off));
}
console.log(JSON.stringify(samples));
