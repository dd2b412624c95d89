import { checkDataKey, checkDnsSubdomain, isDataKey, isDnsSubdomain } from './_checks';
import { checkArguments } from './_guard';
import { refuse } from './_refuse';

/**
 * One key of a Secret in the namespace of the pod that uses it. Create the Secret outside of the chart, so that no manifest has a
 * secret value.
 *
 * @see https://kubernetes.io/docs/concepts/configuration/secret/
 */
export class SecretKeyRef {
  /**
   * A key of a Secret.
   *
   * @param name name of the Secret, never the secret value itself
   * @param key name of the key in the data of the Secret, never the secret value itself
   */
  public static of(name: string, key: string): SecretKeyRef {
    checkArguments('SecretKeyRef.of', { name, key });
    return new SecretKeyRef(name, key);
  }

  /**
   * Makes TypeScript distinguish it from a `ConfigMapKeyRef`.
   * @internal
   */
  public readonly _ofSecret = true;

  private constructor(
    /** Name of the Secret. */
    public readonly name: string,
    /** Key in the Secret's data. */
    public readonly key: string,
  ) {
    // The error repeats neither, because either may be the secret itself.
    if (!isDnsSubdomain(name)) {
      refuse('SecretKeyRef', {
        prop: 'name',
        allowed: 'must be the name of a Secret, a DNS subdomain (RFC 1123)',
        remedy: "write for example SecretKeyRef.of('prefect-api-key', 'key')",
      });
    }
    if (!isDataKey(key)) {
      refuse('SecretKeyRef', {
        prop: 'key',
        allowed: 'must be a key in the Secret\'s data, not the secret itself: at most 253 of A-Z, a-z, 0-9, "-", "_" and "."',
        remedy: "write for example SecretKeyRef.of('prefect-api-key', 'key')",
      });
    }
  }
}

/**
 * One key of a ConfigMap in the namespace of the pod that uses it.
 *
 * @see https://kubernetes.io/docs/concepts/configuration/configmap/
 */
export class ConfigMapKeyRef {
  /**
   * A key of a ConfigMap.
   *
   * @param name name of the ConfigMap
   * @param key name of the key in the data of the ConfigMap
   */
  public static of(name: string, key: string): ConfigMapKeyRef {
    checkArguments('ConfigMapKeyRef.of', { name, key });
    return new ConfigMapKeyRef(checkDnsSubdomain('ConfigMapKeyRef', 'name', name), checkDataKey('ConfigMapKeyRef', 'key', key));
  }

  /**
   * Makes TypeScript distinguish it from a `SecretKeyRef`.
   * @internal
   */
  public readonly _ofConfigMap = true;

  private constructor(
    /** Name of the ConfigMap. */
    public readonly name: string,
    /** Key in the ConfigMap's data. */
    public readonly key: string,
  ) {}
}
