import type { ErrorObject } from 'ajv';
import { mayShow } from '../kubernetes/_secrets';
import { didYouMean, remedyOfPrefect3 } from '../kubernetes/_spelling';

/** A path in a file: `['teams', 'fraud', 'jobs', 'image']`. */
export type Path = string[];

/** A mistake at a path. */
export interface Fault {
  readonly path: Path;
  readonly what: string;
}

/** From a JSON Pointer. */
export function pathOf(pointer: string): Path {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Explains schema errors to the authors of the file. If no alternative of a value matches, that is one mistake. */
export function explain(errors: ErrorObject[]): Fault[] {
  const choices = new Set(errors.filter(({ keyword }) => keyword === 'anyOf').map(({ instancePath }) => instancePath));
  const faults: Fault[] = [];
  for (const place of new Set(errors.map(({ instancePath }) => instancePath))) {
    const path = pathOf(place);
    const here = errors.filter(({ instancePath, keyword }) => instancePath === place && keyword !== 'anyOf');
    const types = here.filter(({ keyword }) => keyword === 'type');
    const others = here.filter(({ keyword }) => keyword !== 'type');
    const inside = errors.some(({ instancePath }) => instancePath.startsWith(`${place}/`));
    // The alternative with the type of the value says more.
    if (types.length > 0 && !(choices.has(place) && (others.length > 0 || inside))) {
      const allowed = new Set(types.flatMap(({ params }) => params.type as string | string[]).filter((type) => type !== 'null'));
      const example = exampleOf([...allowed][0] ?? '', types, path);
      faults.push({
        path,
        what: ` is ${typeOf(types[0]?.data)}: it must be ${[...allowed].map(withArticle).join(' or ')}; write for example ${example}`,
      });
    }
    faults.push(...others.map((error) => explainOne(path, error)));
  }
  return faults;
}

function explainOne(path: Path, { keyword, params, message, parentSchema, data }: ErrorObject): Fault {
  switch (keyword) {
    case 'additionalProperties':
      return {
        path: [...path, params.additionalProperty],
        what: explainUnknown(params.additionalProperty, parentSchema?.properties, data),
      };
    case 'required':
      return { path, what: `: ${params.missingProperty} must be given` };
    case 'minProperties':
    case 'maxProperties':
      return { path, what: `: it must be ${lowerCased(parentSchema?.description)}` };
    case 'enum':
      return { path, what: `${shown(data)}: it must be one of ${params.allowedValues.filter(Boolean).join(', ')}` };
    case 'pattern':
      return { path, what: `${shown(data)}: it must be ${lowerCased(parentSchema?.description)}` };
    default:
      return { path, what: `: it ${message}` };
  }
}

/** A misspelling, a word of Prefect 2 or 3, or something else. */
function explainUnknown(key: string, properties: object = {}, data: unknown): string {
  const known = Object.keys(properties).sort();
  const remedy = remedyOfPrefect3(key);
  if (remedy !== undefined) return ` is a word of Prefect 2 and 3 that Prefect 1 does not have; ${remedy}`;
  const meant = didYouMean(
    key,
    known.filter((name) => !Object.hasOwn(Object(data), name)),
  );
  return ` is not known; ${meant === undefined ? `known here are ${known.join(', ')}` : `did you mean ${meant}?`}`;
}

/** An example of a valid value. */
function exampleOf(type: string, errors: ErrorObject[], path: Path): string {
  const notation = errors.map(({ parentSchema }) => parentSchema?.notation as string | undefined).find((name) => name !== undefined);
  const key = path.at(-1);
  const value = EXAMPLES[notation ?? type] ?? '{}';
  if (key === undefined) return 'teams: { fraud: {} }';
  return /^\d+$/.test(key) ? value : `${key}: ${value}`;
}

const EXAMPLES: Record<string, string> = {
  Duration: '5m',
  Size: '2Gi',
  Cpu: '500m',
  SecretKeyRef: '{ name: prefect-api-key, key: key }',
  ConfigMapKeyRef: '{ name: settings, key: key }',
  PrefectApi: '{ server: { url: http://prefect-apollo.prefect:4200 } }',
  EnvValue: "'text'",
  EnvFrom: '{ secretRef: { name: settings } }',
  EnvSource: '{ secretKeyRef: { name: db, key: password } }',
  Volume: '{ mountPath: /cache, emptyDir: {} }',
  string: "'text'",
  number: '1',
  boolean: 'true',
  array: '[]',
  object: '{}',
};

function shown(data: unknown): string {
  return mayShow(data) ? ` is ${JSON.stringify(data)}` : '';
}

/** A description of the value. It never contains the value, which may be an API key instead of its reference. */
function typeOf(value: unknown): string {
  if (value === null) return 'empty';
  return withArticle(Array.isArray(value) ? 'array' : typeof value);
}

function withArticle(type: string): string {
  const word = type === 'array' ? 'list' : type;
  return `${/^[aeiou]/.test(word) ? 'an' : 'a'} ${word}`;
}

function lowerCased(sentence = 'other'): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1).replace(/\.$/, '');
}
