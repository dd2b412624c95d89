import { App, Chart, Testing } from 'cdk8s';
import { parse } from 'yaml';
import {
  DaskDeployMode,
  type DaskPodOptions,
  DaskWorkerPolicy,
  type DaskWorkerPolicyProps,
  type FlowJobProps,
  FlowJobTemplate,
  FlowRunJob,
  PrefectAgent,
  PrefectApi,
} from '../../lib';
import fc from '../fast-check';
import { container, type Manifest } from '../support';
import { flowJobProps, policyProps } from './dask-generate';
import * as generate from './generate';
import { type ContainerView, containerView } from './kubelet';
import { DaskOracle } from './oracle';
import releases from './releases.json';

const POLICIES_PER_RELEASE = 300;

/** What starts the flow run: an agent, or a Job of its own with a name. */
interface Started {
  readonly namespace: string;
  readonly jobName?: string;
  readonly dockerStorageImage?: string;
  readonly podName: string;
  readonly podUid: string;
}

const started: fc.Arbitrary<Started> = fc.record(
  {
    namespace: generate.dnsLabel,
    jobName: fc.oneof(generate.dnsLabel, fc.constantFrom('0', 'x'.repeat(41), `a${'-'.repeat(39)}0`)),
    dockerStorageImage: fc.constantFrom('registry.example/team/flow:2020', 'flow:on'),
    podName: fc.stringMatching(/^[a-z0-9]{5}$/),
    podUid: generate.uuid,
  },
  { requiredKeys: ['namespace', 'podName', 'podUid'] },
);

const RUN_ID = '11111111-2222-3333-4444-555555555555';

/** A flow run's pod as it stands on the cluster. */
interface FlowPod {
  readonly name: string;
  readonly uid: string;
  readonly namespace: string;
  readonly image: string;
  readonly container: ContainerView;
  readonly role: Manifest;
  readonly local: boolean;
}

function flowPod(
  policy: DaskWorkerPolicyProps,
  props: FlowJobProps,
  { namespace, jobName, dockerStorageImage, podName, podUid }: Started,
): FlowPod {
  const chart = new Chart(new App(), 'chart', { namespace, labels: { 'example.com/chart': 'on' } });
  const api = PrefectApi.server({ url: 'http://prefect:4200' });
  const dask = new DaskWorkerPolicy(chart, 'Dask', policy);
  const job =
    jobName === undefined
      ? new PrefectAgent(chart, 'Agent', { api, jobTemplate: new FlowJobTemplate(chart, 'Jobs', { ...props, dask }) }).effectiveJob({
          id: RUN_ID,
          dockerStorageImage,
        })
      : new FlowRunJob(chart, 'Run', { ...props, dask, api, flowRunId: RUN_ID, resourceName: jobName }).job.toJson();
  const manifests = Testing.synth(chart);
  // As the Job controller names pods.
  const name = `${job.metadata.name}-`.slice(0, 58) + podName;
  const fields = { 'metadata.name': name, 'metadata.uid': podUid, 'metadata.namespace': namespace };
  return {
    name,
    uid: podUid,
    namespace,
    image: container(job).image as string,
    container: containerView(job, manifests, {}, fields),
    role: manifests.find(({ kind, metadata }) => kind === 'Role' && metadata.name === dask.resourceName),
    local: policy.deployMode === DaskDeployMode.LOCAL,
  };
}

/** What a flow may bring of its own. */
const OWN = {
  metadata: { labels: { own: 'on' }, annotations: { own: '$POD_NAME' } },
  spec: { restartPolicy: 'Never', containers: [{ name: 'own', image: 'own:1', args: ['dask-worker', '--nthreads', '2'], resources: {} }] },
};
const FLOWS = {
  none: {},
  path: { pod_template: { path: '/etc/prefect/dask/worker.yaml' } },
  dict: { pod_template: { dict: OWN } },
  V1Pod: { pod_template: { V1Pod: OWN } },
};
type Kind = keyof typeof FLOWS;

/** A call to the Kubernetes API; of an object that is created, with its name. */
interface Call {
  readonly verb: string;
  readonly path: string;
  readonly name?: string;
  readonly object?: Manifest;
}

async function ask(
  oracle: DaskOracle,
  { env, files }: Pick<ContainerView, 'env' | 'files'>,
  workers: number,
): Promise<Record<Kind, Call[]>> {
  const flows = Object.values(FLOWS).map((flow) => ({ ...flow, options: { n_workers: workers } }));
  const answers: Call[][] = await oracle.ask({ env, files, flows });
  return Object.fromEntries(Object.keys(FLOWS).map((kind, i) => [kind, answers[i]])) as Record<Kind, Call[]>;
}

