import { ConfigMapKeyRef, EnvValue, SecretKeyRef } from '../../lib';

test('SecretKeyRef', () =>
  expect(SecretKeyRef.of('prefect-api-key', 'key.txt')).toMatchObject({ name: 'prefect-api-key', key: 'key.txt' }));
test('ConfigMapKeyRef', () => expect(ConfigMapKeyRef.of('team.ca', 'CA_pem')).toMatchObject({ name: 'team.ca', key: 'CA_pem' }));

describe.each([SecretKeyRef, ConfigMapKeyRef])('refuses', (Ref) => {
  test.each(['', '.', '..a', 'a/b', 'a'.repeat(254)])('the key %p', (key) => {
    expect(() => Ref.of('name', key)).toThrow(new RegExp(`^${Ref.name}: key .*at most 253 of`));
  });
  test('a name in capitals', () => {
    expect(() => Ref.of('Name', 'key')).toThrow(new RegExp(`^${Ref.name}: name .*DNS subdomain`));
  });
  test.each(['pcu_Xy7Zk29QmVt4', 'pnu_0123456789abcdef', 'eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1', 'TrMXEHR7T7e2vN4aJ4KzPA'])(
    'an API key in place of a name, without repeating it: %s',
    (key) => {
      for (const make of [() => Ref.of(key, 'key'), () => Ref.of('prefect-api-key', key)]) {
        expect(make).toThrow(Ref.name);
        expect(make).not.toThrow(key);
      }
    },
  );
});

test('neither is taken for the other', () => {
  const [secret, settings] = [SecretKeyRef.of('db', 'password'), ConfigMapKeyRef.of('settings', 'region')];
  expect(() => EnvValue.fromSecret(settings as never)).toThrow('EnvValue: ref is a ConfigMapKeyRef: it must be a SecretKeyRef; write');
  expect(() => EnvValue.fromConfigMap(secret as never)).toThrow('EnvValue: ref is a SecretKeyRef: it must be a ConfigMapKeyRef; write');
});
