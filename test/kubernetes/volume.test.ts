import { App, Chart, Testing } from 'cdk8s';
import { FlowJobTemplate, PodSecurity, PrefectAgent, PrefectApi, Volume } from '../../lib';

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

test('keys of a Secret, under names and permissions of their own', () => {
  const { _source } = Volume.fromSecret('s', { mountPath, defaultMode: 0o400, items: { key: '.ssh/id_rsa' }, optional: true });
  expect(_source).toEqual({ secret: { secretName: 's', defaultMode: 256, items: [{ key: 'key', path: '.ssh/id_rsa' }], optional: true } });
});
test('any other source, verbatim', () => {
  const source = { nfs: { server: 'files.example', path: '/data' } };
  const { _source, _mount } = Volume.fromSource(source, { mountPath, readOnly: true });
  expect([_source, _mount]).toEqual([source, { mountPath, readOnly: true }]);
});
test('what a team spreads is not in the mount', () => {
  expect(Volume.emptyDir({ mountPath, owner: 'data' } as never)._mount).toEqual({ mountPath });
});

describe('in a pod', () => {
  const chart = () => new Chart(new App(), 'chart', { namespace: 'prefect' });
  const jobs = (volumes: Record<string, Volume>, podSecurity?: PodSecurity) => {
    const of = chart();
    new FlowJobTemplate(of, 'Jobs', { volumes, podSecurity });
    return Testing.synth(of);
  };
  const secret = (path: string) => Volume.fromSecret('s', { mountPath: path });
  const api = PrefectApi.server({ url: 'http://prefect.example:4200' });

  test.each(['.aws', '.ssh', '.config/gcloud'])('a Secret below the home: %s', (folder) => {
    expect(JSON.stringify(jobs({ a: secret(`/home/prefect/${folder}`) }))).toContain(`mountPath: /home/prefect/${folder}`);
    const volumes = { a: secret(`/home/prefect/${folder}`) };
    expect(() => new PrefectAgent(chart(), 'Agent', { api, volumes })).not.toThrow();
  });
  test('one in another that is writable, in any order', () => {
    const [outer, inner] = [Volume.emptyDir({ mountPath: '/data' }), secret('/data/keys')];
    expect(() => jobs({ outer, inner })).not.toThrow();
    expect(() => jobs({ inner, outer })).not.toThrow();
  });
  test.each<[string, Record<string, Volume>]>([
    ['one in another that is read-only', { a: secret('/data'), b: secret('/data/keys') }],
    ['the same the other way round', { b: secret('/data/keys'), a: secret('/data') }],
    ['two at one path', { a: Volume.emptyDir({ mountPath: '/data' }), b: secret('/data') }],
    ['the home itself', { a: Volume.emptyDir({ mountPath: '/home/prefect' }) }],
    ['what the home lies in', { a: Volume.emptyDir({ mountPath: '/home' }) }],
  ])('refuses %s', (_, volumes) => expect(() => jobs(volumes)).toThrow('it must not hide, or be inside the read-only mount at,'));

  const nfs = Volume.fromSource({ nfs: { server: 'files.example', path: '/' } }, { mountPath: '/files' });
  const hostPath = Volume.fromSource({ hostPath: { path: '/data' } }, { mountPath: '/data' });
  test('refuses what Pod Security would', () => {
    expect(() => jobs({ nfs })).toThrow('volumes.nfs is of nfs: it must have a source that Pod Security "restricted" allows');
    expect(() => jobs({ nfs }, PodSecurity.BASELINE)).not.toThrow();
    expect(() => jobs({ 'host-path': hostPath }, PodSecurity.BASELINE)).toThrow('Pod Security "baseline" allows');
    expect(() => new PrefectAgent(chart(), 'Agent', { api, volumes: { nfs } })).toThrow('volumes.nfs is of nfs');
  });
});

describe('refuses', () => {
  test.each([-1, 0o1000, 0.5])('the defaultMode %p', (defaultMode) => {
    expect(() => Volume.fromSecret('s', { mountPath, defaultMode })).toThrow('Volume: defaultMode is');
  });
  test.each(['', '/a', 'a/../b'])('the path %p of a key', (path) => {
    expect(() => Volume.fromConfigMap('c', { mountPath, items: { key: path } })).toThrow('Volume: items["key"] is');
  });
  test.each([
    ['the path of another key', { a: 'id', b: 'id' }],
    ['a folder of another key', { a: 'certs', b: 'certs/ca.pem' }],
  ])('%s', (_, items) => {
    expect(() => Volume.fromSecret('s', { mountPath, items })).toThrow('must be different for each key: the key "b" has');
  });
  test.each([{}, { nfs: {}, csi: {} }])('the source %p', (source) => {
    expect(() => Volume.fromSource(source, { mountPath })).toThrow('it must have exactly one field');
  });
  test('a misspelt source', () => {
    expect(() => Volume.fromSource({ emptydir: {} }, { mountPath })).toThrow('did you mean emptyDir?');
  });
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
