import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const root = join(__dirname, '../..');

/** package.json of this library. */
export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** What `npm run package` made for npm. */
export const tarball = () => made('js', '.tgz');

/** What `npm run package` made for PyPI. */
export const wheel = () => made('python', '.whl');

function made(target: string, suffix: string): string {
  const folder = join(root, manifest.jsii.outdir, target);
  const [file, ...others] = readdirSync(folder).filter((name) => name.endsWith(suffix));
  if (file === undefined || others.length > 0) throw new Error(`one ${suffix} must be in ${folder}: run npm run package`);
  return join(folder, file);
}

/** An empty folder, as a user has it who has nothing of this repository. */
export function emptyFolder(): string {
  return mkdtempSync(join(tmpdir(), 'cdk8s-prefect-consumer-'));
}

/** Runs a command and gives what it printed, which is in the error if it fails. */
export function run(cwd: string, env: Record<string, string | undefined>, command: string, ...args: string[]): string {
  try {
    // `npm run --silent` would silence npm here too.
    const all = { ...process.env, npm_config_loglevel: 'error', ...env };
    return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: 'pipe', env: all, maxBuffer: 2 ** 26 });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}\n${stderr}`);
  }
}

/** The texts of a folder's files, by path. */
export function textsOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => statSync(join(folder, file)).isFile());
  return Object.fromEntries(files.sort().map((file) => [file, readFileSync(join(folder, file), 'utf8')]));
}