/** The objects of a cluster, in the order in which they were made. */
function created(calls: Call[], local: boolean) {
  const made = calls.filter(({ verb }) => verb === 'create');
  const cluster: string = made[0]?.object.metadata.labels['dask.org/cluster-name'];
  const [scheduler, service, budget] = local ? [] : made;
  const workers = made.slice(local ? 0 : 3);
  return { cluster, made, scheduler, service, budget, workers };
}

/** As Dask expands the environment in a template: os.path.expandvars of Python. */
function expanded<T>(value: T, env: Record<string, string>): T {
  return JSON.parse(JSON.stringify(value), (_, item) =>
    typeof item === 'string' ? item.replace(/\$(?:(\w+)|\{([^}]*)\})/g, (match, plain, braced) => env[plain ?? braced] ?? match) : item,
  );
}

/** What KubeCluster adds to every template. */
function withDefaults(template: Manifest, component: string, cluster: string, { namespace, container: { env } }: FlowPod): Manifest {
  const { metadata, spec } = template;
  const { affinity = {}, tolerations = [] } = spec;
  const preferred = affinity.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const purpose = { matchExpressions: [{ key: 'k8s.dask.org/node-purpose', operator: 'In', values: [component] }] };
  const dedicated = ['k8s.dask.org/dedicated', 'k8s.dask.org_dedicated'];
  const labels = { 'dask.org/cluster-name': cluster, 'dask.org/component': component, user: env.USER, app: 'dask' };
  return {
    ...template,
    metadata: { ...metadata, namespace, generateName: cluster, labels: { ...metadata.labels, ...labels } },
    spec: {
      ...spec,
      affinity: {
        ...affinity,
        nodeAffinity: {
          ...affinity.nodeAffinity,
          preferredDuringSchedulingIgnoredDuringExecution: [...preferred, { weight: 100, preference: purpose }],
        },
      },
      tolerations: [...tolerations, ...dedicated.map((key) => ({ key, operator: 'Equal', value: component, effect: 'NoSchedule' }))],
    },
  };
}

/** A pod with other arguments and more environment variables in its first container. Quantities are text to Kubernetes' client. */
function withContainer(pod: Manifest, args: string[], env: Manifest[]): Manifest {
  const [first, ...others] = pod.spec.containers;
  const asText = (quantities: object) => Object.fromEntries(Object.entries(quantities).map(([name, amount]) => [name, String(amount)]));
  const resources = first.resources && Object.fromEntries(Object.entries<object>(first.resources).map(([kind, of]) => [kind, asText(of)]));
  return { ...pod, spec: { ...pod.spec, containers: [{ ...first, args, env: [...(first.env ?? []), ...env], resources }, ...others] } };
}

/** What a Role allows, or calls do: `GROUP/RESOURCE VERB`. */
function allowed({ rules }: Manifest): string[] {
  return rules
    .flatMap(({ apiGroups, resources, verbs }: Manifest) =>
      resources.flatMap((resource: string) => verbs.map((verb: string) => `${apiGroups[0]}/${resource} ${verb}`)),
    )
    .sort();
}

function done(calls: Call[], namespace: string): string[] {
  return [
    ...new Set(
      calls.map(({ verb, path }) => {
        const [, group = '', asked, resource, sub] =
          /^\/(?:api|apis\/([a-z]+))\/v1\/namespaces\/([^/]+)\/([a-z]+)(?:\/[^/]+(\/log)?)?$/.exec(path) ?? [];
        expect(asked).toBe(namespace);
        return `${group}/${resource}${sub ?? ''} ${verb}`;
      }),
    ),
  ].sort();
}

describe.each(Object.entries(releases['dask-kubernetes']))('dask-kubernetes %s', (_release, environment) => {
  const oracle = new DaskOracle(environment);
  afterAll(() => oracle.stop());

  test(`makes of ${POLICIES_PER_RELEASE} generated policies what they promise`, async () => {
    await fc.assert(
      fc.asyncProperty(policyProps, flowJobProps, started, fc.integer({ min: 1, max: 2 }), async (policy, props, start, workers) => {
        const flow = flowPod(policy, props, start);
        const answers = await ask(oracle, flow.container, workers);
        for (const kind of Object.keys(FLOWS) as Kind[]) check(kind, answers[kind], flow, policy, props, workers);
      }),
      { numRuns: POLICIES_PER_RELEASE },
    );
  });

  test('Service and PodDisruptionBudget are those of dask-kubernetes, with an owner', async () => {
    const flow = flowPod({}, {}, { namespace: 'flows', podName: 'abcde', podUid: RUN_ID });
    const { DASK_KUBERNETES__SCHEDULER_SERVICE_TEMPLATE: _, DASK_KUBERNETES__SCHEDULER_PDB_TEMPLATE: __, ...env } = flow.container.env;
    const ours = created((await ask(oracle, flow.container, 1)).none, false);
    const stock = created((await ask(oracle, { ...flow.container, env }, 1)).none, false);
    for (const object of ['service', 'budget'] as const) {
      const theirs = JSON.parse(JSON.stringify(stock[object]?.object).replaceAll(stock.cluster, ours.cluster));
      expect(theirs.metadata).not.toHaveProperty('ownerReferences');
      expect(ours[object]?.object).toEqual({ ...theirs, metadata: { ...theirs.metadata, ownerReferences: [owner(flow)] } });
    }
  });
});

