import { checkDataKey, checkDnsSubdomain } from './_checks';

/**
 * One key of a Secret in the namespace of the pod that uses it. The Secret itself is made outside of the chart, so that no
 * secret value is ever in a manifest.
 *
 * @see https://kubernetes.io/docs/concepts/configuration/secret/
 */
export class SecretKeyRef {
  /**
   * @param name name of the Secret (not the secret value itself)
   * @param key key in the Secret's data
   */
  public static of(name: string, key: string): SecretKeyRef {
    return new SecretKeyRef(checkDnsSubdomain('SecretKeyRef', 'name', name), checkDataKey('SecretKeyRef', 'key', key));
  }

  private constructor(
    /** Name of the Secret. */
    public readonly name: string,
    /** Key in the Secret's data. */
    public readonly key: string,
  ) {}
}

/**
 * One key of a ConfigMap in the namespace of the pod that uses it.
 *
 * @see https://kubernetes.io/docs/concepts/configuration/configmap/
 */
export class ConfigMapKeyRef {
  /**
   * @param name name of the ConfigMap
   * @param key key in the ConfigMap's data
   */
  public static of(name: string, key: string): ConfigMapKeyRef {
    return new ConfigMapKeyRef(checkDnsSubdomain('ConfigMapKeyRef', 'name', name), checkDataKey('ConfigMapKeyRef', 'key', key));
  }

  private constructor(
    /** Name of the ConfigMap. */
    public readonly name: string,
    /** Key in the ConfigMap's data. */
    public readonly key: string,
  ) {}
}
