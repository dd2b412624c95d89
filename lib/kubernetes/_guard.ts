import { Chart } from 'cdk8s';
import type { IConstruct } from 'constructs';
import { ENUMS, PARENTS, STRUCTS } from './_props-table';
import { refuse, type Where } from './_refuse';
import { didYouMean, remedyOfPrefect3 } from './_spelling';

/**
 * The members by which an instance of a class is recognized, and an example of one. `instanceof` would reject instances from another
 * copy of cdk8s or of this library in the same dependency tree.
 */
const CLASSES: Record<string, { readonly has: string[]; readonly example: string }> = {
  BaseJobTemplate: { has: ['effectiveJob', 'flowNamespace'], example: "new BaseJobTemplate(chart, 'Template', { api })" },
  ConfigMapKeyRef: { has: ['name', 'key', '_ofConfigMap'], example: "ConfigMapKeyRef.of('settings', 'key')" },
  Cpu: { has: ['millicores'], example: 'Cpu.millis(250)' },
  DaskWorkerPolicy: { has: ['_settings', 'flowNamespace'], example: "new DaskWorkerPolicy(chart, 'Dask')" },
  DebugConfig: { has: ['configMapName', 'checksum'], example: "new DebugConfig(chart, 'Debug')" },
  Duration: { has: ['toSeconds', 'toMilliseconds'], example: 'Duration.minutes(5)' },
  EnvFrom: { has: ['_envFrom'], example: "EnvFrom.secret('settings')" },
  EnvValue: { has: ['_source'], example: "EnvValue.of('text')" },
  FlowJobTemplate: { has: ['configMapName', '_job'], example: "new FlowJobTemplate(chart, 'Jobs')" },
  Manifests: { has: ['all', 'names'], example: 'Manifests.of(chart)' },
  JobVariable: { has: ['_kind', '_schema'], example: 'JobVariable.string()' },
  Prefect3Api: { has: ['url', '_ofPrefect3'], example: "Prefect3Api.server({ url: 'http://prefect-server.prefect:4200/api' })" },
  PrefectApi: { has: ['backend', 'url'], example: "PrefectApi.server({ url: 'http://prefect-apollo.prefect:4200' })" },
  SecretKeyRef: { has: ['name', 'key', '_ofSecret'], example: "SecretKeyRef.of('prefect-api-key', 'key')" },
  Size: { has: ['toKibibytes'], example: 'Size.gibibytes(2)' },
  WorkPool: { has: ['configMap', 'baseJobTemplate'], example: "new WorkPool(chart, 'Pool', { name: 'k8s', baseJobTemplate })" },
  Volume: { has: ['_source', '_mount'], example: "Volume.fromSecret('team-files', { mountPath: '/etc/team' })" },
};

/** Examples of strings, by prop. */
const STRING_EXAMPLES: Record<string, string> = {
  cidr: '10.0.0.0/8',
  flowRunId: '11111111-2222-3333-4444-555555555555',
  image: 'registry.example/flows:42',
  mountPath: '/etc/team',
  accountId: '11111111-2222-3333-4444-555555555555',
  workspaceId: '66666666-7777-8888-9999-000000000000',
  url: 'http://prefect-apollo.prefect:4200',
};

/** Checks a value and returns it without undefined entries. */
type Check = (where: Where, path: string, value: unknown) => unknown;

const checks = new Map<string, Check>();

const ours = new WeakSet<IConstruct>();

/** The construct that the user created. A construct of this library may create others inside. */
export function madeByUser(scope: IConstruct): IConstruct {
  const parent = scope.node.scope;
  const isInner = parent !== undefined && !Chart.isChart(parent) && (ours.has(parent) || !ours.has(scope));
  return isInner ? madeByUser(parent) : scope;
}

/**
 * Checks props against their types at run time, because neither JavaScript nor `tsx` does. It throws for a value of another type, a
 * required prop that is undefined, and a likely misspelling. Other keys are valid: people extend the interfaces and spread objects of
 * their own.
 */
export function checkProps<T extends object>(where: Where, struct: string, props: T): T {
  if (typeof where !== 'string') ours.add(where);
  return checkOf(struct)(where, '', props ?? {}) as T;
}

