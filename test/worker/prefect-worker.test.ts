import { Chart } from 'cdk8s';
import {
  BaseJobTemplate,
  ConfigMapKeyRef,
  EnvValue,
  Manifests,
  Prefect3Api,
  PrefectWorker,
  type PrefectWorkerProps,
  SecretKeyRef,
  WorkPool,
} from '../../lib';
import { everyWorkerProp } from '../every-prop';
import { chartWith, container, literalEnv, type Manifest, tree } from '../support';

const url = 'http://prefect-server.prefect:4200/api';
const server = Prefect3Api.server({ url, authString: SecretKeyRef.of('prefect', 'auth') });
const cloud = Prefect3Api.cloud({
  accountId: '11111111-2222-3333-4444-555555555555',
  workspaceId: '66666666-7777-8888-9999-000000000000',
  apiKey: SecretKeyRef.of('prefect', 'key'),
});

const build = (props: Partial<PrefectWorkerProps> = {}, { api = server, name = 'k8s', image = 'a:1' } = {}) =>
  chartWith((chart) => {
    const baseJobTemplate = new BaseJobTemplate(chart, 'Template', { api, flowNamespace: 'flows', image });
    new PrefectWorker(chart, 'Worker', { workPool: new WorkPool(chart, 'Pool', { name, baseJobTemplate }), ...props });
  });
const named = (manifests: Manifest[], kind: string, name: string): Manifest =>
  manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
const worker = (...given: Parameters<typeof build>): Manifest => named(build(...given).toJson(), 'Deployment', 'prefect-worker');
const observer = (...given: Parameters<typeof build>): Manifest => named(build(...given).toJson(), 'Deployment', 'prefect-worker-observer');
const steps = (deployment: Manifest): Manifest[] => deployment.spec.template.spec.initContainers;

test('minimal', () => {
  const ofWorker = ({ metadata }: Manifest) => !metadata.name.startsWith('prefect-work-pool');
  const manifests = Manifests.of(build()).withoutPrograms();
  expect(manifests.all.filter(ofWorker)).toMatchSnapshot();
});
test('all props: Deployments', () => {
  const chart = chartWith((scope) => new PrefectWorker(scope, 'Worker', everyWorkerProp(scope)));
  const deployments = chart.toJson().filter(({ kind }) => kind === 'Deployment');
  expect(deployments).toMatchSnapshot('Deployments');
});
test('paths are a contract', () => {
  expect(tree(build({ replicas: 2 })).filter((line) => line.startsWith('chart/Worker'))).toEqual([
    'chart/Worker PrefectWorker',
    'chart/Worker/Launcher ApiObject',
    'chart/Worker/ServiceAccount ApiObject',
    'chart/Worker/Role ApiObject',
    'chart/Worker/RoleBinding ApiObject',
    'chart/Worker/NetworkPolicy ApiObject',
    'chart/Worker/PodDisruptionBudget ApiObject',
    'chart/Worker/Resource ApiObject',
    'chart/Worker/Observer Construct',
    'chart/Worker/Observer/ServiceAccount ApiObject',
    'chart/Worker/Observer/Role ApiObject',
    'chart/Worker/Observer/RoleBinding ApiObject',
    'chart/Worker/Observer/NetworkPolicy ApiObject',
    'chart/Worker/Observer/Resource ApiObject',
  ]);
});

test('what is granted in the flow namespace is what is asked for before the start', () => {
  const manifests = build().toJson();
  for (const name of ['prefect-worker', 'prefect-worker-observer']) {
    const role = named(manifests, 'Role', `${name}-rbac`);
    const granted = role.rules.flatMap(({ apiGroups: [group], resources: [resource], verbs }: Manifest) =>
      verbs.map((verb: string) => `${verb} ${resource}${group ? `.${group}` : ''}`),
    );
    expect(role.metadata.namespace).toBe('flows');
    expect(named(manifests, 'RoleBinding', `${name}-rbac`).subjects).toEqual([{ kind: 'ServiceAccount', name, namespace: 'prefect' }]);
    const [check] = steps(named(manifests, 'Deployment', name));
    expect(check.args.slice(-granted.length)).toEqual(granted);
    expect(check.args).toContain('--namespace=flows');
  }
});

