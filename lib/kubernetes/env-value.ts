import type { k8s } from 'cdk8s-plus-27';
import { checkLabelKey, checkLongText } from './_checks';
import { checkArguments } from './_guard';
import type { Plain } from './_manifest';
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
  /**
   * A literal value. The kubelet expands `$(NAME)` in it and turns `$$` into `$`.
   *
   * @param value the value
   */
  public static of(value: string): EnvValue {
    checkArguments('EnvValue.of', { value });
    checkLongText('EnvValue', 'value', value);
    return new EnvValue({ value });
  }

  /**
   * The value of a key of a Secret.
   *
   * @param ref the key of the Secret
   */
  public static fromSecret(ref: SecretKeyRef): EnvValue {
    checkArguments('EnvValue.fromSecret', { ref });
    return new EnvValue({ valueFrom: { secretKeyRef: { name: ref.name, key: ref.key } } });
  }

  /**
   * The value of a key of a ConfigMap.
   *
   * @param ref the key of the ConfigMap
   */
  public static fromConfigMap(ref: ConfigMapKeyRef): EnvValue {
    checkArguments('EnvValue.fromConfigMap', { ref });
    return new EnvValue({ valueFrom: { configMapKeyRef: { name: ref.name, key: ref.key } } });
  }

  /**
   * The value of a field of the pod.
   *
   * @param fieldPath for example `status.hostIP` or `metadata.labels['app']`
   */
  public static fromField(fieldPath: string): EnvValue {
    checkArguments('EnvValue.fromField', { fieldPath });
    const [, map, key] = /^metadata\.(labels|annotations)\['([^'\]]+)'\]$/.exec(fieldPath) ?? [];
    if (!FIELD_PATHS.includes(fieldPath) && key === undefined) {
      refuse('EnvValue', {
        prop: 'fieldPath',
        value: fieldPath,
        allowed: `must be one of ${FIELD_PATHS.join(', ')}, metadata.labels['KEY'], metadata.annotations['KEY']`,
        remedy: "write for example EnvValue.fromField('status.hostIP')",
      });
    }
    if (key !== undefined) checkLabelKey('EnvValue', 'fieldPath', map === 'labels' ? key : key.toLowerCase());
    return new EnvValue({ valueFrom: { fieldRef: { fieldPath } } });
  }

  /** @internal */
  public readonly _source: Omit<Plain<k8s.EnvVar>, 'name'>;

  private constructor(source: Omit<Plain<k8s.EnvVar>, 'name'>) {
    this._source = source;
  }
}