/** The same without nested props of other interfaces, which the construct that receives them checks. */
export function checkOwnProps<T extends object>(where: Where, struct: string, props: T): T {
  return checkOf(`own ${struct}`)(where, '', props ?? {}) as T;
}

/** The same for the arguments of a method, by name. */
export function checkArguments<T extends object>(method: string, values: T, where: Where = method.split('.')[0] ?? ''): T {
  return checkOf(method)(where, '', values) as T;
}

function checkOf(type: string): Check {
  let check = checks.get(type);
  if (check === undefined) {
    check = makeCheck(type);
    checks.set(type, check);
  }
  return check;
}

function makeCheck(type: string): Check {
  if (type.endsWith('[]')) return listOf(type.slice(0, -2));
  if (type.endsWith('{}')) return mapOf(type.slice(0, -2));
  if (Object.hasOwn(STRUCTS, type)) return structOf(type);
  const [own, struct] = type.split(' ');
  if (own === 'own' && struct !== undefined) return structOf(struct, (name) => (Object.hasOwn(STRUCTS, name) ? 'object' : name));
  if (type === 'any') return (_where, _path, value) => value;
  const matches = matcherOf(type);
  return (where, path, value) => (matches(value) ? value : refuseType(where, path, value, type));
}

function matcherOf(type: string): (value: unknown) => boolean {
  if (type === 'number') return (value) => typeof value === 'number' && Number.isFinite(value);
  const members = ENUMS[type];
  if (members !== undefined) {
    const values = new Set<unknown>(Object.values(members));
    return (value) => values.has(value);
  }
  if (type === 'object') return isRecord;
  return Object.hasOwn(CLASSES, type) ? (value) => isInstance(value, type) : (value) => typeof value === type;
}

function listOf(element: string): Check {
  return (where, path, value) => {
    if (!Array.isArray(value)) return refuseType(where, path, value, `${element}[]`);
    const check = checkOf(element);
    // Not `map`, which skips holes.
    const checked = Array.from(value, (item, i) => check(where, `${path}[${i}]`, item));
    return checked.every((item, i) => item === value[i]) ? value : checked;
  };
}

