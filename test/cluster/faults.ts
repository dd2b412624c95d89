import { setTimeout as sleep } from 'node:timers/promises';
import type { RunRequest } from '../prefect-server/run-request';
import type { Json } from './harness/api-server';
import { agentPod, jobsOf } from './prefect';
import { GRACE, podAtWork, podOf, type Site, seenAlive } from './site';

export interface Fault {
  readonly name: string;
  /** How long the sweeper's rule for it waits, in seconds; of the fault's flow run, which is gone or finished then. */
  readonly grace: number;
  readonly flow: 'quick' | 'slow' | 'dask_rounds';
  readonly request?: Partial<RunRequest>;
  readonly strike: (site: Site, run: string) => Promise<void>;
}

const kubernetesRun = (options: Json): Partial<RunRequest> => ({
  runConfig: { type: 'KubernetesRun', labels: [], __version__: '1.4.1', ...options },
});

/** A flow of which a sweeper soon knows that its heartbeat beats. */
export const beatsOften = kubernetesRun({ env: { PREFECT__CLOUD__HEARTBEAT_INTERVAL: '5' } });

/** A flow's own Job template, such as a namespace that enforces "restricted" admits. */
export const ownTemplate = (container: Json, podSpec: Json = {}, options: Json = {}) => {
  const pod = { runAsNonRoot: true, runAsUser: 20000, seccompProfile: { type: 'RuntimeDefault' } };
  const { containers = [], ...rest } = podSpec;
  const flow = { name: 'flow', securityContext, ...container };
  const spec = { restartPolicy: 'Never', securityContext: pod, ...rest, containers: [flow, ...containers] };
  const template = { apiVersion: 'batch/v1', kind: 'Job', metadata: {}, spec: { backoffLimit: 0, template: { spec } } };
  return kubernetesRun({ job_template: template, ...options });
};

const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
/** Something beside the flow's container: a proxy, or what fetches data before. */
const sleeper = (name: string, seconds: number, more: Json = {}) => ({
  name,
  image: 'prefecthq/prefect:1.4.1',
  command: ['sleep', `${seconds}`],
  securityContext,
  ...more,
});

/** Longer than any test. */
const FOREVER = 7200;
// The name of each cluster says whose it is; its pods are made from the flow's own V1Pod, which no template reaches. They run as another
// user than a stock flow, whose home they are sent.
export const dask = (seconds: number) => ({
  parameters: { seconds },
  ...kubernetesRun({ env: { DASK_TEMPLATE: 'V1Pod', DASK_WORKERS: '1', DASK_KUBERNETES__NAME: 'dask-{HOSTNAME}-{uuid}', HOME: '/tmp' } }),
});
const unschedulable = kubernetesRun({ cpu_request: '1000' });

const atWork =
  (strike: (site: Site, pod: string, run: string) => Promise<unknown>): Fault['strike'] =>
  async (site, run) => {
    await strike(site, await podAtWork(site, run), run);
  };

const kill = (signal: string) => (site: Site, pod: string) => site.flows.exec(pod, ['pkill', `-${signal}`, '-f', 'prefect']);

/** What holds a flow back for longer than the sweeper waits for one that cannot start, in seconds. */
const LONGER = GRACE.unstartable + 60;

