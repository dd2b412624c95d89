import { isMap } from '../kubernetes/_map';
import { refuse, type Where } from '../kubernetes/_refuse';
import type { JobVariable } from './job-variable';

/** The pattern of a placeholder in Prefect (prefect.utilities.templating). Python's `\w` includes letters and digits of all scripts. */
const PLACEHOLDER = /\{\{\s*([\p{L}\p{M}\p{N}_.\-[\]$]+)\s*\}\}/gu;

/** Props whose strings reach the Job unchanged, so a placeholder may become a value of any type. */
const VERBATIM = new Set(['podSpec', 'affinity']);

/** A string of a template and its path: `nodeSelector.team`. */
interface Text {
  readonly path: string;
  readonly value: string;
  readonly isKey: boolean;
}

/** The names of the placeholders in a string. */
export function placeholdersOf(text: string): string[] {
  return [...text.matchAll(PLACEHOLDER)].map(([, name]) => name ?? '');
}

/** Whether a string is a single placeholder. Prefect then inserts the value with its type. */
export function standsAlone(text: string): boolean {
  return text.replace(PLACEHOLDER, '') === '' && placeholdersOf(text).length === 1;
}

/** Throws for placeholders without a variable, and for those whose type Kubernetes does not accept there. */
export function checkPlaceholders(where: Where, props: object, variables: Record<string, JobVariable>): void {
  for (const { path, value, isKey } of textsOf(props)) {
    for (const name of placeholdersOf(value)) {
      if (isKey) {
        refuse(where, {
          prop: path,
          value,
          allowed: 'must not be a key: Prefect only replaces placeholders in values',
          remedy: 'write the key plainly',
        });
      }
      const variable = Object.hasOwn(variables, name) ? variables[name] : undefined;
      if (variable === undefined) {
        refuse(where, {
          prop: path,
          value,
          allowed: `must have only placeholders of jobVariables: ${Object.keys(variables).join(', ') || 'there are none'}`,
          remedy: `declare ${name}, or leave it out`,
        });
      }
      if (variable._kind === 'map') {
        refuse(where, {
          prop: path,
          value,
          allowed: 'must not name a JobVariable.map(), which has its own place in the Job',
          remedy: 'leave it out',
        });
      }
      const [prop = ''] = path.split('.');
      if (['integer', 'boolean'].includes(variable._kind) && standsAlone(value) && !VERBATIM.has(prop)) {
        refuse(where, {
          prop: path,
          value,
          allowed: `must be text, and ${name} is of type ${variable._kind}: Kubernetes would refuse every Job`,
          remedy: "declare it as JobVariable.string({ pattern: '^[0-9]+$' }) or as a choice",
        });
      }
    }
  }
}

/** Names of the variables that props name. */
export function usedIn(props: object): Set<string> {
  return new Set([...textsOf(props)].flatMap(({ value }) => placeholdersOf(value)));
}

/** A string with each placeholder replaced by `fill`. */
export function replacePlaceholders(text: string, fill: (name: string) => string): string {
  return text.replace(PLACEHOLDER, (_, name: string) => fill(name));
}

/** A copy of the props with each placeholder replaced by `fill`. Instances of classes stay as they are. */
export function fillPlaceholders<T>(props: T, fill: (name: string) => string): T {
  const copy = (value: unknown): unknown => {
    if (typeof value === 'string') return replacePlaceholders(value, fill);
    if (Array.isArray(value)) return value.map(copy);
    if (isMap(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copy(item)]));
    return value;
  };
  return copy(props) as T;
}

/** Every string in props, and every key of an object. */
function* textsOf(value: unknown, path = ''): Generator<Text> {
  if (typeof value === 'string') yield { path, value, isKey: false };
  if (isEnvValue(value)) yield* textsOf(value._source.value, path);
  if (Array.isArray(value)) for (const [i, item] of value.entries()) yield* textsOf(item, `${path}[${i}]`);
  if (isMap(value)) {
    for (const [key, item] of Object.entries(value)) {
      yield { path, value: key, isKey: true };
      yield* textsOf(item, path === '' ? key : `${path}.${key}`);
    }
  }
}

function isEnvValue(value: unknown): value is { readonly _source: { readonly value?: string } } {
  return typeof value === 'object' && value !== null && !isMap(value) && '_source' in value && !('_mount' in value);
}