function mapOf(element: string): Check {
  return (where, path, value) => {
    if (!isRecord(value)) return refuseType(where, path, value, `${element}{}`);
    const check = checkOf(element);
    const entries = Object.entries(value);
    const checked = entries
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, check(where, /^[A-Za-z_]\w*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`, item)]);
    const same = checked.length === entries.length && checked.every(([, item], i) => item === entries[i]?.[1]);
    return same ? value : Object.fromEntries(checked);
  };
}

function structOf(struct: string, typeOf = (type: string) => type): Check {
  const props = [...propsOf(struct)].map(([name, type]) => ({
    name,
    type: type.replace(/\?$/, '').replace(/^\w+/, typeOf),
    required: !type.endsWith('?'),
  }));
  const names = new Set(props.map(({ name }) => name));
  // A member of the argument `options` is named like a prop: `mountPath`.
  const isMethod = struct.includes('.');
  return (where, path, value) => {
    if (!isRecord(value)) return refuseType(where, path, value, struct);
    const prefix = path === '' ? '' : `${path}.`;
    for (const key of Object.keys(value)) {
      if (!names.has(key) && value[key] !== undefined) checkUnknown(where, prefix, key, value, names);
    }
    let checked = value;
    for (const { name, type, required } of props) {
      const item = value[name];
      if (item === undefined) {
        if (!required) continue;
        refuse(where, { prop: prefix + name, allowed: 'must be given', remedy: `write for example ${exampleOf(name, type)}` });
      }
      const nested = isMethod && Object.hasOwn(STRUCTS, type) && isRecord(item);
      const seen = checkOf(type)(where, nested ? '' : prefix + name, item);
      if (seen !== item) checked = { ...checked, [name]: seen };
    }
    return checked;
  };
}

/** The props of a struct, including inherited ones. */
function propsOf(struct: string): Map<string, string> {
  return new Map([...(PARENTS[struct] ?? []).flatMap((parent) => [...propsOf(parent)]), ...Object.entries(STRUCTS[struct] ?? {})]);
}

function checkUnknown(where: Where, prefix: string, key: string, given: Record<string, unknown>, names: Set<string>): void {
  const prop = prefix + key;
  // In the constructs for Prefect 3 these words are at most misspellings.
  const ofPrefect3 = ['jobVariables', 'baseJobTemplate', 'workPool'].some((name) => names.has(name));
  const remedy = ofPrefect3 ? undefined : remedyOfPrefect3(key);
  if (remedy !== undefined) refuse(where, { prop, allowed: 'is a word of Prefect 2 and 3 that Prefect 1 does not have', remedy });
  const absent = [...names].filter((name) => given[name] === undefined);
  const meant = didYouMean(key, absent);
  if (meant !== undefined) refuse(where, { prop, allowed: 'is not a prop, and would be ignored', remedy: `did you mean ${meant}?` });
}

/** A description of the value. It never contains the value, which may be an API key instead of its reference. */
function refuseType(where: Where, path: string, value: unknown, type: string): never {
  const name = path.split('.').at(-1) ?? '';
  refuse(where, {
    prop: path === '' ? 'props' : path,
    given: describe(value),
    allowed: `must be ${spell(type)}`,
    remedy: `write for example ${/^\w+$/.test(name) ? exampleOf(name, type) : example(name, type)}`,
  });
}

function describe(value: unknown): string {
  if (value === null || value === undefined || Number.isNaN(value)) return String(value);
  if (Array.isArray(value)) return 'a list';
  const known = Object.keys(CLASSES).find((type) => isInstance(value, type));
  return known === undefined ? withArticle(typeof value) : withArticle(known);
}

function spell(type: string): string {
  if (type.endsWith('[]')) return `a list, each ${spell(type.slice(0, -2))}`;
  if (type === 'any{}') return 'an object';
  if (type.endsWith('{}')) return `an object, each value ${spell(type.slice(0, -2))}`;
  if (Object.hasOwn(STRUCTS, type)) return `an object with props of ${type}`;
  const members = ENUMS[type];
  return members === undefined
    ? withArticle(type)
    : `one of ${Object.keys(members).map((member) => `${type}.${member}`)}`.replaceAll(',', ', ');
}

function exampleOf(name: string, type: string): string {
  return `${name}: ${example(name, type)}`;
}

function example(name: string, type: string): string {
  if (type.endsWith('[]')) return `[${example(name, type.slice(0, -2))}]`;
  if (type.endsWith('{}')) return type === 'any{}' ? '{}' : `{ NAME: ${example(name, type.slice(0, -2))} }`;
  if (Object.hasOwn(STRUCTS, type)) {
    const props = [...propsOf(type)];
    const required = props.filter(([, its]) => !its.endsWith('?'));
    return `{ ${(required.length > 0 ? required : props.slice(0, 1)).map(([prop, its]) => exampleOf(prop, its.replace(/\?$/, ''))).join(', ')} }`;
  }
  const members = ENUMS[type];
  if (members !== undefined) return `${type}.${Object.keys(members)[0]}`;
  const known = CLASSES[type];
  if (known !== undefined) return known.example;
  return { string: `'${STRING_EXAMPLES[name] ?? 'text'}'`, number: '1', boolean: 'true', object: '{}' }[type] ?? type;
}

function withArticle(noun: string): string {
  return `${/^[aeiou]/i.test(noun) ? 'an' : 'a'} ${noun}`;
}

/** An object literal with the same members is invalid, because it has not passed the checks of the class. */
function isInstance(value: unknown, type: string): boolean {
  return typeof value === 'object' && value !== null && !isPlain(value) && (CLASSES[type]?.has ?? []).every((member) => member in value);
}

/** An object with props or entries, unlike a value class, a construct, a `Map` or a `Date`. */
function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  if (isPlain(value)) return true;
  const foreign = Symbol.iterator in value || value instanceof Date || 'node' in value;
  return !foreign && !Object.keys(CLASSES).some((type) => isInstance(value, type));
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
