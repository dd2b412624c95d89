import { randomUUID } from 'node:crypto';
import { App, Chart, Duration } from 'cdk8s';
import { FlowJobTemplate, PrefectAgent } from '../../lib';
import type { Json, KubeObject } from './harness/api-server';
import { atOnce } from './harness/at-once';
import { Cluster } from './harness/cluster';
import type { Namespace } from './harness/namespace';
import { API_KEY, createKey, Prefect } from './prefect';
import { requestsOf } from './rights';
import { installSweeper } from './sweeper';

const cluster = new Cluster();
let prefect: Prefect;
afterAll(async () => {
  await prefect?.stop();
  await leaveNothing();
}, 1_800_000);
// After that: hooks run in this order, and the last one ends the turn.
cluster.takesTurns();

const JOBS = process.env.FULL ? 5_000 : 1_000;
const PODS = 4 * JOBS;
/** What the stock agent is given. */
const STOCK_JOBS = JOBS / 5;

const CREATED_AT_ONCE = 16;

/**
 * Flow runs that run, as far as Prefect knows, and the Job that each has. They are somebody else's to manage: Kubernetes' own controller
 * would be busy with them for minutes, and so keep every other test waiting.
 */
function runningJobs(ns: Namespace, count: number): Json[] {
  const chart = new Chart(new App(), 'chart', { namespace: ns.name });
  const agent = new PrefectAgent(chart, 'Agent', { api: prefect.api, jobTemplate: new FlowJobTemplate(chart, 'Jobs') });
  return Array.from({ length: count }, () => {
    const id = prefect.server.scheduleRun({ flow: 'many', path: '/flows/many.py', tasks: [] });
    prefect.server.setState(id, 'Running');
    const job = agent.effectiveJob({ id }) as Json;
    job.metadata.name = `prefect-job-${randomUUID().slice(0, 8)}`;
    job.spec.managedBy = 'example.com/nobody';
    return job;
  });
}

/**
 * A pod that no scheduler takes, with a controller: for one without, that of Jobs would look through all Jobs, and so keep every other test
 * waiting.
 */
const idlePod = ({ spec }: Json, name: string, labels: Record<string, string>, { apiVersion, kind, metadata }: Json) => ({
  metadata: { name, labels, ownerReferences: [{ apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true }] },
  spec: { ...spec.template.spec, schedulerName: 'nobody' },
});

/** What a kubelet says of a pod whose containers run: a flow run that is Running has one. */
const started = ({ spec }: Json) => ({
  phase: 'Running',
  containerStatuses: spec.containers.map(({ name, image }: Json) => ({
    name,
    image,
    imageID: '',
    ready: true,
    restartCount: 0,
    state: { running: {} },
  })),
});

/** Creates the Jobs, the flow's pod of each, which runs, and workers of a Dask cluster for the rest, which wait for a node. */
async function createJobsAndPods(ns: Namespace, jobs: Json[]): Promise<void> {
  const pods = `/api/v1/namespaces/${ns.name}/pods`;
  const created = await createAll(`/apis/batch/v1/namespaces/${ns.name}/jobs`, jobs);
  const flowPods = await createAll(
    pods,
    created.map((job) => idlePod(job, `${job.metadata.name}-abcde`, job.spec.template.metadata.labels, job)),
  );
  await atOnce(CREATED_AT_ONCE, flowPods, (pod) =>
    cluster.api.expect('PUT', `${pods}/${pod.metadata.name}/status`, { ...pod, status: started(pod) }),
  );
  const workers = flowPods.flatMap((flowPod, i) => {
    const cluster = `dask-${flowPod.metadata.name}-${randomUUID().slice(0, 10)}`;
    const labels = {
      'dask.org/cluster-name': cluster,
      'dask.org/component': 'worker',
      'cdk8s-prefect/flow-pod': flowPod.metadata.name,
    };
    return Array.from({ length: PODS / JOBS - 1 }, (_, worker) => idlePod(created[i], `${cluster}-${worker}`, labels, flowPod));
  });
  await createAll(pods, workers);
}

/** Deletes all of it, and waits until a Job is seen to its end: until then controllers are busy with pods that are gone. */
async function leaveNothing(): Promise<void> {
  await cluster.deleteNamespaces({ wait: true });
  const ns = await cluster.createNamespace();
  const container = { name: 'main', image: 'prefecthq/prefect:1.4.1', command: ['true'] };
  const spec = { template: { spec: { restartPolicy: 'Never', containers: [container] } } };
  await ns.apply([{ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'last' }, spec }]);
  await ns.eventually(async () => expect((await ns.get('job', 'last')).status.succeeded).toBe(1));
  await cluster.deleteNamespaces();
}

/** Creates objects, and gives them as they are stored. */
async function createAll(path: string, objects: Json[]): Promise<Json[]> {
  return (await atOnce(CREATED_AT_ONCE, objects, (object) => cluster.api.expect('POST', path, object))).map(({ body }) => body);
}

