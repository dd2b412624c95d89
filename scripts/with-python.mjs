// Runs a command with the Python environment of a requirements file at the front of PATH: with-python.mjs NAME COMMAND [ARG ...]
// The environment is made once per content of scripts/python/NAME.txt and kept in the user's cache directory.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [name, command, ...args] = process.argv.slice(2);
const root = fileURLToPath(new URL('..', import.meta.url));
const requirements = join(root, 'scripts', 'python', `${name}.txt`);

// What Prefect 1.4.1 needs has no wheels for Python 3.12 and later; the pinned releases want 3.10.
const interpreter = ['python3.11', 'python3.10', 'python3'].find((python) => {
  const { status, stdout } = spawnSync(python, ['-c', 'import sys, ensurepip; print(sys.version_info[1])'], { encoding: 'utf8' });
  return status === 0 && Number(stdout) >= 10 && Number(stdout) <= 11;
});
if (!interpreter) {
  console.error(
    'no Python 3.10 or 3.11 with venv was found; install one (Debian: apt-get install python3 python3-venv) and run this again',
  );
  process.exit(1);
}

const version = execFileSync(interpreter, ['-VV'], { encoding: 'utf8' });
const digest = createHash('sha256').update(version).update(readFileSync(requirements)).digest('hex').slice(0, 12);
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cdk8s-prefect', 'python');
const environment = join(cache, `${name}-${digest}`);

const complete = join(environment, 'complete');

if (!existsSync(complete)) {
  console.error(`making the Python environment "${name}" in ${environment}`);
  rmSync(environment, { recursive: true, force: true });
  const { status } = spawnSync(
    'sh',
    [
      '-ec',
      '"$1" -m venv "$2" && "$2/bin/python" -m pip install --quiet --disable-pip-version-check -r "$3"',
      'sh',
      interpreter,
      environment,
      requirements,
    ],
    { stdio: 'inherit' },
  );
  if (status !== 0) {
    console.error(`the Python environment "${name}" could not be made from ${requirements}: see pip's message above`);
    process.exit(1);
  }
  writeFileSync(complete, '');
}

const { status, error } = spawnSync(command, args, {
  stdio: 'inherit',
  env: { ...process.env, PATH: [join(environment, 'bin'), join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter) },
});
if (error) console.error(`${command}: ${error.message}`);
process.exit(status ?? 1);
