import type { EnvValue } from './env-value';
import type { ConfigMapKeyRef } from './key-ref';
import type { HttpProxy } from './network';
import type { Volume } from './volume';

/** When the kubelet pulls a container's image. */
export enum ImagePullPolicy {
  /** At every start: a changed tag is noticed, and the right to pull is checked. */
  ALWAYS = 'Always',
  /** Only when the node does not have it. */
  IF_NOT_PRESENT = 'IfNotPresent',
  /** Never: the node must have it. */
  NEVER = 'Never',
}

/** What may be told to a container that runs Prefect beside the flows: its image, its surroundings, its way to Prefect's API. */
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
   * Environment variables of the container, beside those that have a prop.
   *
   * @default - none
   */
  readonly env?: { [name: string]: EnvValue };
  /**
   * Volumes of the container, by name.
   *
   * @default - none
   */
  readonly volumes?: { [name: string]: Volume };
  /**
   * Proxy to Prefect's API. Flow runs get theirs with `flowEnvVars` of the agent.
   *
   * @default - none
   */
  readonly proxy?: HttpProxy;
  /**
   * Certificate authorities (PEM) that are trusted for Prefect's API, instead of those of its image.
   *
   * @default - those of the image
   */
  readonly certificateAuthorities?: ConfigMapKeyRef;
}
