// Checks what a release promises beside its tests, a sentence each; exits with 1 if one does not hold. Writes the bill of materials,
// build/sbom.json. `npm run compile` must have been run.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

/** Licences that ask for nothing but to be named. */
const LICENCES = ['0BSD', 'Apache-2.0', 'BlueOak-1.0.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', '(MIT OR CC0-1.0)'];
const COMMIT = /^(bench|build|chore|ci|docs|feat|fix|perf|refactor|revert|style|test)(\([a-z0-9,-]+\))?!?: \S/;

const { name, version, license, dependencies, peerDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const runtime = { ...peerDependencies, ...dependencies };
const installed = installation();
const lastRelease = output('git', 'tag', '--list', 'v*', '--merged', 'HEAD', '--sort=-version:refname').split('\n')[0] || undefined;

let failed = false;
for (const check of [licences, billOfMaterials, vulnerabilities, commits, compatibility]) {
  const { holds, says } = check();
  console.log(`${holds === undefined ? 'NOT ASKED' : holds ? 'ok' : 'FAILED'}: ${says}`);
  failed ||= holds === false;
}
rmSync(installed, { recursive: true });
process.exit(failed ? 1 : 0);

/** What an install brings, as a folder with a lock file: npm takes peers that are dev dependencies too for the latter only. */
function installation() {
  const folder = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-release-'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version, license, dependencies: runtime }));
  copyFileSync('package-lock.json', join(folder, 'package-lock.json'));
  output('npm', '--prefix', folder, 'install', '--package-lock-only');
  return folder;
}

/** Of everything that comes with an install, be it asked for by this package or by its peers. */
function licences() {
  const { packages } = JSON.parse(readFileSync(join(installed, 'package-lock.json'), 'utf8'));
  const others = Object.entries(packages).filter(([, { license }]) => !LICENCES.includes(license));
  return others.length === 0
    ? {
        holds: true,
        says: `the licences of ${Object.keys(packages).length} packages that an install brings are among ${LICENCES.join(', ')}`,
      }
    : {
        holds: false,
        says: `licences that are not on the list of scripts/check-release.mjs: ${others.map(([path, { license }]) => `${path}: ${license}`).join('; ')}`,
      };
}

function billOfMaterials() {
  const bill = output('npm', '--prefix', installed, 'sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=library');
  mkdirSync('build', { recursive: true });
  writeFileSync('build/sbom.json', bill);
  const names = JSON.parse(bill).components.map((component) => component.name);
  const holds = Object.keys(runtime).every((dependency) => names.includes(dependency));
  return { holds, says: `the bill of materials, build/sbom.json, has ${names.length} components` };
}

function vulnerabilities() {
  const { stdout } = spawnSync('npm', ['--prefix', installed, 'audit', '--package-lock-only', '--json'], { encoding: 'utf8' });
  const { metadata, vulnerabilities, message } = JSON.parse(stdout);
  if (!metadata) return { holds: undefined, says: `known vulnerabilities, since this registry does not answer npm audit: ${message}` };
  const { total } = metadata.vulnerabilities;
  return {
    holds: total === 0,
    says: `npm audit knows ${total} vulnerabilities of what is published ${Object.keys(vulnerabilities).join(', ')}`,
  };
}

function commits() {
  const range = lastRelease ? [`${lastRelease}..HEAD`] : [];
  const subjects = output('git', 'log', '--no-merges', '--format=%s', ...range)
    .split('\n')
    .filter(Boolean);
  const others = subjects.filter((subject) => !COMMIT.test(subject));
  return others.length === 0
    ? {
        holds: true,
        says: `${subjects.length} commits since ${lastRelease ?? 'the first'} are conventional, so that the changelog has them`,
      }
    : { holds: false, says: `commits that are not conventional: ${others.join('; ')}` };
}

/** What jsii-diff finds may break users; until 1.0 that takes a new minor release, afterwards a new major one. */
function compatibility() {
  if (!lastRelease) return { holds: true, says: 'there is no release yet with which the API could be compared' };
  const before = lastRelease.slice(1);
  const { status, stdout, stderr } = spawnSync('jsii-diff', [`npm:${name}@${before}`, '.', '--error-on', 'all'], { encoding: 'utf8' });
  if (status === 0) return { holds: true, says: `nothing in the API is lost since ${lastRelease}` };
  const [major, minor] = version.split('.');
  const [majorBefore, minorBefore] = before.split('.');
  const holds = major !== majorBefore || (major === '0' && minor !== minorBefore);
  return { holds, says: `jsii-diff, from ${lastRelease} to ${version}:\n${stdout}${stderr}` };
}

function output(command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? stderr}`);
  return stdout.trim();
}