function owner({ name, uid }: FlowPod) {
  return { apiVersion: 'v1', kind: 'Pod', name, uid };
}

function check(kind: Kind, calls: Call[], flow: FlowPod, policy: DaskWorkerPolicyProps, props: FlowJobProps, workers: number): void {
  const found = created(calls, flow.local);
  const { cluster } = found;
  expect(cluster).toMatch(new RegExp(`^dask-${flow.name}-[-0-9a-f]{10}$`));
  expect(cluster.length).toBeLessThanOrEqual(63);
  expect(found.workers).toHaveLength(workers);
  for (const { object } of found.made) expect(object.metadata.labels['dask.org/cluster-name']).toBe(cluster);

  const byPolicy = kind === 'none' || kind === 'path';
  for (const { object } of byPolicy ? found.made : found.made.slice(0, -workers)) {
    expect(object.metadata.ownerReferences).toEqual([owner(flow)]);
    expect(object.metadata.labels).toMatchObject({ 'cdk8s-prefect/flow-run-id': RUN_ID, 'cdk8s-prefect/flow-pod': flow.name });
    expect(JSON.stringify(object)).not.toMatch(/\$\{(DOLLAR|POD_|PREFECT__)|\$\(POD_/);
  }

  const { env, files } = flow.container;
  const template = (component: string) => expanded(parse(files[`/etc/prefect/dask/${component}.yaml`] as string), env);
  const workerTemplate = withDefaults(byPolicy ? template('worker') : OWN, 'worker', cluster, flow);
  found.workers.forEach(({ object }, i) => {
    const { args, env: variables, image } = object.spec.containers[0];
    const address = flow.local ? variables.at(-1).value : `tcp://${cluster}.${flow.namespace}:8786`;
    expect(address).toMatch(/^tcp:\/\/[^/]+:\d+$/);
    expect(args.slice(-2)).toEqual(['--name', String(i)]);
    expect(object).toEqual(
      withContainer(
        workerTemplate,
        [...workerTemplate.spec.containers[0].args, '--name', String(i)],
        [{ name: 'DASK_SCHEDULER_ADDRESS', value: address }],
      ),
    );
    if (byPolicy) checkOptions(object, image, policy.worker, props, flow);
  });

  if (found.scheduler) {
    const idle = policy.idleTimeout === undefined ? [] : ['--idle-timeout', `${policy.idleTimeout.toSeconds()}s`];
    const { object } = found.scheduler;
    const schedulerTemplate = withDefaults(template('scheduler'), 'scheduler', cluster, flow);
    expect(object).toEqual(withContainer(schedulerTemplate, ['dask-scheduler', ...idle], []));
    checkOptions(object, object.spec.containers[0].image, policy.scheduler, props, flow);
    for (const other of [found.service, found.budget]) {
      expect(other?.object.metadata).toEqual({ name: cluster, labels: object.metadata.labels, ownerReferences: [owner(flow)] });
    }
  }

  const paths = [...found.workers, found.service, found.budget, found.scheduler].flatMap((call) =>
    call ? [`${call.path}/${call.name}`] : [],
  );
  const deleted = calls.filter(({ verb }) => verb === 'delete').map(({ path }) => path);
  expect([...deleted.slice(0, workers).sort(), ...deleted.slice(workers)]).toEqual([
    ...paths.slice(0, workers).sort(),
    ...paths.slice(workers),
  ]);
  expect(done(calls, flow.namespace)).toEqual(allowed(flow.role));
}

/** What the props say verbatim is in the pod, whatever was between them and it. */
function checkOptions(pod: Manifest, image: string, options: DaskPodOptions = {}, props: FlowJobProps, flow: FlowPod): void {
  const { podAnnotations = {}, podSpec = {}, nodeSelector = {} } = { ...props, ...options };
  const env = Object.entries({ ...props.env, ...options.env }).map(([name, { _source }]) => ({ name, ..._source }));
  expect(pod.spec.containers[0].env).toEqual(expect.arrayContaining(env));
  expect(image).toBe(flow.image);
  expect(pod.metadata.annotations ?? {}).toEqual(podAnnotations);
  expect(pod.spec.nodeSelector ?? {}).toEqual(nodeSelector);
  expect(pod.spec).toMatchObject(podSpec);
}
