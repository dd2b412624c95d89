import { type ApiObject, type App, type IResolver, ResolutionContext } from 'cdk8s';
import type { IConstruct } from 'constructs';

/** The default resolvers of every app. Values for them do not pass the checks of props. */
const BUILT_IN = ['LazyResolver', 'ImplicitTokenResolver', 'NumberStringUnionResolver'];

/**
 * A string in a field of an object, written by `write` from a value. At synthesis, the resolvers of the app see the value as they see
 * manifests, and not only the string.
 * @see https://cdk8s.io/docs/latest/basics/app/#resolvers
 */
export function resolvedText<T>(scope: IConstruct, object: () => ApiObject, value: T, write: (value: T) => string): string {
  // A root that is no App has none.
  const { resolvers = [] } = scope.node.root as Partial<App>;
  const own = resolvers.filter((resolver) => !BUILT_IN.includes(resolver.constructor.name));
  return own.length === 0 ? write(value) : late(() => write(resolve(value, [], own, object()) as T));
}

/** A string that is made at synthesis: an implicit token. Unlike `Lazy`, it also works with another copy of cdk8s. */
export function late(resolve: () => string): string {
  return new Late(resolve) as unknown as string;
}

class Late {
  constructor(readonly resolve: () => string) {}
}

/** The same as in cdk8s, which does not export its own. */
function resolve(value: unknown, key: string[], resolvers: IResolver[], object: ApiObject): unknown {
  if (value === null || value === undefined) return value;
  const context = new ResolutionContext(object, key, value);
  for (const resolver of resolvers) {
    resolver.resolve(context);
    if (context.replaced) return resolve(context.replacedValue, key, resolvers, object);
  }
  if (typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((item, i) => resolve(item, [...key, `${i}`], resolvers, object));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, resolve(item, [...key, name], resolvers, object)]));
}
