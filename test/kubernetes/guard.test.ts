import { App, Chart, Duration, Size } from 'cdk8s';
import {
  AgentRbac,
  DaskWorkerPolicy,
  EnvValue,
  FlowJobTemplate,
  type FlowJobTemplateProps,
  FlowRunJob,
  FlowRunSweeper,
  PrefectAgent,
  type PrefectAgentProps,
  PrefectApi,
  SecretKeyRef,
  Volume,
} from '../../lib';
import { didYouMean } from '../../lib/kubernetes/_spelling';

// Mistakes that people made with the first release, each of which was silent or ended in a TypeError.

const api = PrefectApi.server({ url: 'http://prefect-apollo.prefect:4200' });
const newChart = () => new Chart(new App(), 'chart', { namespace: 'prefect' });
// biome-ignore lint/suspicious/noExplicitAny: what JavaScript takes
const agent = (props?: any) => new PrefectAgent(newChart(), 'Agent', props && { api, ...props });
// biome-ignore lint/suspicious/noExplicitAny: what JavaScript takes
const jobs = (props: any) => new FlowJobTemplate(newChart(), 'Jobs', props);
const API_KEY = 'pcu_0123456789abcdef';

const UNREAD = 'is not a prop, and would be ignored; did you mean';
test.each<[string, () => unknown, string]>([
  ['label', () => agent({ label: ['kube'] }), `chart/Agent: label ${UNREAD} labels?`],
  ['lables', () => agent({ lables: ['kube'] }), `lables ${UNREAD} labels?`],
  ['flow_namespace', () => agent({ flow_namespace: 'flows' }), `flow_namespace ${UNREAD} flowNamespace?`],
  ['imge of a container', () => jobs({ sidecars: [{ name: 'a', imge: 'b:1' }] }), `sidecars[0].imge ${UNREAD} image?`],
  ['nodeselector in podSpec', () => agent({ podSpec: { nodeselector: {} } }), 'podSpec.nodeselector is not a field of a pod'],
  ['a name of Python in podSpec', () => jobs({ podSpec: { runtime_class_name: 'x' } }), 'did you mean runtimeClassName?'],
  ['workPool', () => agent({ workPool: 'kube' }), 'chart/Agent: workPool is a word of Prefect 2 and 3 that Prefect 1 does not have'],
  ['workQueue', () => agent({ workQueue: 'kube' }), "write for example labels: ['kube']"],
  ['jobVariables', () => jobs({ jobVariables: {} }), 'KubernetesRun'],
  ['no props', () => agent(), 'chart/Agent: api must be given; write for example api: PrefectApi.server({ url:'],
  ['no API', () => agent({ api: undefined }), 'chart/Agent: api must be given'],
  ['a time as text', () => agent({ requestTimeout: '20s' }), 'requestTimeout is a string: it must be a Duration; write for example'],
  ['a time as number', () => jobs({ activeDeadline: 3600 }), 'activeDeadline: Duration.minutes(5)'],
  ['memory as text', () => jobs({ resources: { memoryLimit: '2Gi' } }), 'resources.memoryLimit is a string: it must be a Size'],
  [
    'one label as text',
    () => agent({ labels: 'kube' }),
    "labels is a string: it must be a list, each a string; write for example labels: ['text']",
  ],
  ['packages as text', () => jobs({ extraPipPackages: 'a b' }), 'extraPipPackages is a string: it must be a list'],
  [
    'a variable as text',
    () => jobs({ env: { A: 'b' } }),
    "env.A is a string: it must be an EnvValue; write for example A: EnvValue.of('text')",
  ],
  ['a Map', () => jobs({ env: new Map([['A', EnvValue.of('b')]]) }), 'env is an object: it must be an object, each value an EnvValue'],
  [
    'a size for all resources',
    () => jobs({ resources: Size.gibibytes(1) }),
    'resources is a Size: it must be an object with props of ContainerResources',
  ],
  ['a reference as literal', () => jobs({ pipIndexUrl: { name: 'a', key: 'b' } }), 'pipIndexUrl is an object: it must be a SecretKeyRef'],
  [
    'a level in small letters',
    () => jobs({ onEviction: 'PROTECT' }),
    'it must be one of EvictionPolicy.PROTECT, EvictionPolicy.FAIL, EvictionPolicy.RUN_AGAIN',
  ],
  ['a hole in a list', () => agent({ labels: ['a', undefined] }), 'labels[1] is undefined: it must be a string'],
  ['no arguments', () => (Volume.fromSecret as (name: string) => unknown)('files'), 'Volume: options must be given'],
  ['no name', () => (SecretKeyRef.of as (name?: string) => unknown)(), 'SecretKeyRef: key must be given'],
  [
    'part of a second',
    () => agent({ tolerations: [{ key: 'a', effect: 'NoExecute', tolerationSeconds: Duration.millis(5) }] }),
    'tolerationSeconds is 0.005 seconds: it must be a whole number',
  ],
  [
    'part of a kibibyte',
    () => jobs({ resources: { memoryLimit: Size.gibibytes(0.3) } }),
    'resources.memoryLimit is 314572.8Ki: it must be a whole number of bytes',
  ],
  [
    'an image of Prefect 2',
    () => agent({ image: 'prefecthq/prefect:2-latest' }),
    'it must be an image of Prefect 1: agents and flows of Prefect 1 do not run on Prefect 2 or 3',
  ],
  [
    'a mirrored image of Prefect 3',
    () => jobs({ image: 'mirror.example/prefecthq/prefect:3.1.0-python3.11' }),
    'it must be an image of Prefect 1',
  ],
  [
    'Prefect 3 by pip',
    () => jobs({ extraPipPackages: ['prefect==3.1.0'] }),
    'extraPipPackages[0] is "prefect==3.1.0": it must not replace Prefect 1, which runs the flow, by Prefect 2 or 3',
  ],
  [
    'capital letters',
    () => jobs({ image: 'registry.example/Flows:42' }),
    'capital letters in its name: registries refuse them; write registry.example/flows:42',
  ],
  [
    'dask-kubernetes by pip',
    () => jobs({ dask: new DaskWorkerPolicy(newChart(), 'Dask'), extraPipPackages: ['dask-kubernetes==2021.1.0'] }),
    'write dask-kubernetes==2022.12.0',
  ],
  ['a URL without scheme', () => PrefectApi.server({ url: 'prefect:4200' }), 'write http://prefect:4200'],
  [
    'the second of two agents',
    () => {
      const chart = newChart();
      for (const id of ['One', 'Two']) new PrefectAgent(chart, id, { api });
    },
    'chart/Two: resourceName is "prefect-agent": it must be unique: chart/One already creates',
  ],
])('%s', (_, make, message) => {
  expect(make).toThrow(message);
  expect(make).not.toThrow(TypeError);
});

