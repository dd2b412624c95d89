import { Readable } from 'node:stream';

/** Does something with each, so many at once. In the order of the items; the first failure ends it. */
export function atOnce<T, R>(count: number, items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  return Readable.from(items)
    .map((item: T) => work(item), { concurrency: count })
    .toArray();
}
