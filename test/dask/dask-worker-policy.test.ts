import { Duration, Size, Testing } from 'cdk8s';
import { parse } from 'yaml';
import {
  DaskDeployMode,
  type DaskPodOptions,
  DaskWorkerPolicy,
  type DaskWorkerPolicyProps,
  EnvValue,
  EvictionPolicy,
  FlowJobTemplate,
  type FlowJobTemplateProps,
  FlowRunJob,
  PrefectApi,
  Volume,
} from '../../lib';
import { everyDaskProp } from '../every-prop';
import { chartWith, container, type Manifest, newChart, only, synth, tree } from '../support';

const api = PrefectApi.server({ url: 'http://prefect:4200' });
const policy = (props: DaskWorkerPolicyProps = {}) => synth((chart) => new DaskWorkerPolicy(chart, 'Dask', props));
const withJobs = (props: DaskWorkerPolicyProps = {}, jobs: FlowJobTemplateProps = {}): Manifest[] =>
  synth((chart) => new FlowJobTemplate(chart, 'Jobs', { ...jobs, dask: new DaskWorkerPolicy(chart, 'Dask', props) }));
const files = (props?: DaskWorkerPolicyProps, jobs?: FlowJobTemplateProps): Record<string, string> =>
  only(
    'ConfigMap',
    withJobs(props, jobs).filter(({ data }) => data?.['worker.yaml']),
  ).data;
const pod = (component: 'worker' | 'scheduler', props?: DaskWorkerPolicyProps, jobs?: FlowJobTemplateProps): Manifest =>
  parse(files(props, jobs)[`${component}.yaml`] as string);
const job = (props?: DaskWorkerPolicyProps): Manifest =>
  parse(
    only(
      'ConfigMap',
      withJobs(props).filter(({ data }) => data?.['job.yaml']),
    ).data['job.yaml'],
  );