/** What manage_jobs of the agent of Prefect 1.4.1 takes, in seconds: it asks about each Job alone. */
const MANAGE_JOBS = `
import time
from prefect.agent.kubernetes import KubernetesAgent
agent = KubernetesAgent(namespace="NAMESPACE", delete_finished_jobs=False)
started = time.time()
agent.manage_jobs()
print("seconds", time.time() - started)
`;

async function stockPass(ns: Namespace): Promise<number> {
  const apiGroup = 'rbac.authorization.k8s.io';
  const rules = [
    { apiGroups: ['batch'], resources: ['jobs'], verbs: ['list'] },
    { apiGroups: [''], resources: ['pods', 'events'], verbs: ['list'] },
  ];
  await ns.apply([
    { apiVersion: `${apiGroup}/v1`, kind: 'Role', metadata: { name: 'stock' }, rules },
    {
      apiVersion: `${apiGroup}/v1`,
      kind: 'RoleBinding',
      metadata: { name: 'stock' },
      roleRef: { apiGroup, kind: 'Role', name: 'stock' },
      subjects: [{ kind: 'ServiceAccount', name: 'default' }],
    },
  ]);
  const env = { PREFECT__BACKEND: 'cloud', PREFECT__CLOUD__API: prefect.url, PREFECT__CLOUD__API_KEY: API_KEY };
  const { log } = await ns.runPod('stock', {
    image: 'prefecthq/prefect:1.4.1',
    args: ['python3', '-c', MANAGE_JOBS.replace('NAMESPACE', ns.name)],
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
  });
  // Only to be told: how long it takes says more of the machine.
  return Number(/^seconds (.*)$/m.exec(log)?.[1]);
}

cluster.testWith('auditLog')(`a pass over ${JOBS} Jobs and ${PODS} pods takes pages, not Jobs`, async () => {
  prefect = await Prefect.start(cluster);
  const [home, flows, stock] = await Promise.all([cluster.createNamespace(), cluster.createNamespace(), cluster.createNamespace()]);
  await createJobsAndPods(flows, runningJobs(flows, JOBS));
  await createAll(`/apis/batch/v1/namespaces/${stock.name}/jobs`, runningJobs(stock, STOCK_JOBS));
  await createKey(home);

  const callsBefore = prefect.server.calls.length;
  const mark = await cluster.auditLog.mark();
  const props = { namespaces: [flows.name], interval: Duration.minutes(5) };
  await installSweeper(home, prefect, props);
  const kubernetesCalls = (await requestsOf(cluster, mark, home.name, 'flow-run-sweeper')).length;
  const prefectCalls = prefect.server.calls.length - callsBefore;
  const [pod] = await home.list('pods', 'app=flow-run-sweeper');
  const inSweeper = async (script: string) => (await home.exec((pod as KubeObject).metadata.name as string, ['sh', '-c', script])).stdout;
  const metrics = await inSweeper(
    'python3 -c "import urllib.request as u; print(u.urlopen(\'http://127.0.0.1:8080/metrics\').read().decode())"',
  );
  const peak = await inSweeper('grep VmHWM /proc/$(pgrep -o -f ^python3.*sweeper.py)/status');
  const seconds = Number(/^flow_run_sweeper_pass_seconds_sum\{.*\} (.*)$/m.exec(metrics)?.[1]);
  const mebibytes = Number(/(\d+) kB/.exec(peak)?.[1]) / 1024;

  const stockCallsBefore = prefect.server.calls.length;
  const stockSeconds = await stockPass(stock);
  const stockCalls = prefect.server.calls.length - stockCallsBefore;
  console.info(
    `sweeper, ${JOBS} Jobs and ${PODS} pods: ${seconds} s, ${mebibytes.toFixed(0)} MiB, ${kubernetesCalls} + ${prefectCalls} calls; ` +
      `manage_jobs of the stock agent, ${STOCK_JOBS} Jobs: ${stockSeconds} s, ${stockCalls} GraphQL calls`,
  );

  // One that found the Lease new, and waited for it, and one over all.
  expect(metrics).toMatch(/^flow_run_sweeper_pass_seconds_count\{.*\} 2$/m);
  expect(Object.keys((await home.get('configmap', `flow-run-sweeper-ledger-${flows.name}`)).data)).toHaveLength(JOBS);
  expect(await home.logs('deployment/flow-run-sweeper')).toMatch(/^\[.*its Lease is held by an earlier pod of this sweeper\n?$/);
  // Pages of 500 of Jobs and pods, runs a hundred at a time, and what does not depend on their number.
  expect(kubernetesCalls + prefectCalls).toBeLessThanOrEqual((JOBS + PODS) / 500 + JOBS / 100 + 25);
  // Each run has a pod that runs, so nothing is asked about task runs: only for the runs, a hundred at a time.
  expect(prefectCalls).toBe(JOBS / 100);
  expect(mebibytes).toBeLessThanOrEqual(200);
  // The sweeper asks for pages, the agent for each Job.
  expect(stockCalls).toBeGreaterThanOrEqual(STOCK_JOBS);
});
