// What it costs to review a fleet of which every team changes, beside synthesizing it, in turns within one process.
// node bench/review.cjs TEAMS ROUNDS FOLDER prints the milliseconds of each.
const { join } = require('node:path');
const { Fleet, Manifests, PrefectApi, UpgradeClass, UpgradeReview } = require('../build/lib');

const [teams, rounds, folder] = process.argv.slice(2);
process.env.CDK8S_OUTDIR = join(folder, 'review');
const api = PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' });
const names = Array.from({ length: Number(teams) }, (_, i) => `team-${i}`);

const rows = names.map((name) => [name, { agent: { labels: [name] } }]);
const fleet = new Fleet({ defaults: { api }, teams: Object.fromEntries(rows) });

/** The same manifests, with another image. */
function upgraded(manifests) {
  const all = structuredClone(manifests.all);
  for (const { kind, spec } of all) if (kind === 'Deployment') spec.template.spec.containers[0].image = 'registry.example/agent:2';
  return Object.assign(Object.create(Manifests.prototype), { all });
}

function time(work) {
  const start = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(start);
  return [(user + system) / 1000, result];
}

function round() {
  const [synthesis] = time(() => fleet.synth());
  const old = Manifests.read(process.env.CDK8S_OUTDIR);
  const next = upgraded(old);
  const [review, findings] = time(() => UpgradeReview.of(old, next).findings(UpgradeClass.RESTARTS));
  if (findings.length !== names.length) throw new Error(`${findings.length} agents restart, of ${names.length}`);
  return { synthesis, review };
}

round();
const samples = Array.from({ length: Number(rounds) }, round);
console.log(JSON.stringify({ synthesis: samples.map((one) => one.synthesis), review: samples.map((one) => one.review) }));
