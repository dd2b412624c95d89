import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The real Prefect, in a Python process that answers one question after another (oracle.py). */
export class Oracle {
  private readonly process: ChildProcessWithoutNullStreams;
  private readonly answers: AsyncIterator<string>;
  private errors = '';

  public constructor(program = join(__dirname, 'oracle.py')) {
    this.process = spawn('python3', [program], { env: { PATH: process.env.PATH, HOME: '/nonexistent' } });
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
