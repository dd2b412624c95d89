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
  const file = join(home, name);
  mkdirSync(home, { recursive: true });
  for (let told = false; ; await sleep(500)) {
    try {
      writeFileSync(file, identityOf(process.pid) ?? '', { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = holderOf(file);
    if (!isAlive(holder)) {
      rmSync(file, { force: true });
    } else if (!told) {
      onWait(Number.parseInt(holder, 10));
      told = true;
    }
  }
}

function holderOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // Released meanwhile.
  }
}
