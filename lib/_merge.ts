/** What is said of one team over what is said of all: maps merge by their keys, any other value replaces, undefined takes away. */
export function merge<T extends object>(defaults: T, overrides: T): T {
  const merged = { ...defaults } as Record<string, unknown>;
  for (const [key, value] of Object.entries(overrides)) {
    const before = merged[key];
    merged[key] = isMap(before) && isMap(value) ? merge(before, value) : value;
  }
  return merged as T;
}

/** Not an instance of a value class, which is replaced as a whole. */
export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
