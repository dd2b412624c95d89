import { ConfigMapKeyRef, SecretKeyRef } from '../lib';

test('SecretKeyRef', () => expect(SecretKeyRef.of('prefect-api-key', 'key.txt')).toEqual({ name: 'prefect-api-key', key: 'key.txt' }));
test('ConfigMapKeyRef', () => expect(ConfigMapKeyRef.of('team.ca', 'CA_pem')).toEqual({ name: 'team.ca', key: 'CA_pem' }));

describe.each([SecretKeyRef, ConfigMapKeyRef])('refuses', (Ref) => {
  test('a value in place of a name', () => {
    expect(() => Ref.of('pcu_Xy7', 'key')).toThrow(`${Ref.name}: name is "pcu_Xy7": it must be a DNS subdomain`);
  });
  test.each(['', '.', '..a', 'a/b', 'a'.repeat(254)])('the key %p', (key) => {
    expect(() => Ref.of('name', key)).toThrow(`${Ref.name}: key is "${key}": it must be at most 253 of`);
  });
});
