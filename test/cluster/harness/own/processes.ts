// Background programs, remembered by name in the run directory, so that a later start or stop, from whichever process, finds them again.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastLines } from '../run';
import { logDir, runDir } from './layout';

const pidDir = join(runDir, 'pids');
/** A process' pid, the time it started and the boot it started in: a pid alone is given again to other processes. */
export function identityOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc(5): the name, in parentheses, may hold anything; after it come the state (field 3) ... and the start time (field 22).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return fields[0] === 'Z' ? undefined : `${pid} ${fields[19]} ${boot}`;
  } catch {
    return undefined;
  }
}

export const isAlive = (identity: string) => identityOf(Number.parseInt(identity, 10)) === identity;

export function start(name: string, command: string, args: readonly string[]): void {
  mkdirSync(logDir, { recursive: true });
  mkdirSync(pidDir, { recursive: true });
  const log = openSync(join(logDir, `${name}.log`), 'a');
  const child = spawn(command, args, { detached: true, stdio: ['ignore', log, log], cwd: runDir });
  closeSync(log);
  child.on('error', () => {}); // No pid, and so reported as not running by whoever waits for it.
  child.unref();
  writeFileSync(join(pidDir, name), identityOf(child.pid ?? 0) ?? '');
}

export function isRunning(name: string): boolean {
  const file = join(pidDir, name);
  return existsSync(file) && isAlive(readFileSync(file, 'utf8'));
}

export const startedNames = (): string[] => (existsSync(pidDir) ? readdirSync(pidDir) : []);

/** Ends a process that `start` started, and no other: nothing happens to a process that merely has its pid. */
export async function stop(name: string): Promise<void> {
  const file = join(pidDir, name);
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!isRunning(name)) break;
    try {
      process.kill(Number.parseInt(readFileSync(file, 'utf8'), 10), signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // Else it has just ended by itself.
    }
    // Some, such as a kube-apiserver with watches open, would take a minute to end; nothing here is worth that.
    for (let waited = 0; waited < 3000 && isRunning(name); waited += 100) await sleep(100);
  }
  rmSync(file, { force: true });
}

/** Waits until a started program is ready; its early end is reported at once with what it logged last. */
export async function untilReady(name: string, isReady: () => Promise<boolean>, seconds = 60): Promise<void> {
  const log = join(logDir, `${name}.log`);
  const tail = () => `${log}:\n${lastLines(readFileSync(log, 'utf8'), 15)}`;
  for (const deadline = Date.now() + seconds * 1000; !(await isReady()); await sleep(200)) {
    if (!isRunning(name)) throw new Error(`${name} ended before it was ready; the end of ${tail()}`);
    if (Date.now() > deadline) throw new Error(`${name} was not ready after ${seconds} s; the end of ${tail()}`);
  }
}

/** Whether a server answers a request with success: what `untilReady` mostly asks. */
export const answers = (url: string): Promise<boolean> =>
  fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );
