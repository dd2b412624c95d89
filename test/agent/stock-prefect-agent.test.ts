import { PrefectAgent, PrefectApi, StockPrefectAgent, type StockPrefectAgentProps } from '../../lib';
import { everyStockFlag } from '../every-prop';
import { chartWith, literalEnv, only, synth, tree } from '../support';

// What it makes is compared with the CLI's own output in test/oracle; here are its shape and what it refuses.
const stock = (props: StockPrefectAgentProps = {}) => synth((chart) => new StockPrefectAgent(chart, 'Agent', props));

test('paths are a contract', () => {
  expect(tree(chartWith((chart) => new StockPrefectAgent(chart, 'Agent', { rbac: true })))).toEqual([
    'chart Chart',
    'chart/Agent StockPrefectAgent',
    'chart/Agent/Resource ApiObject',
    'chart/Agent/Role ApiObject',
    'chart/Agent/RoleBinding ApiObject',
  ]);
});
test('all props: environment', () => expect(literalEnv(only('Deployment', stock(everyStockFlag)))).toMatchSnapshot('environment'));
test('rbac is opt-in', () => expect(stock().map(({ kind }) => kind)).toEqual(['Deployment']));
test('the hardened agent has the same identity', () => {
  const api = PrefectApi.server({ url: 'http://prefect:4200' });
  const hardened = synth((chart) => new PrefectAgent(chart, 'Agent', { api, flowNamespace: 'default' }));
  const names = stock({ rbac: true }).map(({ kind, metadata }) => `${kind} ${metadata.namespace} ${metadata.name}`);
  expect(hardened.map(({ kind, metadata }) => `${kind} ${metadata.namespace} ${metadata.name}`)).toEqual(expect.arrayContaining(names));
});

describe('refuses', () => {
  test.each<[string, StockPrefectAgentProps, string]>([
    ['a blank label', { labels: [''] }, 'labels[0] is "": it must not be blank'],
    ['a label given twice', { labels: ['a', 'a'] }, 'labels[1] is "a": it must not be given twice'],
    [
      'a label that the CLI writes in ways',
      { labels: ['数据'] },
      'labels[0] is "数据": it must have only ASCII characters and Latin letters',
    ],
    ['a tenant that is no UUID', { tenantId: 'team' }, 'tenantId is "team": it must be a UUID'],
    ['an agent config that the shell would run', { agentConfigId: 'x; id' }, 'agentConfigId is "x; id": it must be a UUID'],
    ['a URL without a scheme', { api: 'prefect:4200' }, 'api is "prefect:4200": it must be a URL'],
    ['a namespace that Kubernetes refuses', { namespace: 'A' }, 'namespace is "A": it must be a DNS label'],
    ['several pull secrets', { imagePullSecrets: 'a,b' }, 'imagePullSecrets is "a,b": it must be a DNS subdomain'],
    ['an account that Kubernetes refuses', { serviceAccountName: 'A' }, 'serviceAccountName is "A": it must be a DNS subdomain'],
    ['a variable that Kubernetes refuses', { env: { 'A B': '' } }, 'env is "A B": it must have a name'],
  ])('%s', (_name, props, message) => expect(() => stock(props)).toThrow(`chart/Agent: ${message}`));

  test('a hardened agent beside it', () => {
    expect(() =>
      synth((chart) => {
        new StockPrefectAgent(chart, 'Stock');
        new PrefectAgent(chart, 'Agent', { api: PrefectApi.server({ url: 'http://prefect:4200' }) });
      }),
    ).toThrow('resourceName is "prefect-agent": it must be unique: chart/Stock already creates the Deployment');
  });
});
