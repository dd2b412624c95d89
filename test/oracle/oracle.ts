import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A Python program that answers one question after another. */
export class PythonOracle {
  private readonly process: ChildProcessWithoutNullStreams;
  private readonly answers: AsyncIterator<string>;
  private errors = '';

  public constructor(command: string, args: string[], env: NodeJS.ProcessEnv) {
    this.process = spawn(command, args, { env });
    this.process.stderr.on('data', (chunk) => {
      this.errors += chunk;
    });
    this.answers = createInterface(this.process.stdout)[Symbol.asyncIterator]();
  }

  // biome-ignore lint/suspicious/noExplicitAny: each question has an answer of its own
  public async ask(question: Record<string, unknown>): Promise<any> {
    this.process.stdin.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await this.answers.next();
    if (done) throw new Error(`the oracle ended: ${this.errors}`);
    const { answer, error } = JSON.parse(value);
    if (error) throw new Error(`the real thing failed: ${error}`);
    return answer;
  }

  public async stop(): Promise<void> {
    this.process.stdin.end();
    if (this.process.exitCode === null) await once(this.process, 'close');
  }
}

/** The real Prefect (oracle.py). */
export class Oracle extends PythonOracle {
  /** @param release of Prefect; for one that is not the environment's, that still brings all else */
  public constructor(release?: string) {
    super('python3', [join(__dirname, 'oracle.py')], {
      PATH: process.env.PATH,
      HOME: '/nonexistent',
      ...(release && { PYTHONPATH: prefectOf(release) }),
    });
  }
}

/** The real classic KubeCluster (dask_oracle.py), of the dask-kubernetes of an environment of `scripts/python/`. */
export class DaskOracle extends PythonOracle {
  public constructor(environment: string) {
    const program = join(__dirname, 'dask_oracle.py');
    super(process.execPath, [join(__dirname, '../../scripts/with-python.mjs'), environment, 'python3', program], process.env);
  }
}

/** The folder of a release of Prefect without its dependencies. */
function prefectOf(release: string): string {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cdk8s-prefect', 'python');
  const folder = join(cache, `prefect-${release}`);
  if (!existsSync(join(folder, `prefect-${release}.dist-info`))) {
    execFileSync('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, `prefect==${release}`], {
      stdio: 'inherit',
    });
  }
  return folder;
}
