import { ConfigMapKeyRef, EnvValue, SecretKeyRef } from '../../lib';

test('a literal', () => expect(EnvValue.of('a')._source).toEqual({ value: 'a' }));
test('a key of a Secret', () => {
  expect(EnvValue.fromSecret(SecretKeyRef.of('s', 'k'))._source).toEqual({ valueFrom: { secretKeyRef: { name: 's', key: 'k' } } });
});
test('a key of a ConfigMap', () => {
  expect(EnvValue.fromConfigMap(ConfigMapKeyRef.of('c', 'k'))._source).toEqual({ valueFrom: { configMapKeyRef: { name: 'c', key: 'k' } } });
});
test.each(['metadata.uid', 'status.hostIP', "metadata.labels['app']", "metadata.annotations['example.com/a']"])(
  'the field %s',
  (fieldPath) => {
    expect(EnvValue.fromField(fieldPath)._source).toEqual({ valueFrom: { fieldRef: { fieldPath } } });
  },
);
test.each(["metadata.labels['a b']", "metadata.labels['Example.com/a']", "metadata.annotations['a/b/c']"])(
  'refuses the key in %p',
  (fieldPath) => {
    expect(() => EnvValue.fromField(fieldPath)).toThrow(/^EnvValue: fieldPath is "[^"]+": it must be a qualified name/);
  },
);
test.each(['spec.containers', 'metadata.labels', 'metadata.labels[app]', ''])('refuses the field %p', (fieldPath) => {
  expect(() => EnvValue.fromField(fieldPath)).toThrow(`EnvValue: fieldPath is "${fieldPath}": it must be one of metadata.name`);
});

test.each(['a\0', '\u007f', '\u0085', 'a\u2028b', '\ufeff', '\ud800'])('refuses the literal %p', (value) => {
  expect(() => EnvValue.of(value)).toThrow('EnvValue: value must not have NUL, characters from U+007F');
});
