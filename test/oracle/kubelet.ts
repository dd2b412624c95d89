import { container, type Manifest } from '../support';

/** What a container finds when it starts. */
export interface ContainerView {
  readonly args: string[];
  readonly env: Record<string, string>;
  readonly files: Record<string, string>;
  readonly mountPaths: string[];
}

/**
 * What the kubelet gives to the first container of a workload: variables and arguments expanded, ConfigMaps of the same
 * manifests and the Secrets given as files, the pod's fields given as variables.
 */
export function containerView(
  workload: Manifest,
  manifests: Manifest[],
  secrets: Record<string, Record<string, string>>,
  fields: Record<string, string> = {},
): ContainerView {
  const { args, env: variables, volumeMounts } = container(workload);
  const env: Record<string, string> = {};
  const referred = ({ fieldRef, secretKeyRef }: Manifest): string | undefined =>
    fieldRef
      ? { 'metadata.namespace': workload.metadata.namespace, ...fields }[fieldRef.fieldPath as string]
      : secrets[secretKeyRef?.name]?.[secretKeyRef?.key];
  for (const { name, value, valueFrom } of variables) {
    const found = valueFrom ? referred(valueFrom) : expand(value ?? '', { KUBERNETES_SERVICE_HOST: '10.96.0.1', ...env });
    if (found !== undefined) env[name] = found;
  }

  const files: Record<string, string> = {};
  const sources = Object.fromEntries(workload.spec.template.spec.volumes.map((volume: Manifest) => [volume.name, volume]));
  for (const { name, mountPath } of volumeMounts) {
    const { configMap, secret } = sources[name];
    const data = configMap
      ? manifests.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === configMap.name)?.data
      : undefined;
    const items = (configMap ?? secret)?.items as { key: string; path: string }[] | undefined;
    const content = data ?? (secret && secrets[secret.secretName]) ?? {};
    for (const key of Object.keys(content)) {
      const path = items ? items.find((item) => item.key === key)?.path : key;
      if (path !== undefined) files[`${mountPath}/${path}`] = content[key];
    }
  }
  return {
    args: args.map((arg: string) => expand(arg, env)),
    env,
    files,
    mountPaths: volumeMounts.map((mount: Manifest) => mount.mountPath),
  };
}

/** @see https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/ */
function expand(value: string, env: Record<string, string>): string {
  return value.replace(/\$\$|\$\(([^)]*)\)/g, (match, name) => (match === '$$' ? '$' : (env[name] ?? match)));
}
