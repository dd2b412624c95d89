// The identity of an object: group, kind, namespace and name, without the version.
import type { Fields } from './_stored';

const CLUSTER_WIDE =
  /^(Namespace|Node|ClusterRole|ClusterRoleBinding|CustomResourceDefinition|PersistentVolume|PriorityClass|StorageClass)$/;

export function identity(group: string, kind: string, namespace: unknown, name: unknown): string {
  return JSON.stringify([group, kind, CLUSTER_WIDE.test(kind) ? null : (namespace ?? null), name]);
}

export function identityOf({ apiVersion, kind, metadata }: Fields): string {
  return identity(apiVersion.includes('/') ? apiVersion.replace(/\/.*/s, '') : '', kind, metadata.namespace, metadata.name);
}

export const nameOf = ({ kind, metadata }: Fields): string =>
  `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`;
