import { EnvFrom } from '../../lib';

test('every key of a Secret', () => expect(EnvFrom.secret('s')._envFrom).toEqual({ secretRef: { name: 's' } }));
test('every key of a ConfigMap, with a prefix, if it is there', () => {
  expect(EnvFrom.configMap('c', { prefix: 'TEAM_', optional: true })._envFrom).toEqual({
    prefix: 'TEAM_',
    configMapRef: { name: 'c', optional: true },
  });
});
test('refuses what Kubernetes would', () => {
  expect(() => EnvFrom.secret('My_Secret')).toThrow('EnvFrom: name is "My_Secret": it must be a DNS subdomain');
  expect(() => EnvFrom.secret('s', { prefix: '1_' })).toThrow('EnvFrom: prefix is "1_": it must have a name of');
});
