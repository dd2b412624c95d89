import { ApiObject, Duration } from 'cdk8s';
import { EnvValue, EvictionPolicy, FlowJobTemplate, FlowRunSweeper, type FlowRunSweeperProps, PrefectApi, SecretKeyRef } from '../../lib';
import { everySweeperProp } from '../every-prop';
import { chartWith, container, type Manifest, newChart, only, synth, tree } from '../support';

const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://api.prefect.io' });

function sweeper(props: Partial<FlowRunSweeperProps> = {}): Manifest[] {
  return synth((chart) => new FlowRunSweeper(chart, 'Sweeper', { api, ...props }));
}

const args = (props: Partial<FlowRunSweeperProps> = {}): string[] => container(only('Deployment', sweeper(props))).args;
const kinds = (props: Partial<FlowRunSweeperProps> = {}) => sweeper(props).map(({ kind }) => kind);
const named = (kind: string, name: string, manifests: Manifest[]): Manifest =>
  manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);

describe('snapshots', () => {
  test('minimal: Deployment', () => expect(only('Deployment', sweeper())).toMatchSnapshot());
  test.each(['Deployment', 'NetworkPolicy', 'Service', 'ServiceMonitor', 'PrometheusRule'])('all props: %s', (kind) => {
    expect(only(kind, sweeper(everySweeperProp))).toMatchSnapshot();
  });
});

test('paths are a contract', () => {
  const props = { ...everySweeperProp, namespaces: ['flows'] };
  expect(tree(chartWith((chart) => new FlowRunSweeper(chart, 'Sweeper', props)))).toEqual([
    'chart Chart',
    'chart/Sweeper FlowRunSweeper',
    'chart/Sweeper/ServiceAccount ApiObject',
    'chart/Sweeper/flows Construct',
    'chart/Sweeper/flows/Ledger ApiObject',
    'chart/Sweeper/flows/LedgerRole ApiObject',
    'chart/Sweeper/flows/LedgerRoleBinding ApiObject',
    'chart/Sweeper/flows/FlowsRole ApiObject',
    'chart/Sweeper/flows/FlowsRoleBinding ApiObject',
    'chart/Sweeper/Program ApiObject',
    'chart/Sweeper/NetworkPolicy ApiObject',
    'chart/Sweeper/Monitoring SweeperMonitoring',
    'chart/Sweeper/Monitoring/Service ApiObject',
    'chart/Sweeper/Monitoring/ServiceMonitor ApiObject',
    'chart/Sweeper/Monitoring/PrometheusRule ApiObject',
    'chart/Sweeper/Resource ApiObject',
  ]);
});

test('the main child is the Deployment', () => {
  const made = new FlowRunSweeper(newChart('prefect'), 'Sweeper', { api });
  expect(made.node.defaultChild).toBe(made.deployment);
});

describe('the program', () => {
  test('is named by its content, so that a change restarts the sweeper', () => {
    const program = sweeper().find(({ immutable }) => immutable);
    expect(program.metadata.name).toMatch(/^flow-run-sweeper-[0-9a-f]{8}$/);
    expect(only('Deployment', sweeper()).spec.template.spec.volumes).toContainEqual({
      name: 'program',
      configMap: { name: program.metadata.name },
    });
  });
  test('is told its namespaces', () => {
    expect(args({ namespaces: ['a', 'b'] })).toEqual(expect.arrayContaining(['--namespace=a', '--namespace=b']));
  });
  test('sweeps its own namespace by default, which it is told by its pod', () => {
    expect(args()).toEqual(expect.arrayContaining(['--namespace=$(POD_NAMESPACE)', '--home=$(POD_NAMESPACE)', '--home-in-names=prefect']));
    expect(args({ namespaces: ['prefect', 'flows'] }).slice(2, 4)).toEqual(['--namespace=$(POD_NAMESPACE)', '--namespace=flows']);
  });
  test('is told the delays of its rules', () => {
    expect(args().slice(11)).toEqual([
      '--finished-jobs=180',
      '--cancelling-runs=300',
      '--unstartable-jobs=600',
      '--lost-runs=90',
      '--finished-dask-workers=0',
      '--orphaned-dask-clusters=60',
    ]);
  });
  test('is told nothing of a rule that is off', () => {
    expect(args({ lostRuns: { enabled: false, after: Duration.minutes(2) } }).join()).not.toContain('lost-runs');
  });
  test('is told how often a run may run again', () => {
    expect(args({ runAgainLimit: 2 })).toContain('--run-again-limit=2');
    expect(args()).toContain('--run-again-limit=10');
  });
  test('is told the uid of its pod, by which it holds a Lease', () => {
    expect(args()).toContain('--pod-uid=$(POD_UID)');
    expect(container(only('Deployment', sweeper())).env).toContainEqual({
      name: 'POD_UID',
      valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } },
    });
  });
  test('dryRun', () => expect(args({ dryRun: true })).toContain('--dry-run'));
  test('interval', () => expect(args({ interval: Duration.minutes(1) })).toContain('--interval=60'));
  test('has no key without one', () => {
    expect(JSON.stringify(sweeper({ api: PrefectApi.server({ url: 'http://prefect:4200' }) }))).not.toContain('api-key/key');
  });
});

