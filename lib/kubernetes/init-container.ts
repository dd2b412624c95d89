import type { EnvFrom } from './env-from';
import type { EnvValue } from './env-value';
import type { ContainerResources } from './resources';

/**
 * A container that runs before the flow container, or next to it as a sidecar.
 *
 * @see https://kubernetes.io/docs/concepts/workloads/pods/init-containers/
 */
export interface InitContainer {
  /** Name of the container: a DNS label, unique in the pod. */
  readonly name: string;
  /** Image, with a tag other than latest, a sha256 digest, or both. */
  readonly image: string;
  /**
   * Entrypoint. No shell runs it.
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
   * Secrets and ConfigMaps of which every key is an environment variable. Those of `env` come first.
   *
   * @default - none
   */
  readonly envFrom?: EnvFrom[];
  /**
   * Resource requests and limits.
   *
   * @default - nothing is asked for
   */
  readonly resources?: ContainerResources;
  /**
   * Mount paths by name of the volume. The volumes are those of `volumes` of the Job.
   *
   * @default - nowhere
   */
  readonly volumeMounts?: { [volume: string]: string };
  /**
   * When a sidecar counts as started, in the words of the Kubernetes API, verbatim: the flow begins after that, as with
   * `{ tcpSocket: { port: 5432 }, periodSeconds: 1 }` when its database proxy listens. Not for init containers.
   *
   * @default - as soon as its process runs
   * @see https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
   */
  readonly startupProbe?: { [key: string]: unknown };
}
