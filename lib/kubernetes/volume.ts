import type { k8s } from 'cdk8s-plus-27';
import { checkDataKey, checkDnsSubdomain, checkMountPath } from './_checks';
import { checkArguments } from './_guard';
import type { Plain } from './_manifest';
import { VOLUME_SOURCES } from './_props-table';
import { refuse } from './_refuse';
import { didYouMean } from './_spelling';

/** How a volume is mounted in the container. */
export interface VolumeMountOptions {
  /** Absolute path in the container. */
  readonly mountPath: string;
  /**
   * Path within the volume to mount instead of its root.
   *
   * @default - the root of the volume
   */
  readonly subPath?: string;
  /**
   * Whether the container may write to it.
   *
   * @default - true for Secrets and ConfigMaps, false otherwise
   */
  readonly readOnly?: boolean;
}

/** How the keys of a Secret or ConfigMap become files. */
export interface DataVolumeOptions extends VolumeMountOptions {
  /**
   * Permissions of the files, as `0o440`. In a pod with a group for its files (`fsGroup`), which flow runs have, the group may read them
   * in any case.
   *
   * @default - Kubernetes': 0o644
   */
  readonly defaultMode?: number;
  /**
   * The keys that become files, each with its path in the volume.
   *
   * @default - every key, by its own name
   */
  readonly items?: { [key: string]: string };
  /**
   * Whether the pod starts although the object, or one of the keys in `items`, is not there.
   *
   * @default false
   */
  readonly optional?: boolean;
}

/** Options of an empty directory. */
export interface EmptyDirOptions extends VolumeMountOptions {
  /**
   * Whether to keep it in memory. Its content counts towards the memory limit of the container.
   *
   * @default false
   */
  readonly inMemory?: boolean;
}

/**
 * A volume and its mount path in the container.
 *
 * @see https://kubernetes.io/docs/concepts/storage/volumes/
 */
export class Volume {
  /**
   * Mounts each key of a Secret as a file.
   *
   * @param secretName name of the Secret
   * @param options mount path and other options
   */
  public static fromSecret(secretName: string, options: DataVolumeOptions): Volume {
    checkArguments('Volume.fromSecret', { secretName, options });
    checkDnsSubdomain('Volume', 'secretName', secretName);
    const { data, mount } = splitData(options);
    return new Volume({ secret: { secretName, ...data } }, mount);
  }

  /**
   * Mounts each key of a ConfigMap as a file.
   *
   * @param configMapName name of the ConfigMap
   * @param options mount path and other options
   */
  public static fromConfigMap(configMapName: string, options: DataVolumeOptions): Volume {
    checkArguments('Volume.fromConfigMap', { configMapName, options });
    checkDnsSubdomain('Volume', 'configMapName', configMapName);
    const { data, mount } = splitData(options);
    return new Volume({ configMap: { name: configMapName, ...data } }, mount);
  }

  /**
   * Mounts an existing PersistentVolumeClaim.
   *
   * @param claimName name of the claim
   * @param options mount path and other options
   */
  public static fromPersistentVolumeClaim(claimName: string, options: VolumeMountOptions): Volume {
    checkArguments('Volume.fromPersistentVolumeClaim', { claimName, options });
    checkDnsSubdomain('Volume', 'claimName', claimName);
    return new Volume({ persistentVolumeClaim: { claimName, readOnly: options.readOnly } }, options);
  }

