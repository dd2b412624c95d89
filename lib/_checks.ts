import type { Duration } from 'cdk8s';
import { refuse, type Where } from './_refuse';

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL_NAME = /^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$/;
const CONFIG_KEY = /^[-._A-Za-z0-9]+$/;
const ENV_NAME = /^[-._A-Za-z][-._A-Za-z0-9]*$/;

/** A name that becomes a label value, a container or volume name, or a namespace: at most 63 characters. */
export function checkDnsLabel(where: Where, prop: string, value: string): string {
  if (value.length > 63 || !DNS_LABEL.test(value)) {
    refuse(where, {
      prop,
      value,
      allowed: 'must be a DNS label (RFC 1123): at most 63 of a-z, 0-9 and "-", beginning and ending with a letter or digit',
      remedy: 'choose such a name',
    });
  }
  return value;
}

/** The name of most Kubernetes objects: at most 253 characters. */
export function checkDnsSubdomain(where: Where, prop: string, value: string): string {
  if (value.length > 253 || !DNS_SUBDOMAIN.test(value)) {
    refuse(where, {
      prop,
      value,
      allowed:
        'must be a DNS subdomain (RFC 1123): at most 253 of a-z, 0-9, "-" and ".", each part beginning and ending with a letter or digit',
      remedy: "give the object's name",
    });
  }
  return value;
}

/** A key in a Secret's or ConfigMap's data. */
export function checkDataKey(where: Where, prop: string, value: string): string {
  if (value.length > 253 || !CONFIG_KEY.test(value) || value === '.' || value.startsWith('..')) {
    refuse(where, {
      prop,
      value,
      allowed: 'must be at most 253 of A-Z, a-z, 0-9, "-", "_" and ".", and neither "." nor begin with ".."',
      remedy: "give a key of the object's data",
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
      remedy: 'rename the variable',
    });
  }
  return name;
}

/** What a ConfigMap can hold. */
export function checkConfigMapSize(where: Where, prop: string, text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > 1_048_576) {
    refuse(where, {
      prop,
      value: `${bytes} bytes`,
      allowed: 'must be at most 1048576 bytes, which a ConfigMap can hold',
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

/** Kubernetes caps the annotations of an object at 256 KiB in all. */
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
      allowed: 'must be at most 262144 bytes in all',
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
      remedy: 'rename the key',
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

/** Where a container may see a volume. */
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

/** What Kubernetes computes with longer times overflows, and several of its fields have 32 bits. */
export function checkMaxSeconds(where: Where, prop: string, seconds: number): number {
  if (seconds > 2 ** 31 - 1) {
    refuse(where, { prop, value: `${seconds} s`, allowed: 'must be at most 2147483647 seconds', remedy: 'choose a shorter time' });
  }
  return seconds;
}

/** A time that a field or program takes in whole seconds. */
export function checkWholeSeconds(where: Where, prop: string, duration: Duration): number {
  const seconds = checkMaxSeconds(where, prop, duration.toSeconds({ integral: false }));
  if (seconds < 1 || !Number.isInteger(seconds)) {
    refuse(where, {
      prop,
      value: `${seconds} s`,
      allowed: 'must be a whole number of seconds, at least 1',
      remedy: 'choose such a time',
    });
  }
  return seconds;
}

/** Prefect expands `$NAME` in configuration values and needs a scheme; credentials would be in clear in every Job. */
export function checkApiUrl(where: Where, prop: string, url: string): void {
  const parsed = parseUrl(url);
  if (parsed === undefined || !/^https?:\/\/[^\s${}\\"'<>]+$/.test(url) || !['http:', 'https:'].includes(parsed.protocol)) {
    refuse(where, {
      prop,
      value: url,
      allowed: 'must be a URL that begins with http:// or https:// and has none of white space, quotes, "$", "{", "}"',
      remedy: 'write for example https://api.prefect.io',
    });
  }
  if (parsed.username !== '' || parsed.password !== '') {
    refuse(where, {
      prop,
      allowed: 'must not have a user name or password, which every Job would show',
      remedy: 'give apiKey: SecretKeyRef.of(...)',
    });
  }
  if (parsed.search !== '' || parsed.hash !== '') {
    refuse(where, { prop, value: url, allowed: 'must not have a query or fragment', remedy: 'write only scheme, host, port and path' });
  }
}

/** Not `URL.canParse`: that of Node 20 refuses some URLs once it has been called often. */
function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** Tenants and agent configs. Prefect reads a UUID without hyphens that has digits only as a number. */
export function checkUuid(where: Where, prop: string, value: string): void {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)) {
    refuse(where, {
      prop,
      value,
      allowed: 'must be a UUID, like 11111111-2222-3333-4444-555555555555',
      remedy: 'copy the id from Prefect',
    });
  }
}

/** The labels by which Prefect routes flow runs to agents. */
export function checkAgentLabels(where: Where, labels: string[]): void {
  for (const [i, label] of labels.entries()) {
    checkText(where, `labels[${i}]`, label);
    checkFirst(where, 'labels', labels, i);
  }
}

/** A value of a list, which must not have it before. */
export function checkFirst(where: Where, prop: string, values: string[], i: number): void {
  const value = values[i] ?? '';
  if (values.indexOf(value) !== i) {
    refuse(where, { prop: `${prop}[${i}]`, value, allowed: 'must not be given twice', remedy: 'leave one of them out' });
  }
}

/** One line of text: Prefect compares labels to the letter, so blanks around one would route nothing. */
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

/** Text of any length. What is refused a process cannot have, or the readers of YAML take it for a line break or an error. */
export function checkLongText(where: Where, prop: string, value: string): void {
  if (/[\0\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff\p{Cs}]/u.test(value)) {
    refuse(where, {
      prop,
      value,
      allowed: 'must not have NUL, characters from U+007F to U+009F, U+2028, U+2029, byte order marks or lone surrogates',
      remedy: 'leave them out',
    });
  }
}

const DOMAIN = '(?:[A-Za-z0-9](?:[-.A-Za-z0-9]*[A-Za-z0-9])?(?::\\d+)?/)?';
const PATH = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const IMAGE = new RegExp(`^(${DOMAIN}${PATH}(?:/${PATH})*)(?::([\\w][-.\\w]{0,127}))?(@sha256:[0-9a-f]{64})?$`);

/** An image that stays the same: with a version as tag, or a digest, or both. */
export function checkImage(where: Where, prop: string, image: string): string {
  const [matched, repository, tag, digest] = IMAGE.exec(image) ?? [];
  if (matched === undefined || (tag === undefined && digest === undefined) || tag?.startsWith('latest')) {
    refuse(where, {
      prop,
      value: image,
      allowed: 'must be an image with a tag other than latest, or with a sha256 digest',
      remedy: 'write for example prefecthq/prefect:1.4.1-python3.9',
    });
  }
  if (/^(docker\.io\/)?prefecthq\/prefect$/.test(repository ?? '') && tag !== undefined && !/^1\.\d+\.\d+(-python3\.\d+)?$/.test(tag)) {
    refuse(where, {
      prop,
      value: image,
      allowed: 'must be a release of Prefect 1 with its orchestration extras, which "core" images lack',
      remedy: 'write for example prefecthq/prefect:1.4.1-python3.9',
    });
  }
  return image;
}