describe('rights', () => {
  const rights = (props: Partial<FlowRunSweeperProps>) => {
    const verbs: Record<string, string[]> = {};
    for (const rule of named('Role', 'flow-run-sweeper-flows', sweeper({ namespaces: ['flows'], ...props })).rules) {
      for (const resource of rule.resources) verbs[resource] = [...(verbs[resource] ?? []), ...rule.verbs];
    }
    return verbs;
  };
  const leases = ['create', 'get', 'update'];
  const off = { enabled: false };

  test('in each namespace', () => {
    const roles = sweeper({ namespaces: ['a', 'b'] }).filter(
      ({ kind, metadata }) => kind === 'Role' && /^flow-run-sweeper-.$/.test(metadata.name),
    );
    expect(roles.map(({ metadata }) => metadata.namespace)).toEqual(['a', 'b']);
  });
  test('of the ledger are those of one object', () => {
    expect(named('Role', 'flow-run-sweeper-ledger-flows', sweeper({ namespaces: ['flows'] }))).toMatchObject({
      metadata: { namespace: 'prefect' },
      rules: [{ resources: ['configmaps'], resourceNames: ['flow-run-sweeper-ledger-flows'], verbs: ['get', 'patch'] }],
    });
  });
  test('with every rule', () => {
    expect(rights({})).toEqual({
      jobs: ['list', 'watch', 'delete'],
      pods: ['list', 'watch', 'delete'],
      services: ['list', 'delete'],
      poddisruptionbudgets: ['list', 'delete'],
      events: ['list', 'create'],
      leases,
    });
  });
  test('without the rules of Dask', () => {
    expect(rights({ finishedDaskWorkers: off, orphanedDaskClusters: off })).toEqual({
      jobs: ['list', 'watch', 'delete'],
      pods: ['list', 'watch'],
      events: ['list', 'create'],
      leases,
    });
  });
  test('with the rule for lost runs alone', () => {
    const others = ['finishedJobs', 'cancellingRuns', 'unstartableJobs', 'finishedDaskWorkers', 'orphanedDaskClusters'];
    expect(rights(Object.fromEntries(others.map((rule) => [rule, off])))).toEqual({
      jobs: ['list', 'watch', 'delete'],
      pods: ['list', 'watch'],
      events: ['create'],
      leases,
    });
  });
  test('of the Lease are those of one object', () => {
    const { rules } = named('Role', 'flow-run-sweeper-flows', sweeper({ namespaces: ['flows'] }));
    expect(rules.filter(({ resources }: Manifest) => resources[0] === 'leases')).toEqual([
      { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
      { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'update'], resourceNames: ['flow-run-sweeper'] },
    ]);
  });
  test('in a dry run', () => {
    expect(rights({ dryRun: true })).toEqual({
      jobs: ['list'],
      pods: ['list'],
      services: ['list'],
      poddisruptionbudgets: ['list'],
      events: ['list'],
    });
  });
});

test('the ledger is without data, so that applying it again leaves what is in it', () => {
  expect(named('ConfigMap', 'flow-run-sweeper-ledger-prefect', sweeper())).not.toHaveProperty('data');
});

describe('metrics', () => {
  test('nothing may connect without them', () => {
    expect(only('NetworkPolicy', sweeper()).spec).toEqual({
      podSelector: {
        matchLabels: { app: 'flow-run-sweeper' },
        matchExpressions: [{ key: 'prefect.io/flow_run_id', operator: 'DoesNotExist' }],
      },
      policyTypes: ['Ingress'],
    });
    expect(kinds()).not.toContain('Service');
  });
  test('anybody may scrape the port', () => {
    expect(only('NetworkPolicy', sweeper({ metrics: {} })).spec.ingress).toEqual([{ ports: [{ port: 8080, protocol: 'TCP' }] }]);
    expect(kinds({ metrics: {} })).toContain('Service');
    expect(kinds({ metrics: {} })).not.toContain('ServiceMonitor');
  });
  test('or one namespace alone', () => {
    expect(only('NetworkPolicy', sweeper({ metrics: { scraperNamespace: 'monitoring' } })).spec.ingress[0].from).toEqual([
      { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } },
    ]);
  });
  test('ServiceMonitor and PrometheusRule have the labels by which they are selected', () => {
    const manifests = sweeper({ metrics: { serviceMonitor: true, prometheusRule: true, labels: { release: 'kube' } } });
    for (const kind of ['ServiceMonitor', 'PrometheusRule']) expect(only(kind, manifests).metadata.labels.release).toBe('kube');
    expect(only('ServiceMonitor', manifests).spec.selector.matchLabels).toEqual({ app: 'flow-run-sweeper' });
  });
});

