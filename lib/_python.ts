/** `str(list)` of Python, which `prefect agent kubernetes install` writes where it means a literal. */
export function reprList(values: string[]): string {
  return `[${values.map(repr).join(', ')}]`;
}

/** `json.dumps(dict)` of Python, for strings: other separators than JSON.stringify, and ASCII only. */
export function jsonDumps(values: Record<string, string>): string {
  const pairs = Object.entries(values).map(([key, value]) => `${asciiJson(key)}: ${asciiJson(value)}`);
  return `{${pairs.join(', ')}}`;
}

/** Order of Python's `sorted`: by code point, where JavaScript's is by UTF-16 unit. */
export function compareCodePoints(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function repr(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  const escaped = value
    .replaceAll('\\', '\\\\')
    .replaceAll(quote, `\\${quote}`)
    .replace(/[\p{C}\p{Z}]/gu, (char) => (char === ' ' ? char : escapeSequence(char.codePointAt(0) as number)));
  return quote + escaped + quote;
}

function escapeSequence(codePoint: number): string {
  const hex = codePoint.toString(16);
  if (codePoint <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return codePoint <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}

function asciiJson(value: string): string {
  return JSON.stringify(value).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
