import type { k8s } from 'cdk8s-plus-27';
import { checkDnsSubdomain, checkMountPath } from './_checks';
import { refuse } from './_refuse';

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

/** How an empty directory is made. */
export interface EmptyDirOptions extends VolumeMountOptions {
  /**
   * Keep it in memory (it counts against the container's memory limit).
   *
   * @default false
   */
  readonly inMemory?: boolean;
}

/**
 * A volume and where the container sees it.
 *
 * @see https://kubernetes.io/docs/concepts/storage/volumes/
 */
export class Volume {
  /** Each key of a Secret as a file. */
  public static fromSecret(secretName: string, options: VolumeMountOptions): Volume {
    checkDnsSubdomain('Volume', 'secretName', secretName);
    return new Volume({ secret: { secretName } }, { readOnly: true, ...options });
  }

  /** Each key of a ConfigMap as a file. */
  public static fromConfigMap(configMapName: string, options: VolumeMountOptions): Volume {
    checkDnsSubdomain('Volume', 'configMapName', configMapName);
    return new Volume({ configMap: { name: configMapName } }, { readOnly: true, ...options });
  }

  /** An existing PersistentVolumeClaim. */
  public static fromPersistentVolumeClaim(claimName: string, options: VolumeMountOptions): Volume {
    checkDnsSubdomain('Volume', 'claimName', claimName);
    return new Volume({ persistentVolumeClaim: { claimName, readOnly: options.readOnly } }, options);
  }

  /** An empty directory that lives as long as the pod. */
  public static emptyDir(options: EmptyDirOptions): Volume {
    const { inMemory, ...mount } = options;
    return new Volume({ emptyDir: inMemory ? { medium: 'Memory' } : {} }, mount);
  }

  /** @internal */
  public readonly _source: Omit<k8s.Volume, 'name'>;

  /** @internal */
  public readonly _mount: Omit<k8s.VolumeMount, 'name'>;

  private constructor(source: Omit<k8s.Volume, 'name'>, mount: VolumeMountOptions) {
    checkMountPath('Volume', 'mountPath', mount.mountPath);
    if (mount.subPath !== undefined) checkSubPath(mount.subPath);
    this._source = source;
    this._mount = mount;
  }
}

function checkSubPath(subPath: string): void {
  if (subPath === '' || subPath.startsWith('/') || subPath.split('/').includes('..')) {
    refuse('Volume', {
      prop: 'subPath',
      value: subPath,
      allowed: 'must be a relative path without ".."',
      remedy: 'write for example certs/ca.pem, or leave it out',
    });
  }
}