export const FAULTS: Fault[] = [
  { name: 'none: the flow succeeds', grace: GRACE.finished, flow: 'quick', strike: finished },
  {
    name: 'a pip package is missing',
    grace: GRACE.lost,
    flow: 'quick',
    request: kubernetesRun({ env: { EXTRA_PIP_PACKAGES: 'no-such-package==1.0', PIP_NO_INDEX: '1' } }),
    strike: created,
  },
  {
    name: 'the image is missing',
    grace: GRACE.unstartable,
    flow: 'quick',
    request: kubernetesRun({ image: 'registry.example/missing:1' }),
    strike: created,
  },
  {
    name: 'a Secret is missing',
    grace: GRACE.unstartable,
    flow: 'quick',
    request: ownTemplate({ envFrom: [{ secretRef: { name: 'missing' } }] }),
    strike: created,
  },
  {
    name: 'a ConfigMap is missing',
    grace: GRACE.unstartable,
    flow: 'quick',
    request: ownTemplate(
      { volumeMounts: [{ name: 'missing', mountPath: '/missing' }] },
      { volumes: [{ name: 'missing', configMap: { name: 'missing' } }] },
    ),
    strike: created,
  },
  {
    name: 'a Secret is missing, and a native sidecar runs',
    grace: GRACE.unstartable,
    flow: 'quick',
    request: ownTemplate(
      { envFrom: [{ secretRef: { name: 'missing' } }] },
      { initContainers: [sleeper('proxy', 3600, { restartPolicy: 'Always' })] },
    ),
    strike: created,
  },
  {
    name: 'none: a scheduling gate delays the pod',
    grace: GRACE.finished,
    flow: 'quick',
    request: ownTemplate({}, { schedulingGates: [{ name: 'example.com/queue' }] }),
    strike: async (site, run) => {
      const pod = (await podOf(site, run)).metadata.name as string;
      await sleep(LONGER * 1000);
      await site.flows.kubectl(['patch', 'pod', pod, '--type=json', '--patch', '[{"op": "remove", "path": "/spec/schedulingGates"}]']);
      await finished(site, run);
    },
  },
  {
    name: 'none: an init container takes longer than the delay of the rule',
    grace: GRACE.finished,
    flow: 'quick',
    request: ownTemplate({}, { initContainers: [sleeper('fetch', LONGER)] }),
    strike: finished,
  },
  { name: 'no node has room', grace: GRACE.unstartable, flow: 'quick', request: unschedulable, strike: created },
  { name: 'the process is killed (SIGKILL)', grace: GRACE.lost, flow: 'slow', strike: atWork(kill('KILL')) },
  {
    name: 'the process runs out of memory (OOM)',
    grace: GRACE.lost,
    flow: 'quick',
    request: kubernetesRun({ memory_request: '40Mi', memory_limit: '40Mi' }),
    strike: created,
  },
  {
    name: 'the process runs out of memory (OOM), and an injected proxy keeps running',
    // The run is failed, and then its Job is that of a finished run.
    grace: GRACE.lost + GRACE.finished,
    flow: 'quick',
    request: ownTemplate({}, { containers: [sleeper('proxy', 3600)] }, { memory_request: '40Mi', memory_limit: '40Mi' }),
    strike: created,
  },
  { name: 'the pod is evicted', grace: GRACE.lost, flow: 'slow', strike: atWork((site, pod) => site.flows.evict(pod)) },
  {
    name: 'the pod is deleted',
    grace: GRACE.lost,
    flow: 'slow',
    strike: atWork((site, pod) => site.flows.kubectl(['delete', 'pod', pod, '--wait=false'])),
  },
  {
    name: 'the Job is deleted',
    grace: GRACE.lost,
    flow: 'slow',
    request: beatsOften,
    strike: atWork(async (site, _pod, run) => {
      const { flows } = site;
      await seenAlive(site, run);
      for (const { metadata } of await jobsOf(flows, run)) await flows.kubectl(['delete', 'job', metadata.name as string, '--wait=false']);
    }),
  },
  {
    name: 'the run is cancelled while it runs',
    grace: GRACE.cancelling,
    flow: 'slow',
    strike: atWork(async ({ prefect }, _pod, run) => prefect.server.cancel(run)),
  },
  {
    name: 'the run is cancelled, and its process is stuck',
    grace: GRACE.cancelling,
    flow: 'slow',
    strike: atWork(async (site, pod, run) => {
      await kill('STOP')(site, pod);
      site.prefect.server.cancel(run);
    }),
  },
  {
    name: 'the run is cancelled, its main process is stopped, and its heartbeat continues',
    grace: GRACE.cancelling,
    flow: 'slow',
    strike: atWork(async (site, pod, run) => {
      await site.flows.exec(pod, ['pkill', '-STOP', '-f', 'prefect execute']);
      site.prefect.server.cancel(run);
    }),
  },
  {
    name: 'the run is set to Cancelled while it runs',
    grace: GRACE.finished,
    flow: 'slow',
    strike: atWork(async ({ prefect }, _pod, run) => prefect.server.setState(run, 'Cancelled')),
  },
  {
    name: 'the run is set to Cancelled while its pod is Pending',
    grace: GRACE.finished,
    flow: 'quick',
    request: unschedulable,
    strike: async (site, run) => {
      await created(site, run);
      site.prefect.server.setState(run, 'Cancelled');
    },
  },
  { name: 'none: a flow on Dask succeeds', grace: GRACE.finished, flow: 'dask_rounds', request: dask(0), strike: finished },
  {
    name: 'on Dask: the process is killed (SIGKILL)',
    grace: GRACE.lost,
    flow: 'dask_rounds',
    request: dask(FOREVER),
    strike: atWork(kill('KILL')),
  },
  {
    name: 'on Dask: the pod is evicted',
    grace: GRACE.lost,
    flow: 'dask_rounds',
    request: dask(FOREVER),
    strike: atWork((site, pod) => site.flows.evict(pod)),
  },
  // Last, when it has taken all others: a stock agent loses those that it has set to Submitted and makes no Job for.
  {
    name: 'the agent is killed',
    grace: GRACE.finished,
    flow: 'slow',
    request: { parameters: { seconds: 30 } },
    strike: async (site, run) => {
      await podAtWork(site, run);
      const pod = (await agentPod(site.home)).metadata.name as string;
      await site.home.kubectl(['delete', 'pod', pod, '--grace-period=0', '--force']);
      await finished(site, run);
    },
  },
];

async function created(site: Site, run: string): Promise<void> {
  await podOf(site, run);
}

async function finished({ prefect, flows }: Site, run: string): Promise<void> {
  await flows.eventually(() => prefect.finished(run), { timeout: 900_000 });
}

/** Lets a fault strike a flow run, and gives its id. */
export async function suffer(site: Site, { flow, request, strike }: Fault): Promise<string> {
  const run = site.prefect.schedule(flow, request);
  await strike(site, run);
  return run;
}
