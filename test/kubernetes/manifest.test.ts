import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { k8s } from 'cdk8s-plus-27';

// The library takes types from cdk8s-plus-27 and nothing else, so its runtime code is the oracle for names in JSON.
const theirs = readFileSync(require.resolve('cdk8s-plus-27/lib/imports/k8s.js'), 'utf8');
const ours = readFileSync(join(__dirname, '../../lib/kubernetes/_manifest.ts'), 'utf8');

interface Field {
  readonly json: string;
  readonly name: string;
  /** Types of the field's value. */
  readonly within: string[];
}

/** The fields of each type, from its function `toJson_TYPE`. */
const types = new Map<string, Field[]>();
for (const [, type = '', body = ''] of theirs.matchAll(/^function toJson_(\w+)\(obj\) \{(.*?)^\}/gms)) {
  const fields = [...body.matchAll(/^ {8}'([^']+)': (.*)$/gm)].map(([, json = '', code = '']) => ({
    json,
    name: /obj\.(\w+)/.exec(code)?.[1] ?? '',
    within: [...code.matchAll(/toJson_(\w+)/g)].map(([, inner = '']) => inner),
  }));
  types.set(type, fields);
}

const kinds = [...ours.matchAll(/^ {2}'?([\w./]+)'?: \{([^}]*k8s\.Kube[^}]*)\};$/gm)].flatMap(([, apiVersion, body = '']) =>
  [...body.matchAll(/(\w+): \w+<k8s\.(\w+)Props>/g)].map(([, kind, type = '']) => ({ apiVersion, kind, type })),
);
const jsonNames = new Map([...ours.matchAll(/^ {2}(\w+): '(\w+)';$/gm)].map(([, name = '', json = '']) => [name, json]));

test('each kind is of its apiVersion', () => {
  expect(kinds.length).toBe([...ours.matchAll(/k8s\.Kube\w+Props/g)].length);
  for (const { type, ...gvk } of kinds)
    expect([type, (k8s as unknown as Record<string, { GVK: unknown }>)[type]?.GVK]).toEqual([type, gvk]);
});

test('every field of what the library makes has its name in JSON', () => {
  const seen = new Set<string>();
  const visit = (type: string): Field[] => {
    if (seen.has(type)) return [];
    seen.add(type);
    const fields = types.get(type);
    if (!fields) throw new Error(`cdk8s-plus-27 has no toJson_${type}`);
    return [...fields, ...fields.flatMap(({ within }) => within.flatMap(visit))];
  };
  const fields = kinds.flatMap(({ type }) => visit(`${type}Props`));
  expect(seen.size).toBeGreaterThan(50);
  expect(fields.filter(({ name, json }) => (jsonNames.get(name) ?? name) !== json)).toEqual([]);
  expect([...jsonNames.keys()].filter((name) => !fields.some((field) => field.name === name))).toEqual([]);
});
