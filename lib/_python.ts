/** `str(list)` of Python, which `prefect agent kubernetes install` writes where it means a literal. */
export function reprList(values: string[]): string {
  return `[${values.map(repr).join(', ')}]`;
}

/** `json.dumps(dict)` of Python, for strings: other separators than JSON.stringify, and ASCII only. */
export function jsonDumps(values: Record<string, string>): string {
  const pairs = Object.entries(values).map(([key, value]) => `${asciiJson(key)}: ${asciiJson(value)}`);
  return `{${pairs.join(', ')}}`;
}

/** Of text without control characters and with Latin letters only: which others Python escapes depends on its version. */
function repr(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  return quote + value.replaceAll('\\', '\\\\').replaceAll(quote, `\\${quote}`) + quote;
}

function asciiJson(value: string): string {
  return JSON.stringify(value).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
