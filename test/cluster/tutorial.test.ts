import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Document, root } from '../docs/documents';
import { stepsOf } from '../docs/walkthrough';
import { Cluster } from './harness/cluster';
import { getEnvironment } from './harness/environment';
import { eventually } from './harness/eventually';

/** The address of the API in the text, which its reader replaces. */
const ADDRESS = 'http://192.0.2.10:4200';

/** Prints the log of a flow run. */
const LOG = `
import sys
from prefect.backend import FlowRunView
print([log.message for log in FlowRunView.from_flow_run_id(sys.argv[1]).get_logs()])
`;

const cluster = new Cluster();
const onCluster = cluster.testWith('hostAddress');

// test/package/new-user.test.ts types the commands that install packages.
onCluster('the tutorial ends in a finished flow run', async () => {
  const { kubectl, kubeconfig } = getEnvironment();
  const steps = stepsOf(new Document('docs/tutorial.md'));
  // In the repository, where the packages are that the tutorial installs.
  mkdirSync(join(root, 'build'), { recursive: true });
  const folder = mkdtempSync(join(root, 'build/tutorial-'));
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    // That of a new user: Prefect keeps its settings there.
    HOME: folder,
    PATH: [dirname(kubectl), process.env.PATH].join(delimiter),
    KUBECONFIG: kubeconfig,
    CDK8S_OUTDIR: join(folder, 'dist'),
  };
  expect(steps).toContainEqual({ command: 'npm run prefect-server' });
  const server = await start('npm run prefect-server -- --port 0');
  const url = `http://${cluster.hostAddress}:${server.port}`;
  const type = async (command: string) => (await promisify(execFile)('bash', ['-euc', command], { cwd: folder, env })).stdout;
  const typed: string[] = [];
  try {
    for (const step of steps) {
      if ('file' in step) {
        writeFileSync(join(folder, step.file), step.text.replaceAll(ADDRESS, url));
        continue;
      }
      // The environment of this test has Prefect.
      const command = step.command.replaceAll(ADDRESS, url).replace(/^\.venv\/bin\/prefect /, 'prefect ');
      const [, name, value] = /^export (\w+)=(.*)$/.exec(command) ?? [];
      if (name !== undefined) {
        env[name] = value;
      } else if (command === 'npx tsx main.ts') {
        execFileSync(process.execPath, ['--import', 'tsx', join(folder, 'main.ts')], { cwd: root, env, stdio: 'pipe' });
      } else if (/^(kubectl|prefect) /.test(command)) {
        const printed = await type(command);
        typed.push(command);
        if (command.startsWith('prefect run ')) {
          expect(printed).toMatch(/Flow run succeeded!\n$/);
          // A flow run sends its log in batches, and the last one may come after its state. `--watch` prints what is there by then.
          const [, id] = /UUID: (\S+)/.exec(printed) ?? [];
          await eventually(async () => expect(await type(`python3 -c "${LOG}" ${id}`)).toContain('Hello, Kubernetes'));
        }
      }
    }
    expect(env.PREFECT__CLOUD__API).toBe(url);
    expect(typed.filter((command) => command.startsWith('prefect ')).length).toBe(3);
    expect(typed.at(-1)).toBe('kubectl delete namespace prefect');
  } finally {
    // Only what was made here: a namespace that was there before has made the first command fail.
    if (typed.length > 0) await cluster.kubectl(['delete', 'namespace', 'prefect', '--ignore-not-found', '--wait=false']);
    stop(server.process);
    rmSync(folder, { recursive: true });
  }
});

/** Starts the stand-in for Prefect Server, and waits until it prints where it listens. */
async function start(command: string): Promise<{ process: ChildProcess; port: string }> {
  const child = spawn('bash', ['-c', `exec ${command}`], { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  for await (const chunk of child.stdout) {
    printed += chunk;
    const [, port] = /http:\/\/localhost:(\d+)/.exec(printed) ?? [];
    if (port !== undefined) return { process: child, port };
  }
  throw new Error(`${command} ended:\n${printed}`);
}

/** Ends npm and what it started. */
function stop({ pid }: ChildProcess): void {
  if (pid !== undefined) process.kill(-pid);
}
