/** Keys of Prefect Cloud (`pcu_...`), JSON Web Tokens, and long words that mix upper case, lower case and digits. */
const KEYS = [/\bp[cn][a-z]_[A-Za-z0-9]{8,}/, /\beyJ[-_A-Za-z0-9]{10,}/, /^(?=.*[a-z])(?=.*[A-Z])(?=(?:.*\d){3})[A-Za-z0-9_]{20,}$/];

/** Whether a string looks like an API key or a token. */
export function looksLikeKey(text: string): boolean {
  return KEYS.some((pattern) => pattern.test(text));
}

/** A message without anything that looks like a key. People may write a key instead of the name of a variable or team. */
export function withoutKeys(message: string): string {
  return message.replace(/[\w]{12,}(?:[-.]\w+)*/g, (word) => (looksLikeKey(word) ? '***' : word));
}

/** Whether an error may show a value. */
export function mayShow(value: unknown): boolean {
  const text = JSON.stringify(value) ?? '';
  return !KEYS.some((pattern) => text.split(/["\s]/).some((word) => pattern.test(word))) && !/:\/\/[^/"]*@/.test(text);
}

/** The parts of a URL that an error may show: not user, password, query or fragment. Nothing if it is not a URL. */
export function showUrl(url: string): string | undefined {
  const [, scheme = '', rest = ''] = /^([a-z][-+.a-z0-9]*:\/\/)?([^?#]*)/i.exec(url) ?? [];
  const [host = '', ...path] = rest.split('/');
  const shown = [scheme + (host.split('@').at(-1) ?? ''), ...path].join('/');
  return /[.:/]/.test(shown) && mayShow(shown) ? shown : undefined;
}
