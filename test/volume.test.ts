import { Volume } from '../lib';

const mountPath = '/etc/team';

test('a Secret is read only', () => {
  const { _source, _mount } = Volume.fromSecret('s', { mountPath });
  expect([_source, _mount]).toEqual([{ secret: { secretName: 's' } }, { mountPath, readOnly: true }]);
});
test('a ConfigMap is read only', () => {
  const { _source, _mount } = Volume.fromConfigMap('c', { mountPath, subPath: 'a/b' });
  expect([_source, _mount]).toEqual([{ configMap: { name: 'c' } }, { mountPath, subPath: 'a/b', readOnly: true }]);
});
test('a claim is writable', () => {
  const { _source, _mount } = Volume.fromPersistentVolumeClaim('p', { mountPath });
  expect([_source, _mount]).toEqual([{ persistentVolumeClaim: { claimName: 'p' } }, { mountPath }]);
});
test('a claim may be read only', () => {
  const { _source, _mount } = Volume.fromPersistentVolumeClaim('p', { mountPath, readOnly: true });
  expect([_source, _mount]).toEqual([{ persistentVolumeClaim: { claimName: 'p', readOnly: true } }, { mountPath, readOnly: true }]);
});
test('an empty directory', () => expect(Volume.emptyDir({ mountPath })._source).toEqual({ emptyDir: {} }));
test('an empty directory in memory', () => {
  expect(Volume.emptyDir({ mountPath, inMemory: true })._source).toEqual({ emptyDir: { medium: 'Memory' } });
});

describe('refuses', () => {
  test.each(['', '/', 'etc', '/etc/', '/a:b', '/a/../b', '/.', '/a/./b'])('the mountPath %p', (path) => {
    expect(() => Volume.emptyDir({ mountPath: path })).toThrow(`Volume: mountPath is "${path}": it must be an absolute path`);
  });
  test.each(['', '/a', '../a'])('the subPath %p', (subPath) => {
    expect(() => Volume.emptyDir({ mountPath, subPath })).toThrow(`Volume: subPath is "${subPath}": it must be a relative path`);
  });
  test('a name that Kubernetes refuses', () => {
    expect(() => Volume.fromSecret('My_Secret', { mountPath })).toThrow('Volume: secretName is "My_Secret": it must be a DNS subdomain');
  });
});
