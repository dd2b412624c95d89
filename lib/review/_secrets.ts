// Finds secrets in clear in manifests.

import { isTemplate, podsOf } from '../flow-job/_pods-of';
import { isSecret, looksSecret } from '../kubernetes/_clear-text';
import { type Fields, fieldsOf, listOf } from '../kubernetes/_stored';
import { containersOf } from '../kubernetes/_weaknesses';

/** A secret and its position. The value is only for comparison: neither the value, its length nor a hash of it is printed. */
export interface ClearSecret {
  readonly path: string;
  readonly value: string;
}

/** A line of TOML, YAML or an env file. */
const LINE = /^[ \t]*["']?([\w.-]{1,100})["']?[ \t]*[=:][ \t]*(?:["']([^"'\n]*)["']|([^\s"'#]+))/gm;

/** All secrets of a manifest. */
export function secretsOf(manifest: Fields): ClearSecret[] {
  const found: ClearSecret[] = [];
  const look = (path: string, name: string, value: unknown) => {
    if (isSecret(name, value)) found.push({ path, value });
  };
  if (manifest.kind === 'Secret') {
    for (const field of ['data', 'stringData']) {
      for (const [key, value] of Object.entries(fieldsOf(manifest[field]))) {
        if (typeof value === 'string' && value !== '') found.push({ path: `${field}[${key}]`, value });
      }
    }
  }
  for (const [key, value] of Object.entries(fieldsOf(manifest.metadata?.annotations))) look(`metadata.annotations[${key}]`, key, value);
  for (const pod of podsOf(manifest)) lookIntoPod(pod.spec, pod.path, look);
  if (manifest.kind === 'ConfigMap') {
    for (const [file, text] of Object.entries(fieldsOf(manifest.data))) {
      if (isTemplate(file)) continue;
      look(`data[${file}]`, file, text);
      // Programs have variables with such names.
      if (typeof text !== 'string' || looksSecret(text) || /\.(py|sh|js|md)$/.test(file)) continue;
      for (const [, name = '', quoted = '', bare = ''] of text.matchAll(LINE)) {
        look(`data[${file}] ${name}`, name, quoted || bare);
      }
    }
  }
  const annotations = fieldsOf(manifest.spec?.template?.metadata?.annotations);
  for (const [key, value] of Object.entries(annotations)) look(`spec.template.metadata.annotations[${key}]`, key, value);
  return found;
}

function lookIntoPod(pod: Fields, path: string, look: (path: string, name: string, value: unknown) => void): void {
  for (const container of containersOf(pod)) {
    const at = `${path}.containers[${container.name}]`;
    for (const { name, value } of listOf(container.env)) look(`${at}.env[${name}]`, String(name), value);
    for (const [field, words] of Object.entries({ command: container.command, args: container.args })) {
      if (!Array.isArray(words)) continue;
      words.forEach((word, i) => {
        if (typeof word !== 'string') return;
        // `--token=X`, `--env=TOKEN=X`, and `--token X`.
        const [, option = '', value = ''] = /^--?(?:env=)?([\w.-]+)=(.*)$/s.exec(word) ?? [];
        const bare = /^--?([\w.-]+)$/.exec(word)?.[1];
        if (option !== '') look(`${at}.${field} --${option}`, option, value);
        else if (bare !== undefined) look(`${at}.${field} --${bare}`, bare, words[i + 1]);
        else look(`${at}.${field}[${i}]`, '', word);
      });
    }
  }
}
