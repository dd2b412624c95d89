import { Yaml } from 'cdk8s';

/**
 * YAML for Python. cdk8s writes these strings without quotes, but PyYAML does not read the first two as strings, and YAML 1.2 parsers
 * do not read the third as one. So they are written as JSON, which is valid YAML.
 */
export function stringifyYaml(value: object): string {
  const json = JSON.stringify(value, null, 2);
  return /"(=|<<|0o[0-7]+)"/.test(json) ? `${json}\n` : Yaml.stringify(value);
}

/** The text of `Yaml.stringify` for manifests. It writes each field once, because those of many teams share most of their fields. */
export function stringifyManifests(manifests: object[]): string {
  return manifests.map((manifest) => (hasOddKey(manifest) ? Yaml.stringify(manifest) : writeBlock(manifest, ''))).join('---\n');
}

/** By indent and key, then by value. */
const written = new Map<string, Map<unknown, string>>();

/** The text of one field, or of one list item, which has no key. Only the values of fields repeat. */
function write(indent: string, key: string, value: unknown): string {
  const texts = written.get(indent + key) ?? new Map<unknown, string>();
  let text = texts.get(value);
  if (text === undefined) {
    text = Yaml.stringify(key === '' ? [value] : { [key]: value }).replace(/(^|\n)(?=[^\n])/g, `$1${indent}`);
    if (texts.size > 100) texts.clear();
    written.set(indent + key, texts.set(value, text));
  }
  return text;
}

function writeBlock(block: object, indent: string): string {
  const deeper = `${indent}  `;
  let text = '';
  for (const [key, value] of Object.entries(block)) {
    if (Array.isArray(block)) text += isBlock(value) ? `${indent}- ${writeBlock(value, deeper).trimStart()}` : write(indent, '', value);
    else
      text += isBlock(value) ? `${write(indent, key, null).replace(': null', ':')}${writeBlock(value, deeper)}` : write(indent, key, value);
  }
  return text;
}

function isBlock(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0;
}

/** Whether a key is written in another way where it is deeper. */
function hasOddKey(value: unknown): boolean {
  return isBlock(value) && Object.entries(value).some(([key, item]) => !/^\w[\w./-]{0,400}$/.test(key) || hasOddKey(item));
}
