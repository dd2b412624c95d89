import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The real Prefect, in a Python process that answers one question after another (oracle.py). */
export class Oracle {
  private readonly process: ChildProcessWithoutNullStreams;
  private readonly answers: AsyncIterator<string>;
  private errors = '';

  /** @param release of Prefect; for one that is not the environment's, that still brings all else */
  public constructor(release?: string) {
    const env = { PATH: process.env.PATH, HOME: '/nonexistent', ...(release && { PYTHONPATH: prefectOf(release) }) };
    this.process = spawn('python3', [join(__dirname, 'oracle.py')], { env });
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
    if (error) throw new Error(`the real Prefect failed: ${error}`);
    return answer;
  }

  public stop(): void {
    this.process.kill();
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
