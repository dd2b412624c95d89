import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { home } from './layout';
import { identityOf, isAlive } from './processes';

/** Lets one process at a time build, start or stop. */
export async function withLock<T>(action: () => Promise<T>): Promise<T> {
  const release = await acquire('lock', (holder) => {
    console.error(`cluster: waiting for process ${holder}, which is building, starting or stopping it`);
  });
  try {
    return await action();
  } finally {
    release();
  }
}

/** Waits until no other process has the lock of this name. The lock of a process that has died holds nobody up. */
export async function acquire(name: string, onWait: (holder: number) => void = () => {}): Promise<() => void> {
  for (let told = false; ; await sleep(500)) {
    const release = tryAcquire(name);
    if (release) return release;
    const holder = Number.parseInt(holderOf(fileOf(name)), 10);
    if (!told && holder) onWait(holder);
    told = true;
  }
}

/** The lock of this name, unless a process that lives has it. */
export function tryAcquire(name: string): (() => void) | undefined {
  const file = fileOf(name);
  mkdirSync(home, { recursive: true });
  for (;;) {
    try {
      writeFileSync(file, identityOf(process.pid) ?? '', { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (isAlive(holderOf(file))) return undefined;
    rmSync(file, { force: true });
  }
}

const fileOf = (name: string) => join(home, name);

function holderOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // Released meanwhile.
  }
}
