import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Document } from '../docs/documents';
import { chartsOfReadme, commandsForClone, isElsewhere, type Step, stepsOf, walkthroughs } from '../docs/walkthrough';
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

/** Types commands, and gives the folder in which they end. */
async function type(cwd: string, commands: string): Promise<string> {
  return (await print(cwd, `${commands}\npwd`)).trim().split('\n').at(-1) ?? '';
}

/** Types commands, and gives all that they print; with another Node than that of this machine, if its folder is given. */
async function print(cwd: string, commands: string, node?: string): Promise<string> {
  // How this machine reaches PyPI is its own; what is in it, with this release, is ours.
  const pip = { PIP_FIND_LINKS: dirname(wheel()), PIP_INDEX_URL: process.env.PIP_INDEX_URL, PIP_CONFIG_FILE: process.env.PIP_CONFIG_FILE };
  const path = node ? [node, process.env.PATH].join(delimiter) : process.env.PATH;
  const env = { PATH: path, HOME: home, CLONE: root, npm_config_registry: registry.url, ...pip };
  const options = { cwd, env: env as never, maxBuffer: 2 ** 26 };
  const { stdout } = await promisify(execFile)('bash', ['-euc', `exec 2>&1\n${commands}`], options);
  return stdout;
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
    const isChart = steps.some((step) => 'file' in step && step.file.startsWith('main.'));
    if (isChart) expect(readdirSync(join(cwd, 'dist'))).toEqual(['prefect.k8s.yaml']);
  },
);

test.each(chartsOfReadme)(
  "the README's chart of one's own, in $language: every command works as it is written",
  async ({ language, steps }) => {
    const cwd = join(home, `chart-in-${language}`);
    mkdirSync(cwd);
    const commands: string[] = [];
    for (const step of steps) {
      if ('file' in step) writeFileSync(join(cwd, step.file), step.text);
      else commands.push(step.command);
    }
    for (const command of commands) await type(cwd, command);
    expect(commands.length).toBeLessThanOrEqual(3);
    expect(readdirSync(join(cwd, 'dist'))).toEqual(['prefect.k8s.yaml']);

    const command = language === 'Python' ? '.venv/bin/cdk8s-prefect' : 'npx --no-install cdk8s-prefect';
    expect(await print(cwd, `${command} review dist dist`)).toMatch(/\S/);
  },
);

describe('a fresh clone of this repository', () => {
  const clone = join(home, 'clone');
  beforeAll(() => {
    run(home, {}, 'git', 'clone', '--quiet', '--no-hardlinks', root, clone);
  });

  test('the README has the two commands, in these words', () => {
    expect(commandsForClone).toEqual(['npm ci && npx cdk8s synth', 'npm ci && npm test']);
  });
  // All tests take minutes: .ci/run calls the second command, in these words, and those below run two of its files in this home.
  test(commandsForClone[0] as string, async () => {
    await type(clone, commandsForClone[0] as string);
    expect(existsSync(join(clone, 'dist/prefect.k8s.yaml'))).toBe(true);
  });
  test.each(['22', 'latest'])('on Node %s it installs, synthesizes and tests without a warning', async (version) => {
    const node = join(home, `node-${version}`);
    mkdirSync(node);
    const name = `node-${process.platform}-${process.arch}`;
    await type(node, `npm install --no-save ${name}@${version}`);
    const bin = join(node, 'node_modules', name, 'bin');
    const commands = ['npm ci', 'npx cdk8s synth --no-check-upgrade', 'npx jest test/kubernetes/resources.test.ts test/examples.test.ts'];
    const printed = await print(clone, commands.join('\n'), bin);
    expect(printed).toMatch(/^Tests: +\d+ passed, \d+ total$/m);
    expect(printed.split('\n').filter((line) => /warn|deprecat|EBADENGINE/i.test(line))).toEqual([]);
  });
});
