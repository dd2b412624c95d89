import type { ErrorObject } from 'ajv';

/** Where something is in a file: `['teams', 'fraud', 'jobs', 'image']`. */
export type Path = string[];

/** What is wrong at a place. */
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

/** In the words of the file's authors. What the branches of a choice (one form of a value or another, or null) refuse is one fault. */
export function explain(errors: ErrorObject[]): Fault[] {
  const choices = new Set(errors.filter(({ keyword }) => keyword === 'anyOf').map(({ instancePath }) => instancePath));
  const faults: Fault[] = [];
  for (const place of new Set(errors.map(({ instancePath }) => instancePath))) {
    const path = pathOf(place);
    const here = errors.filter(({ instancePath, keyword }) => instancePath === place && keyword !== 'anyOf');
    const types = here.filter(({ keyword }) => keyword === 'type');
    const others = here.filter(({ keyword }) => keyword !== 'type');
    const inside = errors.some(({ instancePath }) => instancePath.startsWith(`${place}/`));
    // Of a choice, the branch that has the value's type says more.
    if (types.length > 0 && !(choices.has(place) && (others.length > 0 || inside))) {
      const allowed = new Set(types.flatMap(({ params }) => params.type as string | string[]).filter((type) => type !== 'null'));
      faults.push({ path, what: ` is ${typeOf(types[0]?.data)}: it must be ${[...allowed].map(withArticle).join(' or ')}` });
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
        what: ` is not known; known here are ${Object.keys(parentSchema?.properties ?? {}).join(', ')}`,
      };
    case 'required':
      return { path, what: `: ${params.missingProperty} must be given` };
    case 'minProperties':
    case 'maxProperties':
      return { path, what: `: it must be ${lowerCased(parentSchema?.description)}` };
    case 'enum':
      return { path, what: ` is ${JSON.stringify(data)}: it must be one of ${params.allowedValues.filter(Boolean).join(', ')}` };
    case 'pattern':
      return { path, what: ` is ${JSON.stringify(data)}: it must be ${lowerCased(parentSchema?.description)}` };
    default:
      return { path, what: `: it ${message}` };
  }
}

/** Never the value itself, which may be a key in the place of its reference. */
function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return withArticle(Array.isArray(value) ? 'array' : typeof value);
}

function withArticle(type: string): string {
  const word = { array: 'list', object: 'map', string: 'text' }[type] ?? type;
  return `${/^[aeiou]/.test(word) ? 'an' : 'a'} ${word}`;
}

function lowerCased(sentence = 'other'): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1).replace(/\.$/, '');
}
