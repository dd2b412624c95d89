// The object on the server after a manifest is applied over an earlier one. Neither client-side nor server-side apply replaces the object.
// Fields with a default of the server stay, so a change can be refused by one of the two only.
import { type Fields, fieldsOf, isFields, listOf, normalObject, withDefaults } from './_stored';

export type Way = 'client' | 'server';

/** The lists that are merged by the key of their entries: those of client-side apply, and the further ones of server-side apply. */
export const KEYS: ReadonlyMap<string, readonly [client: string, server?: string]> = new Map([
  ['containers', ['name']],
  ['initContainers', ['name']],
  ['volumes', ['name']],
  ['env', ['name']],
  ['imagePullSecrets', ['name']],
  ['volumeMounts', ['mountPath']],
  ['volumeDevices', ['devicePath']],
  ['ports', ['containerPort', 'protocol']],
  ['topologySpreadConstraints', ['topologyKey', 'whenUnsatisfiable']],
  ['hostAliases', ['ip']],
] as const);

/** An object before the change, and after each way of applying. */
export interface Applied {
  readonly before: Fields;
  readonly after: Readonly<Record<Way, Fields>>;
}

export function applied(old: Fields, next: Fields): Applied {
  // The merged object shares parts with these. That is safe, because filling in defaults twice changes nothing.
  const [before, was, is] = [withDefaults(normalObject(old)), normalObject(old), normalObject(next)];
  const after = (way: Way) => withDefaults(fieldsOf(merged(before, was, is, '', way)));
  return { before, after: { client: after('client'), server: after('server') } };
}

function merged(live: unknown, was: unknown, is: unknown, name: string, way: Way): unknown {
  if (is === undefined) return was === undefined ? live : undefined;
  if (isFields(live) && isFields(is)) {
    // "retainKeys": kubectl removes the keys that the new manifest lacks.
    const retained = way === 'client' && (name === 'strategy' || name === 'volumes');
    const names = retained ? Object.keys(is) : [...new Set([...Object.keys(live), ...Object.keys(is)])];
    const entries = names.map((key) => [key, merged(own(live, key), own(was, key), own(is, key), key, way)] as const);
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  }
  const key = Array.isArray(live) && Array.isArray(is) ? KEYS.get(name) : undefined;
  if (key === undefined) return is;
  const [mine, theirs] = [live, was].map((list) => new Map(listOf(list).map((item) => [keyOf(item, key, way), item])));
  return listOf(is).map((item) => merged(mine?.get(keyOf(item, key, way)), theirs?.get(keyOf(item, key, way)), item, name, way));
}

const own = (fields: unknown, key: string): unknown => (isFields(fields) && Object.hasOwn(fields, key) ? fields[key] : undefined);

export function keyOf(item: Fields, [client, server]: readonly [string, string?], way: Way): string {
  const second = way === 'server' && server !== undefined ? (item[server] ?? (server === 'protocol' ? 'TCP' : '')) : '';
  return `${item[client]} ${second}`;
}

/** The path of a keyed list with two entries of the same key, or `undefined`. */
export function duplicateIn(podSpec: Fields, way: Way): string | undefined {
  const twice = (fields: Fields, path: string): string | undefined => {
    for (const [name, key] of KEYS) {
      const items = listOf(fields[name]);
      if (new Set(items.map((item) => keyOf(item, key, way))).size < items.length) return path + name;
      if (name !== 'containers' && name !== 'initContainers') continue;
      for (const item of items) {
        const inside = twice(item, `${path}${name}[${item.name}].`);
        if (inside !== undefined) return inside;
      }
    }
    return undefined;
  };
  return twice(podSpec, 'spec.template.spec.');
}

/** The paths at which two normalized values differ, with the keys of lists: `containers[agent].image`. */
export function differences(old: unknown, next: unknown, path = '', name = ''): string[] {
  if (isFields(old) && isFields(next)) {
    return [...new Set([...Object.keys(old), ...Object.keys(next)])].flatMap((key) =>
      differences(own(old, key), own(next, key), path === '' ? key : `${path}.${key}`, key),
    );
  }
  if (Array.isArray(old) && Array.isArray(next)) {
    const key = KEYS.get(name);
    const [olds, nexts] = [old, next].map((list) => new Map(listOf(list).map((item) => [key ? keyOf(item, key, 'server') : '', item])));
    if (key && olds && nexts && olds.size === old.length && nexts.size === next.length) {
      const keys = [...new Set([...olds.keys(), ...nexts.keys()])];
      const inside = keys.flatMap((item) => differences(olds.get(item), nexts.get(item), `${path}[${item.trim()}]`));
      const [order, newOrder] = [olds, nexts].map((map) => [...map.keys()].filter((item) => olds.has(item) && nexts.has(item)).join('\n'));
      return order === newOrder ? inside : [...inside, `${path} (order)`];
    }
    return old.length === next.length && old.every((item, i) => differences(item, next[i]).length === 0) ? [] : [path];
  }
  return Object.is(old, next) ? [] : [path];
}