test('a changed template, pool or program rolls the worker, and not the observer', () => {
  const pods = (...given: Parameters<typeof build>) =>
    [worker(...given), observer(...given)].map(({ spec }) => JSON.stringify(spec.template));
  const [before, observing] = pods();
  const [after, observingThen] = pods({}, { image: 'a:2' });
  expect(after).not.toEqual(before);
  expect(observingThen).toEqual(observing);
  expect(worker().spec.strategy).toEqual({ type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } });
});

test.each([
  ['the auth string of a server', server, 'PREFECT_API_AUTH_STRING', 'auth'],
  ['the API key of Prefect Cloud', cloud, 'PREFECT_API_KEY', 'key'],
] as const)('%s is a mounted file, and in Jobs a reference', (_name, api, variable, key) => {
  const deployment = worker({}, { api });
  const secret = { secretName: 'prefect', items: [{ key, path: 'value' }] };
  for (const { spec } of [deployment, observer({}, { api })]) {
    expect(spec.template.spec.volumes).toContainEqual({ name: 'credentials', secret });
    expect(JSON.stringify(spec)).not.toContain('secretKeyRef');
  }
  const setting = `PREFECT_INTEGRATIONS_KUBERNETES_WORKER_${variable.slice('PREFECT_'.length)}_SECRET`;
  expect(literalEnv(deployment)).toMatchObject({ [`${setting}_NAME`]: 'prefect', [`${setting}_KEY`]: key });
  const weaker = worker({ flowRunCredentials: SecretKeyRef.of('weaker', 'value') }, { api });
  expect(literalEnv(weaker)).toMatchObject({ [`${setting}_NAME`]: 'weaker', [`${setting}_KEY`]: 'value' });
  expect(container(deployment).args).toContain(`--credentials=/etc/prefect/credentials/value=${variable}`);
});

test('certificate authorities and proxy reach worker, observer and their first steps', () => {
  const api = Prefect3Api.server({
    url,
    certificateAuthorities: ConfigMapKeyRef.of('ca', 'bundle.pem'),
    proxy: { url: 'http://proxy.example:3128' },
  });
  for (const deployment of [worker({}, { api }), observer({}, { api })]) {
    for (const { env, volumeMounts } of [container(deployment), ...steps(deployment)]) {
      expect(env).toContainEqual({ name: 'PREFECT_API_SSL_CERT_FILE', value: '/etc/prefect/ca/ca.crt' });
      expect(env).toContainEqual({ name: 'HTTPS_PROXY', value: 'http://proxy.example:3128' });
      expect(volumeMounts).toContainEqual({ name: 'api-ca', mountPath: '/etc/prefect/ca', readOnly: true });
    }
  }
});

test('the program of the pool has no token of Kubernetes', () => {
  const [check, register] = steps(worker());
  const token = expect.objectContaining({ name: 'token' });
  expect(check.volumeMounts).toContainEqual(token);
  expect(register.volumeMounts).not.toContainEqual(token);
});

test('init containers of the user come first, and fields of the pod last', () => {
  const podSpec = { initContainers: [{ name: 'tunnel', image: 'a:1', restartPolicy: 'Always' }], terminationGracePeriodSeconds: 600 };
  const deployment = worker({ podSpec });
  expect(steps(deployment).map(({ name }) => name)).toEqual(['tunnel', 'check-access', 'register']);
  expect(deployment.spec.template.spec.terminationGracePeriodSeconds).toBe(600);
  expect(container(deployment).args).toContain('--finish-within=580');
});

test('several workers have names of their own, spread over nodes, and are not all evicted at once', () => {
  const manifests = build({ replicas: 3 }).toJson();
  expect(named(manifests, 'PodDisruptionBudget', 'prefect-worker').spec.maxUnavailable).toBe(1);
  const deployment = named(manifests, 'Deployment', 'prefect-worker');
  expect(deployment.spec.replicas).toBe(3);
  expect(container(deployment).args).toContain('--name=$(POD_NAME)');
  expect(deployment.spec.template.spec.topologySpreadConstraints).toHaveLength(1);
  expect(named(build().toJson(), 'PodDisruptionBudget', 'prefect-worker')).toBeUndefined();
});

test('work queues, and names that the kubelet would change', () => {
  expect(container(worker({ workQueues: ['high', '$(X)'] }, { name: 'a$b' })).args).toEqual(
    expect.arrayContaining(['--pool=a$$b', '--work-queue=high', '--work-queue=$$(X)']),
  );
});