const args = (props: DaskWorkerPolicyProps) => pod('worker', props).spec.containers[0].args;
const named = (manifests: Manifest[]) => manifests.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`);

const OWNED = {
  ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: '$' + '{POD_NAME}', uid: '$' + '{POD_UID}' }],
  labels: expect.objectContaining({
    'cdk8s-prefect/flow-run-id': '$' + '{PREFECT__CONTEXT__FLOW_RUN_ID}',
    'cdk8s-prefect/flow-pod': '$' + '{POD_NAME}',
  }),
};

test('minimal: Role and NetworkPolicy', () => expect(policy()).toMatchSnapshot('Role and NetworkPolicy'));
test('minimal: env of the flow run', () => expect(container(job()).env).toMatchSnapshot('env'));
test('minimal: worker and scheduler', () => {
  expect([pod('worker'), pod('scheduler')]).toMatchSnapshot('worker and scheduler');
});
test('all props: objects', () => expect(named(withJobs(everyDaskProp))).toMatchSnapshot('objects'));
test('all props: worker and scheduler', () => {
  expect([pod('worker', everyDaskProp), pod('scheduler', everyDaskProp)]).toMatchSnapshot('worker and scheduler');
});
test('paths are a contract', () => {
  const chart = chartWith((scope) => {
    const dask = new DaskWorkerPolicy(scope, 'Dask', { deployMode: DaskDeployMode.LOCAL });
    new FlowJobTemplate(scope, 'Jobs', { dask });
    new FlowRunJob(scope, 'Run', { dask, api, flowRunId: '11111111-2222-3333-4444-555555555555' });
  });
  expect(tree(chart)).toEqual([
    'chart Chart',
    'chart/Dask DaskWorkerPolicy',
    'chart/Dask/Resource ApiObject',
    'chart/Dask/NetworkPolicy ApiObject',
    'chart/Dask/FlowNetworkPolicy ApiObject',
    'chart/Jobs FlowJobTemplate',
    'chart/Jobs/Dask FlowDask',
    'chart/Jobs/Dask/Files ApiObject',
    'chart/Jobs/Dask/ServiceAccount ApiObject',
    'chart/Jobs/Dask/RoleBinding ApiObject',
    'chart/Jobs/Resource ApiObject',
    'chart/Run FlowRunJob',
    'chart/Run/Dask FlowDask',
    'chart/Run/Dask/Files ApiObject',
    'chart/Run/Dask/ServiceAccount ApiObject',
    'chart/Run/Dask/RoleBinding ApiObject',
    'chart/Run/Resource ApiObject',
  ]);
});

describe('what belongs to the flow run', () => {
  test.each(['worker', 'scheduler'] as const)('%s: the pod is its owner, and labels name pod and run', (component) => {
    expect(pod(component).metadata).toMatchObject(OWNED);
  });
  test('Service and PodDisruptionBudget have the same owner, whose name and uid the kubelet expands', () => {
    const owned = { metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: '$(POD_NAME)', uid: '$(POD_UID)' }] } };
    const env: Manifest[] = container(job()).env;
    for (const object of ['SERVICE', 'PDB']) {
      const { value } = env.find(({ name }) => name === `DASK_KUBERNETES__SCHEDULER_${object}_TEMPLATE`);
      expect(JSON.parse(value)).toEqual(owned);
    }
  });
  test('what others expand comes first: the kubelet knows no variable that comes later', () => {
    const names = container(job()).env.map(({ name }: Manifest) => name);
    const last = Math.max(...['POD_NAME', 'POD_UID', 'POD_NAMESPACE'].map((name) => names.indexOf(name)));
    expect(names.findIndex((name: string) => name.startsWith('DASK_'))).toBeGreaterThan(last);
  });
});

describe('account of the flow run', () => {
  test('one is made, with its token, and may do what the policy allows', () => {
    const manifests = withJobs();
    const { spec } = job().spec.template;
    expect([spec.serviceAccountName, spec.automountServiceAccountToken]).toEqual(['prefect-job-template-dask', true]);
    expect(only('ServiceAccount', manifests).metadata.name).toBe('prefect-job-template-dask');
    expect(only('RoleBinding', manifests)).toMatchObject({
      roleRef: { kind: 'Role', name: 'prefect-dask' },
      subjects: [{ kind: 'ServiceAccount', name: 'prefect-job-template-dask', namespace: 'prefect' }],
    });
  });
  test('an account that was given is bound, and none is made', () => {
    const manifests = withJobs({}, { serviceAccountName: 'flows' });
    expect(manifests.filter(({ kind }) => kind === 'ServiceAccount')).toEqual([]);
    expect(only('RoleBinding', manifests).subjects).toMatchObject([{ name: 'flows' }]);
  });
  test('Dask pods have the same account, without its token', () => {
    for (const component of ['worker', 'scheduler'] as const) {
      expect(pod(component).spec).toMatchObject({
        serviceAccountName: 'prefect-job-template-dask',
        automountServiceAccountToken: false,
      });
    }
  });
  test('is given to whoever grants it more', () => {
    const chart = newChart('prefect');
    const dask = new DaskWorkerPolicy(chart, 'Dask');
    expect(new FlowJobTemplate(chart, 'Jobs', { dask }).serviceAccount?.name).toBe('prefect-job-template-dask');
  });
});

describe('Dask pods', () => {
  const own: FlowJobTemplateProps = {
    image: 'registry.example/flows:42',
    env: { REGION: EnvValue.of('north') },
    volumes: { data: Volume.fromPersistentVolumeClaim('data', { mountPath: '/data' }) },
    nodeSelector: { pool: 'flows' },
    imagePullSecrets: ['registry'],
    resources: { memoryLimit: Size.gibibytes(64) },
    sidecars: [{ name: 'proxy', image: 'proxy:1' }],
    activeDeadline: Duration.hours(1),
  };
  test.each(['worker', 'scheduler'] as const)('%s: as the flow run, with the image that it really has', (component) => {
    const { spec } = pod(component, {}, own);
    expect(spec).toMatchObject({ nodeSelector: { pool: 'flows' }, imagePullSecrets: [{ name: 'registry' }], restartPolicy: 'Never' });
    const [only_, ...others] = spec.containers;
    expect(others).toEqual([]);
    expect(only_).toMatchObject({
      image: '$' + '{PREFECT__CONTEXT__IMAGE}',
      env: expect.arrayContaining([{ name: 'REGION', value: 'north' }]),
      volumeMounts: expect.arrayContaining([{ name: 'data', mountPath: '/data' }]),
      securityContext: { allowPrivilegeEscalation: false },
    });
  });
  test.each(['worker', 'scheduler'] as const)('%s: without what is of the flow run alone', (component) => {
    const { spec } = pod(component, {}, own);
    expect(spec).not.toHaveProperty('activeDeadlineSeconds');
    expect(spec).not.toHaveProperty('initContainers');
    expect(spec.containers[0]).not.toHaveProperty('resources');
    expect(spec.containers[0].env.filter(({ name }: Manifest) => name.startsWith('DASK_KUBERNETES__'))).toEqual([]);
  });
  test('what the policy says of a pod replaces what the flow run has; env is beside it', () => {
    const worker: DaskPodOptions = { nodeSelector: { pool: 'spot' }, env: { THREADS: EnvValue.of('1') } };
    const { spec } = pod('worker', { worker }, own);
    expect(spec.nodeSelector).toEqual({ pool: 'spot' });
    expect(spec.containers[0].env).toEqual(
      expect.arrayContaining([
        { name: 'REGION', value: 'north' },
        { name: 'THREADS', value: '1' },
      ]),
    );
    expect(pod('scheduler', { worker }, own).spec.nodeSelector).toEqual({ pool: 'flows' });
  });
  test('log at the level of the flow run', () => {
    const level = { name: 'PREFECT__LOGGING__LEVEL', value: '$' + '{PREFECT__LOGGING__LEVEL}' };
    expect(container({ spec: { template: pod('worker') } }).env).toContainEqual(level);
  });
  test('never have a label by which the agent knows its flow pods', () => {
    for (const component of ['worker', 'scheduler'] as const) {
      expect(Object.keys(pod(component).metadata.labels).filter((key) => key.startsWith('prefect.io/'))).toEqual([]);
    }
  });
  test('protected with the flow run: workers by its budget, the scheduler by its own alone', () => {
    const protect = { onEviction: EvictionPolicy.PROTECT };
    const { matchLabels } = only('PodDisruptionBudget', withJobs({}, protect)).spec.selector;
    expect(pod('worker', {}, protect).metadata.labels).toMatchObject(matchLabels);
    expect(pod('scheduler', {}, protect).metadata.labels).not.toMatchObject(matchLabels);
    for (const component of ['worker', 'scheduler'] as const) {
      expect(pod(component, {}, protect).metadata.annotations).toMatchObject({ 'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false' });
    }
  });
});

test('threads, deathTimeout and the memory limit are arguments of the worker', () => {
  const worker = { resources: { memoryLimit: Size.mebibytes(512) } };
  expect(args({ threads: 4, deathTimeout: Duration.minutes(2), worker })).toEqual([
    'dask-worker',
    '$(DASK_SCHEDULER_ADDRESS)',
    '--nthreads=4',
    '--death-timeout=120',
    '--memory-limit=536870912',
  ]);
  expect(args({})).not.toContainEqual(expect.stringMatching(/^--memory-limit/));
});
test('idleTimeout is a text with its unit, which the classic KubeCluster wants, and off by default', () => {
  const idle = (props: DaskWorkerPolicyProps) =>
    container(job(props)).env.find(({ name }: Manifest) => name === 'DASK_KUBERNETES__IDLE_TIMEOUT');
  expect(idle({ idleTimeout: Duration.minutes(5) })).toEqual({ name: 'DASK_KUBERNETES__IDLE_TIMEOUT', value: '300s' });
  expect(idle({})).toBeUndefined();
});
test('deploy mode LOCAL: no scheduler pod, fewer rights, and the flow run accepts only Dask pods', () => {
  const local = { deployMode: DaskDeployMode.LOCAL };
  expect(Object.keys(files(local)).sort()).toEqual(['prefect_dask_client.py', 'prefect_dask_worker.py', 'worker.yaml']);
  expect(only('Role', policy(local)).rules).toEqual([{ apiGroups: [''], resources: ['pods'], verbs: ['create', 'delete'] }]);
  const flows = policy(local).find(({ metadata }) => metadata.name === 'prefect-dask-flows');
  const labels = job(local).spec.template.metadata.labels;
  expect(labels).toMatchObject(flows.spec.podSelector.matchLabels);
});
test('networkPolicy can be left out', () => {
  expect(policy({ networkPolicy: false, deployMode: DaskDeployMode.LOCAL }).map(({ kind }) => kind)).toEqual(['Role']);
});
test('a scheduler waits at least as long for its first client as for one that has left', () => {
  const env = container({ spec: { template: pod('scheduler', { clientTimeout: Duration.minutes(10) }) } }).env;
  expect(env).toEqual(
    expect.arrayContaining([
      { name: 'CLIENT_TIMEOUT', value: '600' },
      { name: 'FIRST_CLIENT_TIMEOUT', value: '600' },
    ]),
  );
});
test('a flow run without an agent has its own account and files', () => {
  const manifests = synth((chart) => {
    const dask = new DaskWorkerPolicy(chart, 'Dask');
    new FlowRunJob(chart, 'Run', { dask, api, flowRunId: '11111111-2222-3333-4444-555555555555' });
  });
  expect(named(manifests)).toEqual([
    'Role prefect/prefect-dask',
    'NetworkPolicy prefect/prefect-dask',
    'ConfigMap prefect/flow-run-11111111-dask',
    'ServiceAccount prefect/flow-run-11111111-dask',
    'RoleBinding prefect/flow-run-11111111-dask',
    'Job prefect/flow-run-11111111',
  ]);
});
test('one policy serves several templates', () => {
  const manifests = synth((chart) => {
    const dask = new DaskWorkerPolicy(chart, 'Dask');
    for (const name of ['small', 'large']) new FlowJobTemplate(chart, name, { resourceName: name, dask });
  });
  expect(manifests.filter(({ kind }) => kind === 'RoleBinding').map(({ roleRef }) => roleRef.name)).toEqual([
    'prefect-dask',
    'prefect-dask',
  ]);
});

test('text that Dask would expand is written with a variable that is a "$"', () => {
  const worker = { env: { PRICE: EnvValue.of('$5, $HOME, $' + '{HOME}, $$HOME and $(HOME)') } };
  const dollar = '$' + '{DOLLAR}';
  expect(container({ spec: { template: pod('worker', { worker }) } }).env).toContainEqual({
    name: 'PRICE',
    value: `${dollar}5, ${dollar}HOME, ${dollar}{HOME}, $${dollar}HOME and $(HOME)`,
  });
  expect(container(job()).env).toContainEqual({ name: 'DOLLAR', value: '$' });
});

describe('refuses', () => {
  const cases: [string, DaskWorkerPolicyProps, string][] = [
    ['no threads', { threads: 0 }, 'chart/Dask: threads is 0: it must be a whole number from 1 to 1024'],
    ['half a thread', { threads: 1.5 }, 'threads is 1.5: it must be a whole number'],
    [
      'a death timeout of nothing',
      { deathTimeout: Duration.seconds(0) },
      'deathTimeout is 0 seconds: it must be a whole number of seconds',
    ],
    ['half a second', { clientTimeout: Duration.millis(1500) }, 'clientTimeout is 1.5 seconds: it must be a whole number of seconds'],
    ['an idle timeout of nothing', { idleTimeout: Duration.seconds(0) }, 'idleTimeout is 0 seconds: it must be a whole number of seconds'],
    ['a release with budgets of policy/v1beta1', { daskKubernetesVersion: '2022.7.0' }, 'must be a release from 2022.9.0 to 2024.4.2'],
    ['a release without the classic KubeCluster', { daskKubernetesVersion: '2024.5.0' }, 'newer ones have no classic KubeCluster'],
    ['what is no release', { daskKubernetesVersion: 'latest' }, 'daskKubernetesVersion is "latest": it must be a release'],
    ['a name that Kubernetes refuses', { resourceName: 'Dask' }, 'resourceName is "Dask": it must be a DNS label'],
    ['a namespace that Kubernetes refuses', { flowNamespace: 'A' }, 'flowNamespace is "A": it must be a DNS label'],
  ];
  test.each(cases)('%s', (_name, props, message) => expect(() => policy(props)).toThrow(message));

  const ofJobs: [string, DaskWorkerPolicyProps, FlowJobTemplateProps, string][] = [
    [
      'a policy of another namespace',
      { flowNamespace: 'other' },
      {},
      'chart/Jobs: dask is of namespace other: it must be in the namespace',
    ],
    ['no token', {}, { automountServiceAccountToken: false }, 'automountServiceAccountToken is false: it must not be false with a policy'],
    [
      'a release that pip would install over it',
      {},
      { extraPipPackages: ['dask-kubernetes==2025.4.3'] },
      'extraPipPackages[0] is "2025.4.3": it must be a release from 2022.9.0 to 2024.4.2',
    ],
    [
      'a label that Dask sets',
      { worker: { podLabels: { app: 'x' } } },
      {},
      'chart/Jobs (its Dask worker): podLabels is "app": it must not be one of the names that the construct sets',
    ],
    [
      'a variable of the scheduler that is ours',
      { scheduler: { env: { CLIENT_TIMEOUT: EnvValue.of('1') } } },
      {},
      'env is "CLIENT_TIMEOUT": it must not be one of the names that the construct sets',
    ],
    [
      'a request above its limit',
      { worker: { resources: { memoryRequest: Size.gibibytes(2), memoryLimit: Size.gibibytes(1) } } },
      {},
      'chart/Jobs (its Dask worker): resources.memoryRequest is 2Gi: it must be at most the limit',
    ],
  ];
  test.each(ofJobs)('%s', (_name, props, jobs, message) => expect(() => withJobs(props, jobs)).toThrow(message));

  test('a Job name that leaves no room for that of a Dask cluster', () => {
    const build = (chart: ReturnType<typeof newChart>) =>
      new FlowRunJob(chart, 'Run', {
        dask: new DaskWorkerPolicy(chart, 'Dask'),
        api,
        flowRunId: '11111111-2222-3333-4444-555555555555',
        resourceName: 'x'.repeat(42),
      });
    expect(() => Testing.synth(chartWith(build))).toThrow('must be at most 41 characters with a policy for Dask');
  });
  test('a chart without a namespace', () => {
    expect(() => new DaskWorkerPolicy(newChart(), 'Dask')).toThrow('chart/Dask: the namespace of its chart must be set');
  });
});
