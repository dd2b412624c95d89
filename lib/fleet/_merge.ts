import { isMap } from '../kubernetes/_map';

/** Merges a row over the defaults. Objects merge by key, any other value replaces the default, and undefined removes it. */
export function merge<T extends object>(defaults: T, overrides: T): T {
  const merged = { ...defaults } as Record<string, unknown>;
  for (const [key, value] of Object.entries(overrides)) {
    const before = merged[key];
    merged[key] = isMap(before) && isMap(value) ? merge(before, value) : value;
  }
  return merged as T;
}