test('the observer sees the Jobs of its pool, if their label has the name as it is', () => {
  const filter = 'PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_ADDITIONAL_LABEL_FILTERS';
  expect(literalEnv(observer())[filter]).toBe('prefect.io/work-pool-name=k8s');
  for (const name of ['team pool', 'a--b', 'é']) expect(literalEnv(observer({}, { name }))[filter]).toBeUndefined();
});

test('nothing may connect to worker and observer, and pods of flow runs are not meant', () => {
  const policies = build({ egress: [{ cidr: '10.0.0.0/8', ports: [443] }] })
    .toJson()
    .filter(({ kind }) => kind === 'NetworkPolicy');
  expect(policies.map(({ spec }) => spec.policyTypes)).toEqual([
    ['Ingress', 'Egress'],
    ['Ingress', 'Egress'],
  ]);
  for (const { spec } of policies) {
    expect(spec.ingress).toBeUndefined();
    expect(spec.podSelector.matchExpressions).toEqual([{ key: 'prefect.io/flow-run-id', operator: 'DoesNotExist' }]);
  }
});

describe('refuses', () => {
  test.each<[string, Partial<PrefectWorkerProps>, string]>([
    ['no worker', { replicas: 0 }, 'replicas is 0: it must be a whole number, at least 1'],
    ['half a worker', { replicas: 1.5 }, 'replicas is 1.5: it must be a whole number'],
    ['a queue twice', { workQueues: ['a', 'a'] }, 'workQueues[1] is "a"'],
    ['too long a name', { resourceName: 'a'.repeat(60) }, 'resourceName is'],
    ['a worker without prefect-kubernetes', { image: 'prefecthq/prefect:3.9.1-python3.11' }, 'it must be Prefect 3.9 or newer'],
    ['containers', { podSpec: { containers: [] } }, 'podSpec.containers must not be set in podSpec'],
    [
      'a setting that Jobs would have',
      { env: { PREFECT_LOGGING_LEVEL: EnvValue.of('DEBUG') } },
      'writes such settings in clear into every Job',
    ],
    ['one in lower case', { env: { prefect_client_custom_headers: EnvValue.of('{}') } }, 'writes such settings in clear into every Job'],
    ['the key', { env: { PREFECT_API_KEY: EnvValue.of('x') } }, 'use the prop api of the BaseJobTemplate: the key is never in a manifest'],
    [
      'Secrets that it may not make',
      { env: { PREFECT_INTEGRATIONS_KUBERNETES_WORKER_STORE_ENV_AS_SECRET: EnvValue.of('true') } },
      'permissions, secrets and the observer of the worker depend on it',
    ],
    [
      'the older name of one',
      { env: { PREFECT_KUBERNETES_WORKER_STORE_PREFECT_API_IN_SECRET: EnvValue.of('true') } },
      'permissions, secrets and the observer of the worker depend on it',
    ],
  ])('%s', (_name, props, message) => expect(() => build(props)).toThrow(message));

  test('credentials of flow runs for an API without any', () => {
    const flowRunCredentials = SecretKeyRef.of('weaker', 'value');
    expect(() => build({ flowRunCredentials }, { api: Prefect3Api.server({ url }) })).toThrow(
      'flowRunCredentials is of the Secret weaker: it must not be set for an API without credentials',
    );
  });
  test('a pool of another namespace', () => {
    const chart = build();
    const workPool = chart.node.findChild('Pool') as WorkPool;
    const other = new Chart(chart.node.root, 'other', { namespace: 'other' });
    expect(() => new PrefectWorker(other, 'Worker', { workPool })).toThrow(
      'other/Worker: workPool is in namespace prefect: it must be in the namespace of the worker, other',
    );
  });
  test('and leaves no objects behind', () => {
    const chart = build();
    expect(() => new PrefectWorker(chart, 'Second', { workPool: chart.node.findChild('Pool') as WorkPool, replicas: 0 })).toThrow();
    expect(tree(chart).filter((line) => line.startsWith('chart/Second'))).toEqual(['chart/Second PrefectWorker']);
  });
});

test('settings of the worker and the observer alone are allowed', () => {
  const env = {
    PREFECT_WORKER_QUERY_SECONDS: EnvValue.of('5'),
    PREFECT_INTEGRATIONS_KUBERNETES_WORKER_CREATE_JOB_RETRY_MAX_RETRIES: EnvValue.of('5'),
  };
  expect(literalEnv(worker({ env }))).toMatchObject({ PREFECT_WORKER_QUERY_SECONDS: '5' });
});