test.each([
  'https://api.prefect.cloud/api/accounts/11111111-2222-3333-4444-555555555555/workspaces/1',
  'https://prefect.cloud',
  'https://API.PREFECT.CLOUD:443/',
  'https://app.prefect.cloud?x=1',
  'api.prefect.cloud/api',
])('the API of Prefect Cloud for Prefect 2 and 3: %s', (url) => {
  for (const make of [PrefectApi.server, PrefectApi.cloud]) {
    expect(() => make({ url, apiKey: SecretKeyRef.of('prefect-api-key', 'key') })).toThrow('PrefectApi: url must not be on prefect.cloud');
  }
});
test.each(['https://prefect.cloud.example', 'https://my-prefect.cloud', 'http://prefect.example/prefect.cloud'])(
  '%s is another API',
  (url) => {
    expect(PrefectApi.server({ url }).url).toBe(url);
  },
);

test.each<[string, (key: string) => unknown]>([
  ['the key itself', (key) => PrefectApi.server({ url: 'http://prefect.example', apiKey: key as never })],
  ['as the name of the Secret', (key) => SecretKeyRef.of(key, 'key')],
  ['as the key in the Secret', (key) => SecretKeyRef.of('prefect-api-key', key)],
  ['as an account', (key) => jobs({ serviceAccountName: key })],
  ['as a volume', (key) => Volume.fromSecret(key, { mountPath: '/a' })],
  ['as an image', (key) => jobs({ image: key })],
  ['in a requirement', (key) => jobs({ extraPipPackages: [`git+https://user:${key}@github.example/flows`] })],
  ['in a URL', (key) => PrefectApi.server({ url: `prefect://user:${key}@prefect.example` })],
  ['in the query of a URL', (key) => PrefectApi.server({ url: `http://prefect.example?token=${key}` })],
  ['as the URL', (key) => PrefectApi.server({ url: key })],
  ['in a variable', (key) => EnvValue.of(`${key}\0`)],
])('an API key is refused %s, and not repeated', (_, make) => {
  for (const key of [API_KEY, 'TrMXEHR7T7e2vN4aJ4KzPA']) {
    expect(() => make(key)).toThrow(/; \w/);
    expect(() => make(key)).not.toThrow(key);
  }
});

