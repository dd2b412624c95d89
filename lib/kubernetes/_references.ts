import { type Fields, fieldsOf, isFields, listOf } from './_stored';
import { containersOf } from './_weaknesses';

/** A use of an object by its name. */
export interface Reference {
  readonly kind: 'Secret' | 'ConfigMap' | 'ServiceAccount' | 'PersistentVolumeClaim' | 'Role' | 'ClusterRole';
  readonly namespace: string;
  readonly name: string;
  readonly key?: string;
}

export const referenceId = ({ kind, namespace, name }: Reference): string => `${kind} ${namespace}/${name}`;

/** The objects that a service account or a binding refers to. For pods see `referencesOfPod`. */
export function referencesOf({ kind, metadata, roleRef, imagePullSecrets }: Fields): Reference[] {
  const namespace = String(metadata.namespace ?? '');
  if (kind === 'ServiceAccount') return listOf(imagePullSecrets).map(({ name }) => ({ kind: 'Secret', namespace, name: String(name) }));
  if (!/^(Cluster)?RoleBinding$/.test(kind) || !/^(Cluster)?Role$/.test(fieldsOf(roleRef).kind)) return [];
  return [{ kind: roleRef.kind, namespace: roleRef.kind === 'Role' ? namespace : '', name: String(roleRef.name) }];
}

/** The objects without which a pod cannot start. */
export function referencesOfPod(spec: Fields, namespace: string): Reference[] {
  const found: Reference[] = [];
  const add = (kind: Reference['kind'], name: unknown, source: Fields = {}, key?: unknown) => {
    if (typeof name !== 'string' || name === '' || source.optional === true) return;
    found.push({ kind, namespace, name, ...(typeof key === 'string' && { key }) });
  };
  const addFiles = (kind: Reference['kind'], name: unknown, source: Fields) => {
    add(kind, name, source);
    for (const { key } of listOf(source.items)) add(kind, name, source, key);
  };
  add('ServiceAccount', spec.serviceAccountName ?? spec.serviceAccount);
  for (const { name } of listOf(spec.imagePullSecrets)) add('Secret', name);
  for (const volume of listOf(spec.volumes)) {
    add('PersistentVolumeClaim', volume.persistentVolumeClaim?.claimName);
    if (isFields(volume.secret)) addFiles('Secret', volume.secret.secretName, volume.secret);
    for (const source of [volume, ...listOf(volume.projected?.sources)]) {
      if (isFields(source.configMap)) addFiles('ConfigMap', source.configMap.name, source.configMap);
      if (source !== volume && isFields(source.secret)) addFiles('Secret', source.secret.name, source.secret);
    }
  }
  for (const container of containersOf(spec)) {
    for (const { valueFrom } of listOf(container.env)) {
      if (isFields(valueFrom?.secretKeyRef)) add('Secret', valueFrom.secretKeyRef.name, valueFrom.secretKeyRef, valueFrom.secretKeyRef.key);
      if (isFields(valueFrom?.configMapKeyRef))
        add('ConfigMap', valueFrom.configMapKeyRef.name, valueFrom.configMapKeyRef, valueFrom.configMapKeyRef.key);
    }
    for (const { secretRef, configMapRef } of listOf(container.envFrom)) {
      if (isFields(secretRef)) add('Secret', secretRef.name, secretRef);
      if (isFields(configMapRef)) add('ConfigMap', configMapRef.name, configMapRef);
    }
  }
  return found;
}
