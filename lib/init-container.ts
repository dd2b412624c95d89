import type { EnvValue } from './env-value';
import type { ContainerResources } from './resources';

/**
 * A container that runs before the flow's, or beside it.
 *
 * @see https://kubernetes.io/docs/concepts/workloads/pods/init-containers/
 */
export interface InitContainer {
  /** Name of the container, unique in the pod. */
  readonly name: string;
  /** Image, with a tag other than latest, a sha256 digest, or both. */
  readonly image: string;
  /**
   * Entrypoint, not run in a shell.
   *
   * @default - the image's
   */
  readonly command?: string[];
  /**
   * Arguments of the entrypoint.
   *
   * @default - the image's
   */
  readonly args?: string[];
  /**
   * Environment variables.
   *
   * @default - none
   */
  readonly env?: { [name: string]: EnvValue };
  /**
   * What the container asks for and may use at most.
   *
   * @default - nothing is asked for
   */
  readonly resources?: ContainerResources;
  /**
   * Where it sees the pod's volumes: paths by name of the volume.
   *
   * @default - nowhere
   */
  readonly volumeMounts?: { [volume: string]: string };
}
