import { Prefect3Api, type Prefect3CloudOptions, SecretKeyRef } from '../../lib';

const cloud: Prefect3CloudOptions = {
  accountId: '11111111-2222-3333-4444-555555555555',
  workspaceId: '66666666-7777-8888-9999-000000000000',
  apiKey: SecretKeyRef.of('prefect', 'key'),
};

test('the URL of a workspace of Prefect Cloud', () => {
  expect(Prefect3Api.cloud(cloud).url).toBe(`https://api.prefect.cloud/api/accounts/${cloud.accountId}/workspaces/${cloud.workspaceId}`);
});

describe('refuses', () => {
  test.each<[string, () => Prefect3Api, string]>([
    [
      'the name of an account',
      () => Prefect3Api.cloud({ ...cloud, accountId: 'ours' }),
      'Prefect3Api: accountId is "ours": it must be a UUID',
    ],
    ['the name of a workspace', () => Prefect3Api.cloud({ ...cloud, workspaceId: 'ours' }), 'workspaceId is "ours": it must be a UUID'],
    ['credentials in a URL', () => Prefect3Api.server({ url: 'http://a:s3cret@p:4200/api' }), 'url must not have a user name or password'],
    ['another scheme', () => Prefect3Api.server({ url: 'ftp://p/api' }), 'url is "ftp://p/api": it must be a URL'],
    ['a final slash', () => Prefect3Api.server({ url: 'http://p:4200/api/' }), 'url is "http://p:4200/api/": it must not end in "/"'],
    ['the pod itself', () => Prefect3Api.server({ url: 'http://localhost:4200/api' }), 'it must not be localhost'],
  ])('%s', (_name, make, message) => expect(make).toThrow(message));
  test('and never repeats a secret', () => {
    expect(() => Prefect3Api.server({ url: 'http://a:s3cret@p:4200/api' })).toThrow(/^(?!.*s3cret)/s);
  });
});
