// Whether a string is a secret, by its name or its shape. The rules are few and nearly always right, because people ignore frequent
// warnings.

import { looksLikeKey } from './_secrets';

const KNOWN = /^(PREFECT__CLOUD__(AGENT__)?AUTH_TOKEN|PREFECT__CLOUD__API_KEY|PREFECT_API_KEY|PREFECT_API_AUTH_STRING)$/;
const NAME = /(^|[_.-])(PASSWORD|PASSWD|PWD|TOKEN|SECRET|APIKEY|CREDENTIALS?|(API|ACCESS|SECRET|PRIVATE)[_.-]?KEY)$/i;
const SHAPE = [
  /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----/,
  /\beyJ[\w-]{10,500}\.eyJ[\w-]{10,}/,
  /\b(AKIA|ASIA)[A-Z0-9]{16}\b/,
  /\b(gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{40,}|xox[abprs]-[\w-]{10,}|pn[ub]_\w{20,}|sk_live_\w{10,})/,
  /\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s/:@"']{0,200}:[^\s/@"']{1,200}@/i,
];

export function isSecret(name: string, value: unknown): value is string {
  if (typeof value !== 'string' || value.trim() === '' || /^\$[({][\w.-]+[)}]$/.test(value)) return false;
  if (KNOWN.test(name) || looksSecret(value)) return true;
  const isPlain = /^\/|^(true|false|yes|no|none|null|[\d.]+)$/i.test(value.trim());
  return NAME.test(name) && !/PUBLIC|^api-key-secret$/i.test(name) && value.trim().length >= 8 && !isPlain;
}

const hasShape = (text: string): boolean => looksLikeKey(text) || SHAPE.some((shape) => shape.test(text));

/** Results for long texts. Many teams have ConfigMaps with the same programs. */
const long = new Map<string, boolean>();

/** Whether the value has the shape of a secret, whatever its name. */
export function looksSecret(text: string): boolean {
  if (text.length < 1000) return hasShape(text);
  if (long.size > 100) long.clear();
  const found = long.get(text) ?? hasShape(text);
  long.set(text, found);
  return found;
}

/** Whether a string is safe to print: it is a short word and cannot be a secret. */
export const isPrintable = (text: unknown): text is string =>
  typeof text === 'string' && /^[\w./:@+ -]{1,200}$/.test(text) && !looksSecret(text);
