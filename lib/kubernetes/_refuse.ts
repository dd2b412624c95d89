import { join } from 'node:path';
import type { IConstruct } from 'constructs';
import { inPython, isPython } from './_python-names';
import { mayShow, withoutKeys } from './_secrets';

/** The owner of the prop: a construct, or the name of a value class, which has no path. */
export type Where = IConstruct | string;

/** A mistake in one prop. */
interface Refusal {
  /** The prop as in the code of the user: `labels[1]`. */
  readonly prop: string;
  /** The value, quoted as JSON. Leave it out if it may be a secret. A value that looks like one is never shown. */
  readonly value?: unknown;
  /** A description of the value instead of the value: `a string`, `2 minutes`. */
  readonly given?: string;
  /** What is allowed, as the end of a sentence: `must be ...`. */
  readonly allowed: string;
  /** What to do. */
  readonly remedy: string;
}

/** The error of `refuse`, for callers that collect several. */
export interface RefusalError extends Error {
  readonly place: string;
  readonly prop: string;
}

const LIBRARY = join(__dirname, '..');

/** Throws the error of this library: `PATH: PROP is VALUE: it ALLOWED; REMEDY`. */
export function refuse(where: Where, { prop, value, given, allowed, remedy }: Refusal): never {
  const place = typeof where === 'string' ? where : where.node.path;
  const shown = given ?? (value === undefined || !mayShow(value) ? undefined : JSON.stringify(value));
  const [subject, rule, advice] = isPython() ? [inPython(prop), inPython(allowed), inPython(remedy)] : [prop, allowed, remedy];
  fail(`${place}: ${shown === undefined ? subject : `${subject} is ${shown}: it`} ${rule}; ${advice}`, { place, prop });
}

/** Throws an error so that Node prints the message first, and the line of the user's code below it. */
export function fail(message: string, { place, prop }: Partial<RefusalError> = {}): never {
  const error = new Error(withoutKeys(message));
  // Not enumerable, because Node prints enumerable properties after the stack.
  Object.defineProperties(error, { place: { value: place }, prop: { value: prop } });
  error.stack = withoutOwnFrames(error.stack);
  // This comment stops Node from printing the throwing line above the message.
  throw error; // node-do-not-add-exception-line
}

/** Makes the code of the user the first line of the stack. */
function withoutOwnFrames(stack: string | undefined): string | undefined {
  const lines = stack?.split('\n') ?? [];
  const own = (line: string) => line.startsWith('    at ') && line.includes(LIBRARY);
  const kept = lines.filter((line) => !own(line));
  return kept.some((line) => line.startsWith('    at ')) ? kept.join('\n') : stack;
}
