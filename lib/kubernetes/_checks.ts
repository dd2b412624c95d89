import type { Duration } from 'cdk8s';
import { refuse, type Where } from './_refuse';
import { looksLikeKey, showUrl } from './_secrets';

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL_NAME = /^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$/;
const CONFIG_KEY = /^[-._A-Za-z0-9]+$/;
const ENV_NAME = /^[-._A-Za-z][-._A-Za-z0-9]*$/;

/** Checks a name that becomes a label value, a container or volume name, or a namespace: at most 63 characters. */
export function checkDnsLabel(where: Where, prop: string, value: string): string {
  checkNoKey(where, prop, value);
  if (value.length > 63 || !DNS_LABEL.test(value)) {
    refuse(where, {
      prop,
      value,
      allowed: 'must be a DNS label (RFC 1123): at most 63 of a-z, 0-9 and "-", beginning and ending with a letter or digit',
      remedy: `write for example ${plainName(value, 63)}`,
    });
  }
  return value;
}

/** Whether a value can be the name of most Kubernetes objects, and does not look like an API key. */
export function isDnsSubdomain(value: string): boolean {
  return value.length <= 253 && DNS_SUBDOMAIN.test(value) && !looksLikeKey(value);
}

/** Whether a value can be a key in the data of a Secret or ConfigMap, and does not look like an API key. */
export function isDataKey(value: string): boolean {
  return value.length <= 253 && CONFIG_KEY.test(value) && value !== '.' && !value.startsWith('..') && !looksLikeKey(value);
}

/** The most similar DNS label, for the remedy of an error. */
function plainName(value: string, length: number): string {
  const name = value
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, length)
    .replace(/^-+|-+$/g, '');
  return name === '' ? 'team' : name;
}

/** Throws if a value looks like an API key where the name of its Secret belongs. The manifest would have the key in clear. */
function checkNoKey(where: Where, prop: string, value: string): void {
  if (looksLikeKey(value)) {
    refuse(where, {
      prop,
      allowed: 'looks like an API key or a token, which must not be in a manifest',
      remedy: "put it into a Secret, and give the names: SecretKeyRef.of('prefect-api-key', 'key')",
    });
  }
}

/** The name of most Kubernetes objects: at most 253 characters. */
export function checkDnsSubdomain(where: Where, prop: string, value: string): string {
  checkNoKey(where, prop, value);
  if (!isDnsSubdomain(value)) {
    refuse(where, {
      prop,
      value,
      allowed:
        'must be a DNS subdomain (RFC 1123): at most 253 of a-z, 0-9, "-" and ".", each part beginning and ending with a letter or digit',
      remedy: `write the name of the object, for example ${plainName(value, 253)}`,
    });
  }
  return value;
}

/** A key in a Secret's or ConfigMap's data. */
export function checkDataKey(where: Where, prop: string, value: string): string {
  checkNoKey(where, prop, value);
  if (!isDataKey(value)) {
    refuse(where, {
      prop,
      value,
      allowed: 'must be at most 253 of A-Z, a-z, 0-9, "-", "_" and ".", and neither "." nor begin with ".."',
      remedy: "write a key of the object's data, for example key",
    });
  }
  return value;
}

/** The name of a container's environment variable. */
export function checkEnvName(where: Where, prop: string, name: string): string {
  if (!ENV_NAME.test(name) || name === '.' || name.startsWith('..')) {
    refuse(where, {
      prop,
      value: name,
      allowed: 'must have a name of letters, digits, "_", "-" and "." that does not begin with a digit',
      remedy: 'write for example TEAM_NAME',
    });
  }
  return name;
}

/** Checks the size limit of ConfigMaps. */
export function checkConfigMapSize(where: Where, prop: string, text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > 1_048_576) {
    refuse(where, {
      prop,
      value: `${bytes} bytes`,
      allowed: 'must be at most 1048576 bytes, the limit of a ConfigMap',
      remedy: 'put large data in a volume',
    });
  }
}

