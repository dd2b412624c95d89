import { execFileSync } from 'node:child_process';
import type { Property, TypeReference } from '@jsii/spec';
import { enums, structs } from './assembly';
import { evaluate, meanings, others, outcomes, prefects, see, unsayable } from './defaults';

const optional = structs.flatMap(({ name: struct, properties = [] }) =>
  properties.filter((prop) => prop.optional).map((prop) => ({ struct, prop, path: `${struct}.${prop.name}`, said: prop.docs?.default })),
);
const isProse = (said: string) => said.startsWith('- ');

test('every optional prop says its default, and no prop is optional without one', () => {
  expect(optional.length).toBeGreaterThan(100);
  expect(optional.filter(({ said }) => !said).map(({ path }) => path)).toEqual([]);
});

test('the lists of defaults name nothing that is not there', () => {
  const paths = optional.map(({ path }) => path);
  const words = [...paths, ...structs.map(({ name }) => name), ...optional.map(({ said = '' }) => said.replace(/^- /, ''))];
  expect([...Object.keys(outcomes), ...Object.keys(meanings)].filter((key) => !words.includes(key))).toEqual([]);
  expect([...Object.keys(unsayable), ...Object.keys(prefects)].filter((key) => !paths.includes(key))).toEqual([]);
});

describe.each(optional)('$path: $said', ({ struct, prop, path, said = '' }) => {
  const outcome = outcomes[path] ?? outcomes[struct];
  const left = () => {
    if (!outcome) throw new Error(`say in defaults.ts, as outcomes.${struct}, how its props come to be seen`);
    return see(outcome, () => ({}));
  };
  const given = (value: (typeof others)[string]) => see(outcome as never, (chart) => ({ [prop.name]: value(chart) }));

  test('another value makes a difference', () => {
    expect(given(another(path, prop, said))).not.toEqual(left());
  });

  const meaning = meaningOf(path, prop, said);
  if (meaning) {
    test('is what the code does when it is left out', () => {
      expect(given(meaning)).toEqual(left());
    });
  } else if (path in prefects) {
    test("is Prefect's", () => {
      const program = `import prefect; print(prefect.config.${prefects[path]}, end='')`;
      const value = execFileSync('python3', ['-c', program], { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: '/nonexistent' } });
      expect(said).toContain(value);
    });
  } else {
    test('cannot be said, and is on the list of those', () => {
      expect(unsayable).toHaveProperty([path]);
      if (unsayable[path]?.startsWith('nothing ')) expect(lengthOf(given(another(path, prop, said)))).toBeGreaterThan(lengthOf(left()));
    });
  }
});

const lengthOf = (seen: unknown) => JSON.stringify(seen).length;

function meaningOf(path: string, { type }: Property, said: string): (typeof meanings)[string] | undefined {
  if (path in unsayable || path in prefects) return undefined;
  if (!isProse(said)) return () => evaluate(said);
  // Of a list or map, none is an empty one.
  const empty = 'collection' in type ? () => (type.collection.kind === 'array' ? [] : {}) : undefined;
  return meanings[path] ?? meanings[said.slice(2)] ?? empty;
}

function another(path: string, { type }: Property, said: string): (typeof others)[string] {
  const given = others[path];
  if (given) return given;
  if ('primitive' in type && type.primitive === 'boolean') return () => said !== 'true' && !said.startsWith('- true');
  const members = 'fqn' in type ? enums.find(({ fqn }) => fqn === type.fqn) : undefined;
  if (members) return () => evaluate(`${members.name}.${members.members.find(({ name }) => !said.endsWith(`.${name}`))?.name}`);
  const byType = others[spell(type)];
  if (!byType) throw new Error(`say in defaults.ts, as others['${spell(type)}'], what another value could be`);
  return byType;
}

function spell(type: TypeReference): string {
  if ('primitive' in type) return type.primitive;
  if ('fqn' in type) return type.fqn.split('.').at(-1) ?? '';
  if ('collection' in type) {
    const element = spell(type.collection.elementtype);
    return type.collection.kind === 'array' ? `${element}[]` : `map of ${element}`;
  }
  throw new Error(`a type that this library has not: ${JSON.stringify(type)}`);
}
