import { PrefectApi, PrefectBackend, SecretKeyRef } from '../../lib';

const apiKey = SecretKeyRef.of('prefect-api-key', 'key');
const tenantId = '11111111-2222-3333-4444-555555555555';

test('cloud has no default URL, since the hosted service was shut down', () => {
  expect(() => PrefectApi.cloud({ apiKey } as never)).toThrow('PrefectApi: url must be given; write for example url:');
});
test('cloud, with a tenant', () => {
  expect(PrefectApi.cloud({ apiKey, tenantId, url: 'https://prefect.example/api' })).toMatchObject({
    backend: PrefectBackend.CLOUD,
    url: 'https://prefect.example/api',
    apiKey,
    tenantId,
  });
});
test('a server needs no key', () => {
  const api = PrefectApi.server({ url: 'http://prefect-apollo.prefect:4200' });
  expect(api).toMatchObject({ backend: PrefectBackend.SERVER, url: 'http://prefect-apollo.prefect:4200', apiKey: undefined });
});
test('a server with a key and a tenant', () => {
  expect(PrefectApi.server({ url: 'http://localhost:4200', apiKey, tenantId })).toMatchObject({ apiKey, tenantId });
});

test('a URL stays one, however many agents a fleet has', () => {
  expect(() => {
    for (let i = 0; i < 50_000; i++) PrefectApi.server({ url: 'https://größe.example' });
  }).not.toThrow();
});

describe('refuses', () => {
  test.each([
    ['a URL without a scheme', 'api.prefect.io'],
    ['a URL of another scheme', 'ftp://api.prefect.io'],
    ['a URL that Prefect would expand', 'https://$HOST/api'],
    ['a URL with white space', 'https://api.prefect.io/a b'],
    ['a blank URL', ''],
  ])('%s', (_name, url) => {
    expect(() => PrefectApi.server({ url })).toThrow(
      `PrefectApi: url ${url === '' ? '' : `is ${JSON.stringify(url)}: it `}must be a URL that begins with http:// or https://`,
    );
  });
  test('a URL with a password, without repeating it', () => {
    expect(() => PrefectApi.server({ url: 'https://me:s3cret@prefect.example' })).toThrow(
      /^(?!.*s3cret).*must not have a user name or password/,
    );
  });
  test('a URL with a query', () => {
    expect(() => PrefectApi.server({ url: 'https://prefect.example?a=b' })).toThrow('it must not have a query or fragment');
  });
  test.each(['team', '11111111222233334444555555555555', '{11111111-2222-3333-4444-555555555555}', ''])('the tenant %p', (id) => {
    expect(() => PrefectApi.cloud({ apiKey, url: 'https://prefect.example', tenantId: id })).toThrow(
      `PrefectApi: tenantId is "${id}": it must be a UUID`,
    );
  });
});
