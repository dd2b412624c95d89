import type { k8s } from 'cdk8s-plus-27';
import { checkLabelKey, checkLongText } from './_checks';
import { refuse } from './_refuse';
import type { ConfigMapKeyRef, SecretKeyRef } from './key-ref';

const FIELD_PATHS = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.podIP',
];

/**
 * The value of a container's environment variable.
 *
 * @see https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/
 */
export class EnvValue {
  /** A literal. The kubelet expands `$(NAME)` in it, and `$$` is a `$`. */
  public static of(value: string): EnvValue {
    checkLongText('EnvValue', 'value', value);
    return new EnvValue({ value });
  }

  /** A key of a Secret. */
  public static fromSecret(ref: SecretKeyRef): EnvValue {
    return new EnvValue({ valueFrom: { secretKeyRef: { name: ref.name, key: ref.key } } });
  }

  /** A key of a ConfigMap. */
  public static fromConfigMap(ref: ConfigMapKeyRef): EnvValue {
    return new EnvValue({ valueFrom: { configMapKeyRef: { name: ref.name, key: ref.key } } });
  }

  /**
   * A field of the pod.
   *
   * @param fieldPath for example `status.hostIP` or `metadata.labels['app']`
   */
  public static fromField(fieldPath: string): EnvValue {
    const [, map, key] = /^metadata\.(labels|annotations)\['([^'\]]+)'\]$/.exec(fieldPath) ?? [];
    if (!FIELD_PATHS.includes(fieldPath) && key === undefined) {
      refuse('EnvValue', {
        prop: 'fieldPath',
        value: fieldPath,
        allowed: `must be one of ${FIELD_PATHS.join(', ')}, metadata.labels['KEY'], metadata.annotations['KEY']`,
        remedy: 'choose one of them',
      });
    }
    if (key !== undefined) checkLabelKey('EnvValue', 'fieldPath', map === 'labels' ? key : key.toLowerCase());
    return new EnvValue({ valueFrom: { fieldRef: { fieldPath } } });
  }

  /** @internal */
  public readonly _source: Omit<k8s.EnvVar, 'name'>;

  private constructor(source: Omit<k8s.EnvVar, 'name'>) {
    this._source = source;
  }
}
