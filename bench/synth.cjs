// One measurement in a process of its own: node bench/synth.cjs SUBJECT AGENTS FOLDER. Prints its milliseconds and peak memory.
// What comes before the clock starts (loading libraries, reading the objects of `yaml`) is in none of the subjects.
const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { App, Size, Yaml } = require('cdk8s');
const { EvictionPolicy, Fleet, FleetTeam, LogLevel, PrefectApi, SecretKeyRef } = require('../build/lib');

const [subject, agents, folder] = process.argv.slice(2);
const names = Array.from({ length: Number(agents) }, (_, i) => `team-${i}`);
const output = join(folder, 'dist');
process.env.CDK8S_OUTDIR = output;

/** 9 objects an agent: account, Role, RoleBinding, launcher, NetworkPolicy, Deployment; Job template and its budget; log levels. */
const defaults = {
  api: PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://api.prefect.io' }),
  debug: { level: LogLevel.DEBUG },
  jobs: { resources: { memoryRequest: Size.gibibytes(2), memoryLimit: Size.gibibytes(2) }, onEviction: EvictionPolicy.PROTECT },
};
const row = (name) => ({ agent: { labels: [name] }, jobs: { image: `registry.example/${name}/flows:1` } });
const table = () => Object.fromEntries(names.map((name) => [name, row(name)]));
const stockApp = () => {
  const app = new App({ outdir: output });
  for (const name of names) {
    const { agent, jobs } = row(name);
    new FleetTeam(app, name, { ...defaults, agent, jobs: { ...defaults.jobs, ...jobs } });
  }
  return app;
};
const objectsFile = join(folder, `${agents}.json`);
const fleetFile = join(folder, `${agents}.yaml`);
const readObjects = () => JSON.parse(readFileSync(objectsFile, 'utf8'));

/** Each is given what it needs, and then does what is measured. */
const subjects = {
  ours: () => () => new Fleet({ defaults, teams: table() }).synth(),
  file: () => () => new Fleet({ file: fleetFile }).synth(),
  stock: () => () => stockApp().synth(),
  yaml: () => {
    const teams = readObjects();
    return () => {
      for (const objects of teams) Yaml.stringify(...objects);
    };
  },
  'yaml and files': () => {
    const teams = readObjects();
    return () => {
      for (const [i, objects] of teams.entries()) {
        mkdirSync(join(output, names[i]), { recursive: true });
        Yaml.save(join(output, names[i], `${names[i]}.k8s.yaml`), objects);
      }
    };
  },
  /** Writes what the others read. */
  inputs: () => () => {
    const charts = names.map((name) => {
      const { agent, jobs } = row(name);
      return new FleetTeam(new App(), name, { ...defaults, agent, jobs: { ...defaults.jobs, ...jobs } }).toJson();
    });
    writeFileSync(objectsFile, JSON.stringify(charts));
    const file = {
      defaults: {
        api: { cloud: { apiKey: { name: 'prefect-api-key', key: 'key' }, url: 'https://api.prefect.io' } },
        debug: { level: 'DEBUG' },
        jobs: { resources: { memoryRequest: '2Gi', memoryLimit: '2Gi' }, onEviction: 'protect' },
      },
      teams: table(),
    };
    writeFileSync(fleetFile, Yaml.stringify(file));
  },
};

const run = subjects[subject]();
const start = performance.now();
run();
console.log(JSON.stringify({ millis: performance.now() - start, mebibytes: process.resourceUsage().maxRSS / 1024 }));