describe('passes', () => {
  test('what teams extend interfaces with, and spread', () => {
    interface TeamProps extends PrefectAgentProps {
      readonly owner: string;
    }
    const team: TeamProps = { api, owner: 'data' };
    const shared = { app: 'flows', tag: '42', stage: 'test', role: 'worker', size: 'small', team: { owner: 'data' } };
    expect(() => agent({ ...team, ...shared })).not.toThrow();
    expect(() => jobs(shared)).not.toThrow();
    expect(() => new AgentRbac(newChart(), 'Rbac', shared as object)).not.toThrow();
  });
  test('what is undefined, in props and in maps', () => {
    const [on, value] = [false, EnvValue.of('b')];
    const props = { image: on ? 'flows:1' : undefined, env: { A: on ? value : undefined, B: value }, podLabels: { a: undefined } };
    expect(JSON.stringify(jobs(props).configMap.toJson().data)).toBe(
      JSON.stringify(jobs({ env: { B: value } } satisfies FlowJobTemplateProps).configMap.toJson().data),
    );
  });
  test('props that an object of a class has', () => {
    class Shared {
      public get api(): PrefectApi {
        return api;
      }
      public readonly labels = ['kube'];
    }
    expect(() => new PrefectAgent(newChart(), 'Agent', new Shared())).not.toThrow();
  });
  test('values from a second copy of cdk8s and of this library', () => {
    jest.isolateModules(() => {
      const other = require('cdk8s') as typeof import('cdk8s');
      const copy = require('../../lib') as typeof import('../../lib');
      expect(other.Duration).not.toBe(Duration);
      expect(copy.EnvValue).not.toBe(EnvValue);
      expect(() =>
        jobs({
          activeDeadline: other.Duration.minutes(5),
          resources: { memoryLimit: other.Size.gibibytes(1), cpuLimit: copy.Cpu.units(1) },
          env: { A: copy.EnvValue.fromSecret(copy.SecretKeyRef.of('a', 'b')) },
          volumes: { a: copy.Volume.emptyDir({ mountPath: '/a' }) },
          onEviction: copy.EvictionPolicy.PROTECT,
        }),
      ).not.toThrow();
      const server = copy.PrefectApi.server({ url: 'http://prefect.example' });
      expect(() => new FlowRunSweeper(newChart(), 'Sweeper', { api: server as PrefectApi })).not.toThrow();
    });
  });
});

test('the message comes first, without a line of this library, and the line of the user below it', () => {
  const error = (() => {
    try {
      return new FlowRunJob(newChart(), 'Run', {} as never);
    } catch (thrown) {
      return thrown as Error;
    }
  })() as Error;
  const [first, second] = (error.stack ?? '').split('\n');
  expect(first).toBe(`Error: ${error.message}`);
  expect(second).toContain('guard.test.ts');
  expect(Object.keys(error)).toEqual([]);
});

describe('the spelling', () => {
  test.each([
    ['labls', 'labels'],
    ['lable', 'label'],
    ['resuorces', 'resources'],
    ['flowNamspce', 'flowNamespace'],
    ['NODE_SELECTOR', 'nodeSelector'],
  ])('%s is %s', (key, name) => expect(didYouMean(key, [name])).toBe(name));
  test.each([
    ['app', 'api'],
    ['ur', 'url'],
    ['labs', 'labels'],
    ['owner', 'worker'],
    ['stage', 'image'],
    ['role', 'name'],
  ])('%s is not %s', (key, name) => expect(didYouMean(key, [name])).toBeUndefined());
});
