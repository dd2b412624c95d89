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

  /** Ends it while it answers. */
  public async end(): Promise<void> {
    this.process.kill();
    await once(this.process, 'close');
  }

  public async stop(): Promise<void> {
    this.process.stdin.end();
    if (this.process.exitCode === null) await once(this.process, 'close');
  }
}

/** The real Prefect (oracle.py). */
export class Oracle extends PythonOracle {
  /** @param packages `NAME==RELEASE`, that are not the environment's, which still brings all else */
  public constructor(...packages: string[]) {
    super('python3', [join(__dirname, 'oracle.py')], {
      PATH: process.env.PATH,
      HOME: '/nonexistent',
      ...(packages.length > 0 && { PYTHONPATH: packages.map(folderOf).join(':') }),
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

/** The folder of a package; of Prefect, whose dependencies are the environment's, alone. */
function folderOf(requirement: string): string {
  const [name, release] = requirement.split('==') as [string, string];
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cdk8s-prefect', 'python');
  const folder = join(cache, `${name}-${release}`);
  if (!existsSync(join(folder, `${name}-${release}.dist-info`))) {
    const alone = name === 'prefect' ? ['--no-deps'] : [];
    execFileSync('python3', ['-m', 'pip', 'install', '--quiet', ...alone, '--target', folder, requirement], { stdio: 'inherit' });
  }
  return folder;
}

export function prefectOf(release: string): string {
  return folderOf(`prefect==${release}`);
}
