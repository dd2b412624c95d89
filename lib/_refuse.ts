import type { IConstruct } from 'constructs';

/** Whose prop it is: a construct, or the name of a value class, which has no path yet. */
export type Where = IConstruct | string;

/** What was wrong with one prop, in the words of its user. */
interface Refusal {
  /** The prop as the user wrote it: `labels[1]`. */
  readonly prop: string;
  /** The value given. Left out where it may be a secret. */
  readonly value?: unknown;
  /** What is allowed, as a sentence's end: `must be ...`. */
  readonly allowed: string;
  /** What to do about it. */
  readonly remedy: string;
}

/** What `refuse` throws, for who goes on to look for more. */
export interface RefusalError extends Error {
  readonly place: string;
  readonly prop: string;
}

/** Throws the one kind of error that this library throws: `PATH: PROP is VALUE: it ALLOWED; REMEDY`. */
export function refuse(where: Where, { prop, value, allowed, remedy }: Refusal): never {
  const place = typeof where === 'string' ? where : where.node.path;
  const given = value === undefined ? prop : `${prop} is ${JSON.stringify(value)}: it`;
  throw Object.assign(new Error(`${place}: ${given} ${allowed}; ${remedy}`), { place, prop } satisfies Partial<RefusalError>);
}
