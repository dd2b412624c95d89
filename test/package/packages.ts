import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const root = join(__dirname, '../..');

/** package.json of this library. */
export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** What `npm run package` made. */
export const tarball = made('js', '.tgz');
export const wheel = made('python', '.whl');

function made(target: string, suffix: string): string {
  const folder = join(root, manifest.jsii.outdir, target);
  return join(folder, readdirSync(folder).find((file) => file.endsWith(suffix)) ?? `no ${suffix} here`);
}

/** An empty folder of a user who has nothing of this repository. */
export function emptyFolder(): string {
  return mkdtempSync(join(tmpdir(), 'cdk8s-prefect-consumer-'));
}

/** Runs a command; what it printed is in the error if it fails. */
export function run(cwd: string, env: Record<string, string>, command: string, ...args: string[]): string {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: 'pipe', env: { ...process.env, ...env }, maxBuffer: 2 ** 26 });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}\n${stderr}`);
  }
}

/** The files of a folder, by name. */
export function filesOf(folder: string): Record<string, string> {
  return Object.fromEntries(readdirSync(folder).map((file) => [file, readFileSync(join(folder, file), 'utf8')]));
}
