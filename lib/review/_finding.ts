// Helpers that create findings and format the names of objects.
import { nameOf } from '../kubernetes/_identity';
import type { Fields } from '../kubernetes/_stored';
import { UpgradeClass, type UpgradeFinding } from './upgrade-finding';

/** The fields of an `UpgradeFinding`. */
export type Finding = { readonly [F in keyof UpgradeFinding]: UpgradeFinding[F] };

/** Quotes an argument for a shell. */
export const quoted = (name: unknown): string =>
  /^[\w.:=/-]+$/.test(String(name)) ? String(name) : `'${String(name).replaceAll("'", "'\\''")}'`;

/** An object as an argument of `kubectl delete` and similar commands. */
export const targetOf = ({ kind, metadata }: Fields): string =>
  `${quoted(String(kind).toLowerCase())} ${quoted(metadata.name)}${metadata.namespace === undefined ? '' : ` -n ${quoted(metadata.namespace)}`}`;

export function finding(upgradeClass: UpgradeClass, object: Fields, reason: string, path?: string, remedy?: string): Finding {
  return { upgradeClass, object: nameOf(object), ...(path !== undefined && { path }), reason, ...(remedy !== undefined && { remedy }) };
}

export function cannotTell(object: Fields, reason: string): Finding {
  return finding(UpgradeClass.CANNOT_TELL, object, reason, undefined, 'use kubectl diff -f to see the result of the server');
}