/** The keys and values of Kubernetes labels, node selectors and tolerations. */
export function checkLabels(where: Where, prop: string, labels: Record<string, string>): void {
  for (const [key, value] of Object.entries(labels)) {
    checkLabelKey(where, prop, key);
    checkLabelValue(where, `${prop}[${JSON.stringify(key)}]`, value);
  }
}

/** Kubernetes limits the annotations of an object to 256 KiB in total. */
export function checkAnnotations(where: Where, prop: string, annotations: Record<string, string>): void {
  for (const [key, value] of Object.entries(annotations)) {
    checkLabelKey(where, prop, key.toLowerCase());
    checkLongText(where, `${prop}[${JSON.stringify(key)}]`, value);
  }
  const bytes = Object.entries(annotations).reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
  if (bytes > 262_144) {
    refuse(where, {
      prop,
      value: `${bytes} bytes`,
      allowed: 'must be at most 262144 bytes in total',
      remedy: 'put large data in a ConfigMap',
    });
  }
}

export function checkLabelKey(where: Where, prop: string, key: string): void {
  const [name, prefix, ...rest] = key.split('/').reverse();
  const prefixed = prefix === undefined || (prefix.length <= 253 && DNS_SUBDOMAIN.test(prefix));
  if (rest.length > 0 || !prefixed || name === undefined || name.length > 63 || !LABEL_NAME.test(name)) {
    refuse(where, {
      prop,
      value: key,
      allowed: 'must be a qualified name: at most 63 of A-Z, a-z, 0-9, "-", "_" and ".", optionally after a DNS subdomain and "/"',
      remedy: 'write for example example.com/team',
    });
  }
}

export function checkLabelValue(where: Where, prop: string, value: string): void {
  if (value !== '' && (value.length > 63 || !LABEL_NAME.test(value))) {
    refuse(where, {
      prop,
      value,
      allowed: 'must be empty or at most 63 of A-Z, a-z, 0-9, "-", "_" and ".", beginning and ending with a letter or digit',
      remedy: 'put free text in an annotation',
    });
  }
}

/** Checks a mount path. */
export function checkMountPath(where: Where, prop: string, mountPath: string): void {
  if (!/^(\/[^/:\0]+)+$/.test(mountPath) || mountPath.split('/').some((part) => part === '.' || part === '..')) {
    refuse(where, {
      prop,
      value: mountPath,
      allowed: 'must be an absolute path below "/" without ":", parts "." and "..", and a final "/"',
      remedy: 'write for example /etc/team',
    });
  }
}

/** Longer times overflow in Kubernetes, and several of its fields have 32 bits. */
export function checkMaxSeconds(where: Where, prop: string, seconds: number): number {
  if (seconds > 2 ** 31 - 1) {
    refuse(where, {
      prop,
      given: `${seconds} seconds`,
      allowed: 'must be at most 2147483647 seconds',
      remedy: 'write for example Duration.days(365)',
    });
  }
  return seconds;
}

/** Checks a time that Kubernetes or a program reads in whole seconds. */
export function checkWholeSeconds(where: Where, prop: string, duration: Duration, least = 1): number {
  const seconds = checkMaxSeconds(where, prop, duration.toSeconds({ integral: false }));
  if (seconds < least || !Number.isInteger(seconds)) {
    refuse(where, {
      prop,
      given: showDuration(duration),
      allowed: `must be a whole number of seconds, at least ${least}`,
      remedy: 'write for example Duration.seconds(30)',
    });
  }
  return seconds;
}

/** A time in the unit of the user. */
export function showDuration(duration: Duration): string {
  const seconds = duration.toSeconds({ integral: false });
  const units: [number, string][] = [
    [86_400, 'days'],
    [3600, 'hours'],
    [60, 'minutes'],
  ];
  const [size, unit] = units.find(([length]) => seconds >= length && seconds % length === 0) ?? [1, 'seconds'];
  return `${seconds / size} ${seconds === size ? unit.slice(0, -1) : unit}`;
}