  /**
   * Any other source, in the words of the Kubernetes API, verbatim: `{ csi: { driver: 'secrets-store.csi.k8s.io' } }`,
   * `{ nfs: { server: 'files.example', path: '/data' } }`, `{ ephemeral: {...} }`. Pod Security "restricted", which every pod here meets
   * unless it is told otherwise, allows `csi`, `ephemeral`, `projected` and `downwardAPI` of these.
   *
   * @see https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume/
   *
   * @param source the volume source, as in a Kubernetes manifest
   * @param options mount path and other options
   */
  public static fromSource(source: { [key: string]: unknown }, options: VolumeMountOptions): Volume {
    checkArguments('Volume.fromSource', { source, options });
    const [name, ...others] = Object.keys(source);
    const meant = name === undefined || VOLUME_SOURCES.includes(name) ? undefined : didYouMean(name, VOLUME_SOURCES);
    if (name === undefined || others.length > 0 || meant !== undefined) {
      refuse('Volume', {
        prop: 'source',
        value: Object.keys(source),
        allowed: 'must have exactly one field, the kind of source',
        remedy: meant === undefined ? "write for example { nfs: { server: 'files.example', path: '/data' } }" : `did you mean ${meant}?`,
      });
    }
    return new Volume(source as Omit<Plain<k8s.Volume>, 'name'>, options);
  }

  /**
   * Mounts an empty directory that exists as long as the pod.
   *
   * @param options mount path and other options
   */
  public static emptyDir(options: EmptyDirOptions): Volume {
    checkArguments('Volume.emptyDir', { options });
    return new Volume({ emptyDir: options.inMemory ? { medium: 'Memory' } : {} }, options);
  }

  /** @internal */
  public readonly _source: Omit<Plain<k8s.Volume>, 'name'>;

  /** @internal */
  public readonly _mount: Omit<Plain<k8s.VolumeMount>, 'name'>;

  private constructor(source: Omit<Plain<k8s.Volume>, 'name'>, mount: VolumeMountOptions) {
    checkMountPath('Volume', 'mountPath', mount.mountPath);
    if (mount.subPath !== undefined) checkRelativePath('subPath', mount.subPath);
    this._source = source;
    this._mount = mountOf(mount);
  }
}

/** Field by field, because a subtype of the options may have more fields. */
function mountOf({ mountPath, subPath, readOnly }: VolumeMountOptions): VolumeMountOptions {
  return { mountPath, ...(subPath !== undefined && { subPath }), ...(readOnly !== undefined && { readOnly }) };
}

function splitData({ defaultMode, items, optional, ...options }: DataVolumeOptions) {
  if (defaultMode !== undefined && !(Number.isInteger(defaultMode) && defaultMode >= 0 && defaultMode <= 0o777)) {
    refuse('Volume', {
      prop: 'defaultMode',
      value: defaultMode,
      allowed: 'must be permissions from 0o000 to 0o777',
      remedy: 'write for example 0o440',
    });
  }
  for (const [key, path] of Object.entries(items ?? {})) {
    checkDataKey('Volume', 'items', key);
    checkRelativePath(`items[${JSON.stringify(key)}]`, path);
    checkOwnPath(key, path, items ?? {});
  }
  return {
    data: {
      ...(defaultMode !== undefined && { defaultMode }),
      ...(items && Object.keys(items).length > 0 && { items: Object.entries(items).map(([key, path]) => ({ key, path })) }),
      ...(optional && { optional }),
    },
    mount: { readOnly: true, ...mountOf(options) },
  };
}

/** One file cannot be two keys, nor a folder of other keys: Kubernetes admits it with a warning and writes only one of them. */
function checkOwnPath(key: string, path: string, items: { readonly [key: string]: string }): void {
  const other = Object.keys(items).find((name) => name !== key && `${items[name]}/`.startsWith(`${path}/`));
  if (other !== undefined) {
    refuse('Volume', {
      prop: `items[${JSON.stringify(key)}]`,
      value: path,
      allowed: `must be different for each key: the key ${JSON.stringify(other)} has "${items[other]}"`,
      remedy: 'give each key another file name',
    });
  }
}

function checkRelativePath(prop: string, path: string): void {
  if (path === '' || path.startsWith('/') || path.split('/').includes('..')) {
    refuse('Volume', {
      prop,
      value: path,
      allowed: 'must be a relative path without ".."',
      remedy: 'write for example certs/ca.pem, or leave it out',
    });
  }
}
