/** Python's `str(list)`, which `prefect agent kubernetes install` writes. */
export function reprList(values: string[]): string {
  return `[${values.map(repr).join(', ')}]`;
}

/** Python's `json.dumps(dict)` for strings. Its separators differ from JSON.stringify, and it writes ASCII only. */
export function jsonDumps(values: Record<string, string>): string {
  const pairs = Object.entries(values).map(([key, value]) => `${asciiJson(key)}: ${asciiJson(value)}`);
  return `{${pairs.join(', ')}}`;
}

/** It supports Latin letters without control characters. Python's version decides which other characters it escapes. */
function repr(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  return quote + value.replaceAll('\\', '\\\\').replaceAll(quote, `\\${quote}`) + quote;
}

function asciiJson(value: string): string {
  return JSON.stringify(value).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