/** Checks a URL in a manifest. Prefect and Python expand `$NAME` in configuration values. Credentials would be in clear in the pod. */
export function checkHttpUrl(
  where: Where,
  prop: string,
  url: string,
  remedies: { readonly url: string; readonly credentials: string },
): void {
  const parsed = parseUrl(url);
  if (parsed === undefined || !/^https?:\/\/[^\s${}\\"'<>]+$/.test(url) || !['http:', 'https:'].includes(parsed.protocol)) {
    refuse(where, {
      prop,
      value: showUrl(url),
      allowed: 'must be a URL that begins with http:// or https:// and has none of white space, quotes, "$", "{", "}"',
      remedy:
        parseUrl(`http://${url}`) && /^[-.\w]+(:\d+)?(\/[-.\w/]*)?$/.test(url) && !looksLikeKey(url) ? `write http://${url}` : remedies.url,
    });
  }
  if (parsed.username !== '' || parsed.password !== '') {
    refuse(where, {
      prop,
      allowed: 'must not have a user name or password: everyone who can read the manifest would see it',
      remedy: remedies.credentials,
    });
  }
  if (parsed.search !== '' || parsed.hash !== '') {
    refuse(where, { prop, value: showUrl(url), allowed: 'must not have a query or fragment', remedy: `write ${showUrl(url)}` });
  }
}

/** Not `URL.canParse`: in Node 20 it rejects some valid URLs after many calls. */
function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** Throws if a list has a value twice. */
export function checkFirst(where: Where, prop: string, values: string[], i: number): void {
  const value = values[i] ?? '';
  if (values.indexOf(value) !== i) {
    refuse(where, { prop: `${prop}[${i}]`, value, allowed: 'must not be given twice', remedy: 'leave one of them out' });
  }
}

/** Checks one line of text. Prefect compares labels literally, so a label with spaces around it would match nothing. */
export function checkText(where: Where, prop: string, value: string): void {
  if (value === '' || value !== value.trim() || /[\p{Cc}\p{Cs}]/u.test(value)) {
    refuse(where, {
      prop,
      value,
      allowed: 'must not be blank, begin or end with white space, or have control characters',
      remedy: 'write it plainly',
    });
  }
}

/**
 * Checks text of any length. The invalid characters cannot be passed to a process, or YAML parsers read them as a line break or an
 * error.
 */
export function checkLongText(where: Where, prop: string, value: string): void {
  if (/[\0\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff\p{Cs}]/u.test(value)) {
    refuse(where, {
      prop,
      allowed: 'must not have NUL, characters from U+007F to U+009F, U+2028, U+2029, byte order marks or lone surrogates',
      remedy: 'leave them out',
    });
  }
}

const DOMAIN = '(?:[A-Za-z0-9](?:[-.A-Za-z0-9]*[A-Za-z0-9])?(?::\\d+)?/)?';
const PATH = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const IMAGE = new RegExp(`^(${DOMAIN}${PATH}(?:/${PATH})*)(?::([\\w][-.\\w]{0,127}))?(@sha256:[0-9a-f]{64})?$`);

/** Checks that an image has a version as its tag, a digest, or both. */
export function checkImage(where: Where, prop: string, image: string): string {
  checkNoKey(where, prop, image);
  const [, path = ''] = /^(?:[^/]*[.:][^/]*\/|localhost\/)?([^:@]*)/.exec(image) ?? [];
  if (/[A-Z]/.test(path)) {
    refuse(where, {
      prop,
      value: image,
      allowed: 'must not have capital letters in its name: registries refuse them',
      remedy: `write ${image.replace(path, path.toLowerCase())}`,
    });
  }
  const [matched, , tag, digest] = IMAGE.exec(image) ?? [];
  if (matched === undefined || (tag === undefined && digest === undefined) || tag?.startsWith('latest')) {
    refuse(where, {
      prop,
      value: image,
      allowed: 'must be an image with a tag other than latest, or with a sha256 digest',
      remedy: 'write for example prefecthq/prefect:1.4.1-python3.9',
    });
  }
  return image;
}
