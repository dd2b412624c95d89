import { setTimeout as sleep } from 'node:timers/promises';

/** How long anything is waited for at least, in milliseconds: a busy machine is not a failure. */
export const PATIENCE = 600_000;

export interface EventuallyOptions {
  /** In milliseconds; `PATIENCE` if not given. */
  readonly timeout?: number;
  readonly interval?: number;
  /** What is added to the error, such as the state of the cluster. */
  readonly state?: () => Promise<string>;
}

/** Tries until an attempt does not throw, and gives what it returned. Fails with the reason of the last attempt. */
export async function eventually<T>(attempt: () => T | Promise<T>, options: EventuallyOptions = {}): Promise<T> {
  const { timeout = PATIENCE, interval = 500, state } = options;
  for (const start = Date.now(); ; await sleep(interval)) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() - start < timeout) continue;
      const reason = error instanceof Error ? error.message : String(error);
      const details = state ? `\n\n${await state().catch((problem) => `(the state could not be read: ${problem})`)}` : '';
      throw new Error(`not so after ${timeout / 1000} s: ${reason}${details}`, { cause: error });
    }
  }
}
