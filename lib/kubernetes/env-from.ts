import type { k8s } from 'cdk8s-plus-27';
import { checkDnsSubdomain, checkEnvName } from './_checks';
import { checkArguments } from './_guard';
import type { Plain } from './_manifest';

/** How the keys of a Secret or ConfigMap become environment variables. */
export interface EnvFromOptions {
  /**
   * What the name of each variable begins with, before the key.
   *
   * @default - nothing
   */
  readonly prefix?: string;
  /**
   * Whether the container starts although the object is not there.
   *
   * @default false
   */
  readonly optional?: boolean;
}

/**
 * Every key of a Secret or ConfigMap as an environment variable. Variables of the same name that are set otherwise come first.
 *
 * @see https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/#configure-all-key-value-pairs-in-a-configmap-as-container-environment-variables
 */
export class EnvFrom {
  /**
   * Every key of a Secret in the namespace of the pod.
   *
   * @param name name of the Secret
   * @param options prefix and other options
   */
  public static secret(name: string, options: EnvFromOptions = {}): EnvFrom {
    checkArguments('EnvFrom.secret', { name, options });
    return new EnvFrom('secretRef', name, options);
  }

  /**
   * Every key of a ConfigMap in the namespace of the pod.
   *
   * @param name name of the ConfigMap
   * @param options prefix and other options
   */
  public static configMap(name: string, options: EnvFromOptions = {}): EnvFrom {
    checkArguments('EnvFrom.configMap', { name, options });
    return new EnvFrom('configMapRef', name, options);
  }

  /** @internal */
  public readonly _envFrom: Plain<k8s.EnvFromSource>;

  private constructor(source: 'secretRef' | 'configMapRef', name: string, { prefix, optional }: EnvFromOptions) {
    this._envFrom = {
      ...(prefix !== undefined && { prefix: checkEnvName('EnvFrom', 'prefix', prefix) }),
      [source]: { name: checkDnsSubdomain('EnvFrom', 'name', name), ...(optional && { optional }) },
    };
  }
}
