// What makes the manifests of one agent at a time: Helm with an equal chart, and Prefect's CLI.
import { deepStrictEqual } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

const here = import.meta.dirname;

/** `helm template` of one agent, whose objects are those of ours, or it is no comparison. */
export function helmTemplate(folder) {
  const values = join(folder, 'values.yaml');
  writeFileSync(values, 'agent: { labels: [team-0] }\njobs: { image: registry.example/team-0/flows:1 }\n');
  const command = [buildHelm(), 'template', 'team-0', join(here, 'chart'), '--namespace', 'team-0', '--values', values];
  const [program, ...args] = command;
  execFileSync('node', [join(here, 'synth.cjs'), 'ours', 1, folder]);
  const ours = readFileSync(join(folder, 'dist', 'team-0', 'team-0.k8s.yaml'), 'utf8');
  deepStrictEqual(
    objects(execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe' })),
    objects(ours),
    'bench/chart no longer makes what a FleetTeam makes: change it likewise',
  );
  return command;
}

/** `prefect agent kubernetes install`, of the Prefect that the oracle tests ask. */
export function prefectInstall() {
  const which = [join(here, '..', 'scripts', 'with-python.mjs'), 'oracle', 'which', 'prefect'];
  const prefect = execFileSync('node', which, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  return [prefect, 'agent', 'kubernetes', 'install', '--key', 'KEY', '--rbac', '--label', 'team-0', '--namespace', 'team-0'];
}

function objects(yaml) {
  const id = ({ kind, metadata }) => `${kind} ${metadata.name}`;
  return parseAllDocuments(yaml)
    .map((document) => document.toJS())
    .filter((object) => object !== null)
    .sort((a, b) => id(a).localeCompare(id(b)));
}

/** From its Go module, pinned by the go.mod and go.sum in modules/helm, into the user's cache directory. */
function buildHelm() {
  const module = join(here, 'modules', 'helm');
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(module, file)));
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const target = join(cache, 'cdk8s-prefect', 'bench', `helm-${hash.digest('hex').slice(0, 12)}`);
  if (!existsSync(target)) {
    console.error('building Helm from its Go module (about 2 minutes the first time)');
    const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly -trimpath', GOWORK: 'off' };
    execFileSync('go', ['build', '-o', target, 'helm.sh/helm/v3/cmd/helm'], { cwd: module, env, stdio: 'inherit' });
  }
  return target;
}
