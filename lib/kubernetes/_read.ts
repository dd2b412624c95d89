// Reads manifests from files as kubectl does. Errors name the position but never the content, which may be a secret.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Tags } from 'yaml';
import { refuse } from './_refuse';

/** kubectl reads YAML 1.1 without timestamps and base 60. It knows octal numbers in both spellings. */
const customTags = (tags: Tags): Tags => [
  ...tags.filter(
    (tag) => typeof tag === 'string' || !/timestamp|TIME|binary|omap|pairs|set/.test(`${tag.tag} ${'format' in tag ? tag.format : ''}`),
  ),
  {
    tag: 'tag:yaml.org,2002:int',
    default: true,
    test: /^[-+]?0o[0-7]+$/,
    resolve: (text: string) => Number.parseInt(text.replace('0o', ''), 8),
  },
];

/** All manifests of a file, or of the `.yaml`, `.yml` and `.json` files of a folder and the folders in it. */
export function readManifests(path: string): { [key: string]: unknown }[] {
  if (!existsSync(path)) {
    refuse('Manifests', {
      prop: 'path',
      value: path,
      allowed: 'must be an existing folder or file',
      remedy: 'run cdk8s synth first',
    });
  }
  const isFolder = statSync(path).isDirectory();
  const files = isFolder
    ? readdirSync(path, { recursive: true, encoding: 'utf8' })
        .filter((file) => /\.(ya?ml|json)$/.test(file) && statSync(join(path, file)).isFile())
        .sort()
        .map((file) => join(path, file))
    : [path];
  const now = new Map<string, Manifest[]>();
  const manifests = files.flatMap((file) => manifestsOf(file, readFileSync(file, 'utf8'), now));
  known = now;
  if (manifests.length === 0) {
    refuse('Manifests', { prop: 'path', value: path, allowed: 'must contain manifests', remedy: 'run cdk8s synth first' });
  }
  return manifests;
}

type Manifest = { [key: string]: unknown };

/** The parsed documents of the last reading, by their text. Most documents of the two compared sets are the same, and parsing is slow. */
let known = new Map<string, Manifest[]>();

function manifestsOf(file: string, text: string, now: Map<string, Manifest[]>): Manifest[] {
  if (text.trim() === '') return [];
  // At the beginning of a line, "---" always separates documents. A file with directives or "..." is parsed as a whole.
  const parts = /^(%|\.\.\.)/m.test(text) ? [text] : text.split(/^(?=---(?:\s|$))/m);
  let line = 0;
  return parts.flatMap((part, i) => {
    const isPreface = i === 0 && parts.length > 1 && /^(\s*(#.*)?\n)*$/.test(part);
    const manifests = isPreface ? [] : (now.get(part) ?? known.get(part) ?? documentsOf(file, part, line));
    now.set(part, manifests);
    line += part.split('\n').length - 1;
    return manifests;
  });
}

function documentsOf(file: string, text: string, linesBefore: number): Manifest[] {
  // Loaded only here, so that importing the library stays fast.
  const { parseAllDocuments } = require('yaml') as typeof import('yaml');
  const documents = parseAllDocuments(text, { version: '1.1', customTags, prettyErrors: false, logLevel: 'silent' });
  return ('empty' in documents ? [] : documents).map((document) => {
    const refuseHere = (problem: string, remedy: string, offset = document.range?.[0] ?? 0): never => {
      throw new Error(`${file}:${linesBefore + text.slice(0, offset).split('\n').length} ${problem}; ${remedy}`);
    };
    const [error] = document.errors;
    if (error) {
      const code = error.code.toLowerCase().replaceAll('_', ' ');
      return refuseHere(`is not YAML that kubectl reads (${code})`, 'mend that line', error.pos[0]);
    }
    let value: unknown;
    try {
      // Through JSON, so that no two places share the object of an alias, and no object contains itself.
      value = document.toJS();
      if (/[*]/.test(text)) value = JSON.parse(JSON.stringify(value));
    } catch {
      return refuseHere('has aliases that unfold to too much, to nothing, or to themselves', 'write it without aliases');
    }
    if (value === null || value === undefined) return refuseHere('has an empty document', 'take out the "---" too many');
    if (typeof value !== 'object' || Array.isArray(value)) return refuseHere('has a document that is no manifest', 'give manifests alone');
    const { apiVersion, kind, metadata, items } = value as Manifest & { metadata?: { name?: unknown } | null };
    if (typeof kind === 'string' && kind.endsWith('List') && Array.isArray(items)) {
      return refuseHere(`has a ${kind}`, 'write each object as a document of its own');
    }
    if (typeof apiVersion !== 'string' || typeof kind !== 'string' || typeof metadata?.name !== 'string') {
      return refuseHere('has a document without apiVersion, kind or metadata.name', 'give manifests alone');
    }
    return value as Manifest;
  });
}
