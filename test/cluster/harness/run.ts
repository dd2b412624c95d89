import { spawn } from 'node:child_process';

/** Why no cluster can run here. Not a failure of what is tested, and not a pass: see EX_UNAVAILABLE. */
export class Unavailable extends Error {}

/** The exit code (sysexits.h) that says "not run", so that CI can tell it from "failed". */
export const EX_UNAVAILABLE = 69;

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** Gets what the program says of errors, when it says it. */
  readonly onStderr?: (text: string) => void;
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever that is. */
export function outcomeOf(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: options.cwd, env: options.env ?? process.env });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
      options.onStderr?.(text);
    });
    child.on('error', reject).on('close', (code) => resolve({ code, stdout, stderr }));
    // A program may end before it has read its input; its exit code then says why, not the broken pipe.
    child.stdin.on('error', () => {}).end(options.input ?? '');
  });
}

/** Runs a program that must succeed, and gives what it printed. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await outcomeOf(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${lastLines(stderr || stdout, 20)}`);
  return stdout;
}

export const lastLines = (text: string, count: number) => text.trim().split('\n').slice(-count).join('\n');
