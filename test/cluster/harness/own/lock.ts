import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { home } from './layout';
import { identityOf, isAlive } from './processes';

/** Lets one process at a time build, start or stop. The lock of a process that has died holds nobody up. */
export async function withLock<T>(action: () => Promise<T>): Promise<T> {
  const file = join(home, 'lock');
  mkdirSync(home, { recursive: true });
  for (let told = false; ; await sleep(500)) {
    try {
      writeFileSync(file, identityOf(process.pid) ?? '', { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = holderOf(file);
    if (!isAlive(holder)) {
      rmSync(file, { force: true });
    } else if (!told) {
      console.error(`cluster: waiting for process ${Number.parseInt(holder, 10)}, which is building, starting or stopping it`);
      told = true;
    }
  }
  try {
    return await action();
  } finally {
    rmSync(file, { force: true });
  }
}

function holderOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // Released meanwhile.
  }
}
