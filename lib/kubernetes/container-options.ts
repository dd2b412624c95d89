import type { EnvFrom } from './env-from';
import type { EnvValue } from './env-value';
import type { ConfigMapKeyRef } from './key-ref';
import type { HttpProxy } from './network';
import type { Volume } from './volume';

/** When the kubelet pulls a container's image. */
export enum ImagePullPolicy {
  /** At every start. Notices a tag that was moved, and checks the permission to pull. */
  ALWAYS = 'Always',
  /** Only when the node does not have the image. */
  IF_NOT_PRESENT = 'IfNotPresent',
  /** Never. The node must have the image. */
  NEVER = 'Never',
}

/** Options of the container that runs the agent or the sweeper: image, environment, volumes, and how it reaches Prefect's API. */
export interface ContainerOptions {
  /**
   * Image, with a tag other than latest, a sha256 digest, or both. It needs Prefect 1 and its kubernetes extra.
   *
   * @default 'prefecthq/prefect:1.4.1-python3.9'
   */
  readonly image?: string;
  /**
   * When the image is pulled.
   *
   * @default ImagePullPolicy.ALWAYS
   */
  readonly imagePullPolicy?: ImagePullPolicy;
  /**
   * Environment variables of the container. A variable that has a prop is an error.
   *
   * @default - none
   */
  readonly env?: { [name: string]: EnvValue };
  /**
   * Secrets and ConfigMaps of which every key is an environment variable. Those of `env`, and those that the construct sets, come first.
   *
   * @default - none
   */
  readonly envFrom?: EnvFrom[];
  /**
   * Volumes of the container, by name.
   *
   * @default - none
   */
  readonly volumes?: { [name: string]: Volume };
  /**
   * Proxy for requests to Prefect's API. For flow runs, set `flowEnvVars` of the agent.
   *
   * @default - none
   */
  readonly proxy?: HttpProxy;
  /**
   * Certificate authorities (PEM) to trust for Prefect's API, instead of those of the image.
   *
   * @default - those of the image
   */
  readonly certificateAuthorities?: ConfigMapKeyRef;
}
