import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Document } from '../docs/documents';
import { isElsewhere, type Step, stepsOf, walkthroughs } from '../docs/walkthrough';
import { emptyFolder, root, run, wheel } from './packages';
import { Registry } from './registry';

// Somebody who has just sat down at this machine: an empty home, no caches, no environment but what a login gives.
const home = emptyFolder();
let registry: Registry;
beforeAll(async () => {
  registry = await Registry.start();
});
afterAll(() => {
  registry.stop();
  rmSync(home, { recursive: true });
});

async function type(cwd: string, commands: string): Promise<string> {
  // How this machine reaches PyPI is its own; what is in it, with this release, is ours.
  const pip = { PIP_FIND_LINKS: dirname(wheel()), PIP_INDEX_URL: process.env.PIP_INDEX_URL, PIP_CONFIG_FILE: process.env.PIP_CONFIG_FILE };
  const env = { PATH: process.env.PATH, HOME: home, npm_config_registry: registry.url, ...pip };
  const { stdout } = await promisify(execFile)('bash', ['-euc', `${commands}\npwd`], { cwd, env: env as never, maxBuffer: 2 ** 26 });
  return stdout.trim().split('\n').at(-1) ?? '';
}

/** What is there to be typed, in order: what needs a cluster or an API is left out. */
function stepsOfAll(paths: string[]): Step[] {
  return paths.flatMap((path) => stepsOf(new Document(path))).filter((step) => 'file' in step || !isElsewhere(step.command));
}

test.each(walkthroughs.map((paths) => ({ paths, name: paths.join(', then ') })))(
  '$name: every command works as it is written',
  async ({ paths }) => {
    let cwd = join(home, paths[0]?.replace(/\W/g, '-') ?? '');
    mkdirSync(cwd);
    const steps = stepsOfAll(paths);
    for (const step of steps) {
      if ('file' in step) writeFileSync(join(cwd, step.file), step.text);
      else cwd = await type(cwd, step.command);
    }
    expect(readdirSync(join(cwd, 'dist'))).toEqual(['prefect.k8s.yaml']);
  },
);

test.each(walkthroughs.map(([path = '']) => path))('%s: three commands at most to the first manifest', (path) => {
  const commands = stepsOfAll([path]).flatMap((step) => ('command' in step ? [step.command] : []));
  const first = commands.findIndex((command) => /main\.(ts|py)/.test(command));
  expect(first).toBeGreaterThan(0);
  expect(first + 1).toBeLessThanOrEqual(3);
});

test('a fresh clone of this repository: npm ci && npx cdk8s synth', async () => {
  const clone = join(home, 'clone');
  run(home, {}, 'git', 'clone', '--quiet', '--no-hardlinks', root, clone);
  await type(clone, 'npm ci && npx cdk8s synth');
  expect(existsSync(join(clone, 'dist/prefect.k8s.yaml'))).toBe(true);
});