test.each([EvictionPolicy.FAIL, EvictionPolicy.RUN_AGAIN])('onEviction %s is a label of the Job, which the sweeper reads', (onEviction) => {
  const template = new FlowJobTemplate(newChart('prefect'), 'Jobs', { onEviction });
  expect(template._job.metadata.labels).toMatchObject({ 'cdk8s-prefect/on-eviction': onEviction });
  expect(template.podDisruptionBudget).toBeUndefined();
});

describe('refuses', () => {
  const cases: [string, Partial<FlowRunSweeperProps>, string][] = [
    ['no namespace', { namespaces: [] }, 'namespaces is []: it must not be empty'],
    ['a namespace that is none', { namespaces: ['A'] }, 'namespaces[0] is "A": it must be a DNS label'],
    ['a namespace given twice', { namespaces: ['a', 'a'] }, 'namespaces[1] is "a": it must not be given twice'],
    ['a name that is none', { resourceName: 'A' }, 'resourceName is "A": it must be a DNS label'],
    ['no rest', { interval: Duration.seconds(0) }, 'interval is 0 seconds: it must be a whole number of seconds, at least 1'],
    ['a long rest', { interval: Duration.minutes(6) }, 'interval is 6 minutes: it must be at most 300 seconds'],
    [
      'a fraction of a second',
      { finishedJobs: { after: Duration.millis(1500) } },
      'finishedJobs.after is 1.5 seconds: it must be a whole number',
    ],
    ['a very long delay', { finishedJobs: { after: Duration.days(30_000) } }, 'it must be at most 2147483647 seconds'],
    [
      'a delay shorter than two signs of life',
      { lostRuns: { after: Duration.seconds(59) } },
      'lostRuns.after is 59 seconds: it must be a whole number of seconds, from 60 to 43200 (12 hours)',
    ],
    [
      'a delay shorter than a pod takes to start',
      { unstartableJobs: { after: Duration.seconds(0) } },
      'unstartableJobs.after is 0 seconds: it must be a whole number of seconds, from 60 to 43200 (12 hours)',
    ],
    [
      'a delay after which nothing is known any more',
      { lostRuns: { after: Duration.hours(24) } },
      'lostRuns.after is 1 day: it must be a whole number of seconds, from 60 to 43200 (12 hours)',
    ],
    [
      'the key in the environment',
      { env: { PREFECT__CLOUD__API_KEY: EnvValue.of('s3cret') } },
      'env.PREFECT__CLOUD__API_KEY must not be set in env; use the prop api',
    ],
    [
      'a key that Prefect refuses',
      { env: { PREFECT__TEAM__KEYS: EnvValue.of('1') } },
      'env.PREFECT__TEAM__KEYS must not have the part "keys"',
    ],
    ['an image latest', { image: 'prefecthq/prefect:latest' }, 'image is "prefecthq/prefect:latest": it must be an image with a tag'],
    ['a network that is none', { egress: [{ cidr: 'x' }] }, 'egress[0].cidr is "x": it must be a network'],
    [
      'a namespace of scrapers that is none',
      { metrics: { scraperNamespace: 'A' } },
      'metrics.scraperNamespace is "A": it must be a DNS label',
    ],
    ['a label that is none', { metrics: { labels: { 'a b': 'c' } } }, 'metrics.labels is "a b": it must be a qualified name'],
    [
      'a label that is ours',
      { metrics: { labels: { app: 'x' } } },
      'metrics.labels is "app": it must not be one of the names that the construct sets',
    ],
    ['a name that no Service can have', { resourceName: '1st', metrics: {} }, 'resourceName is "1st": it must begin with a letter'],
    ['no limit', { runAgainLimit: 0 }, 'runAgainLimit is 0: it must be a whole number from 1 to 100'],
    ['a limit that is none', { runAgainLimit: 101 }, 'runAgainLimit is 101: it must be a whole number from 1 to 100'],
    ['containers', { podSpec: { containers: [] } }, 'podSpec.containers must not be set in podSpec'],
  ];
  test.each(cases)('%s', (_, props, message) => {
    const chart = newChart('prefect');
    expect(() => new FlowRunSweeper(chart, 'Sweeper', { api, ...props })).toThrow(message);
    expect(chart.node.findAll().filter(ApiObject.isApiObject)).toEqual([]);
  });
  test('two of one name', () => {
    const chart = newChart('prefect');
    new FlowRunSweeper(chart, 'One', { api });
    expect(() => new FlowRunSweeper(chart, 'Two', { api })).toThrow('resourceName is "flow-run-sweeper": it must be unique');
  });
  test('a chart without a namespace', () => {
    expect(() => new FlowRunSweeper(newChart(), 'Sweeper', { api })).toThrow('the namespace of its chart must be set');
  });
});
