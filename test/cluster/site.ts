import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { App, Chart, Testing } from 'cdk8s';
import { DaskWorkerPolicy, type FlowJobTemplateProps, type FlowRunSweeperProps, type PrefectAgentProps } from '../../lib';
import type { KubeObject } from './harness/api-server';
import type { Cluster } from './harness/cluster';
import { eventually } from './harness/eventually';
import type { Namespace } from './harness/namespace';
import { API_KEY, Prefect } from './prefect';
import { requestsOf } from './rights';
import { installSweeper, SHORT } from './sweeper';
import type { Team } from './team';

/** An install: its Prefect API, the namespace of its agent and that of its flow runs. */
export interface Site {
  readonly prefect: Prefect;
  readonly home: Namespace;
  readonly flows: Namespace;
  /** How many passes over the flow runs the sweeper has begun, if there is one. */
  readonly passes?: () => Promise<number>;
}

export interface Install {
  readonly template?: FlowJobTemplateProps;
  readonly agent?: Partial<PrefectAgentProps>;
  readonly sweeper?: Partial<FlowRunSweeperProps>;
}

/** What the CLI installs. */
export async function stockInstall(cluster: Cluster): Promise<Site> {
  const [prefect, ns] = await Promise.all([Prefect.start(cluster), cluster.createNamespace()]);
  const flags = ['--api', prefect.url, '--key', API_KEY, '--rbac', '--namespace', ns.name];
  await ns.apply(execFileSync('prefect', ['agent', 'kubernetes', 'install', ...flags], { encoding: 'utf8' }));
  return { prefect, home: ns, flows: ns };
}

/** A team's agent, with Dask clusters, and its sweeper. */
export async function ourInstall(team: Team, { template, agent, sweeper }: Install = {}): Promise<Required<Site>> {
  const { cluster, home, flows } = team;
  const chart = new Chart(new App(), 'chart', { namespace: flows.name });
  const dask = new DaskWorkerPolicy(chart, 'Dask');
  await cluster.apply(Testing.synth(chart));
  const mark = await cluster.auditLog.mark();
  await Promise.all([
    // It is told of the sweeper, which is in another app.
    team.install({ dask, ...template }, { sweeper: true, ...agent }),
    installSweeper(home, team, { namespaces: [flows.name], ...sweeper }),
  ]);
  return { prefect: team, home, flows, passes: passesOf(cluster, home, mark) };
}

/** How many passes over the flow runs the sweeper of a namespace has begun since the mark. */
export function passesOf(cluster: Cluster, home: Namespace, mark: number): () => Promise<number> {
  return async () => {
    const requests = await requestsOf(cluster, mark, home.name, 'flow-run-sweeper');
    return requests.filter(({ verb, resource }) => verb === 'get' && resource === 'configmaps').length;
  };
}

/** Graces of the sweeper in these tests, in seconds. */
export const GRACE = { finished: 30, cancelling: 30, unstartable: 90, lost: 60, dask: 10 };

const INTERVAL = SHORT.interval.toSeconds();

/** How long a sweeper is waited for at most, in seconds: on a busy machine its passes take long. */
export const PATIENCE = 600;

/**
 * By how many passes nothing may be left: one adds to a delay what has passed since the one before, and the first of a process nothing.
 * Of four, after which a test kills it, two count, because the last one is cut short. Beside them, those that end the run and delete its Job,
 * and what a claim of one that was killed takes.
 */
export const boundOf = (grace: number) => Math.ceil((grace / INTERVAL) * 2) + 12;

/** After how many passes of one process a delay is over, for certain. */
export const passesFor = (grace: number) => Math.ceil(grace / INTERVAL) + 2;

/** Until so many passes have begun since. */
export async function afterPasses(passes: () => Promise<number>, count: number): Promise<void> {
  const before = await passes();
  await eventually(async () => expect(await passes()).toBeGreaterThanOrEqual(before + count), { timeout: 900_000, interval: 2_000 });
}

/** The pod of a flow run, once there is one. */
export async function podOf({ flows }: Site, run: string): Promise<KubeObject> {
  return flows.eventually(
    async () => {
      const pods = await flows.list('pods', `prefect.io/flow_run_id=${run}`);
      expect(pods).toHaveLength(1);
      return pods[0] as KubeObject;
    },
    { interval: 2_000, timeout: 900_000 },
  );
}

/** The pod of a flow run of which a task is at work. */
export async function podAtWork(site: Site, run: string): Promise<string> {
  const { prefect, flows } = site;
  const works = () => {
    const tasks = prefect.server.run(run).task_runs.filter(({ task, state }) => task.slug.startsWith('wait') && state === 'Running');
    if (tasks.length === 0) throw new Error(`no task of it is at work: ${prefect.states(run)}\n${prefect.log(run)}`);
  };
  await flows.eventually(works, { timeout: 900_000 });
  return (await podOf(site, run)).metadata.name as string;
}

/** Until the sweeper has seen that the run shows life: of a run that it never saw alive, whose Job and pod are gone, it cannot tell. */
export async function seenAlive({ home, flows, passes }: Site, run: string): Promise<void> {
  if (!passes) return;
  const entry = async () => (await home.get('configmap', `flow-run-sweeper-ledger-${flows.name}`)).data?.[run] ?? '';
  // The letters are those of lib/sweeper/program/ledger.py: `b` for a heartbeat that is known to beat.
  await flows.eventually(async () => expect(await entry()).toMatch(/^1 \S+ \S+ \S+ ...\S*b/), { timeout: 900_000 });
}

/** What is left of a flow run, and what became of it. */
export interface Outcome {
  readonly objects: string[];
  readonly state: string;
}

/** What there is of a flow run, its Dask clusters included, in whose names is that of its Job. A loop of looks is paced by this. */
export async function outcomeOf({ prefect, flows }: Site, run: string): Promise<Outcome> {
  const { jobs, pods, services, budgets } = await nextLook(flows);
  const ofRun = ({ metadata }: KubeObject) => metadata.labels?.['prefect.io/flow_run_id'] === run;
  const names = [...prefect.log(run).matchAll(/: Job (\S+)/g)].map(([, job]) => job);
  const ofDask = ({ metadata }: KubeObject) => names.some((job) => metadata.labels?.['dask.org/cluster-name']?.startsWith(`dask-${job}-`));
  const objects = [
    jobs.filter(ofRun).map(() => 'Job'),
    pods.filter(ofRun).map(({ status }) => `pod ${status.phase}`),
    pods.filter(ofDask).map(({ metadata, status }) => `${metadata.labels?.['dask.org/component']} ${status.phase}`),
    services.filter(ofDask).map(() => 'Service'),
    budgets.filter(ofDask).map(() => 'PodDisruptionBudget'),
  ];
  return { objects: objects.flat(), state: prefect.server.run(run).state };
}

type Look = Record<'jobs' | 'pods' | 'services' | 'budgets', KubeObject[]>;

const looks = new WeakMap<Namespace, Promise<Look>>();

/** The next look at a namespace, which those share who ask for it meanwhile: 48 flow runs are looked at at once. */
function nextLook(flows: Namespace): Promise<Look> {
  const next = looks.get(flows) ?? sleep(3_000).then(() => look(flows));
  looks.set(flows, next);
  return next;
}

async function look(flows: Namespace): Promise<Look> {
  looks.delete(flows);
  const [jobs, pods, services, budgets] = await Promise.all([
    flows.list('jobs'),
    flows.list('pods'),
    flows.list('services'),
    flows.list('poddisruptionbudgets'),
  ]);
  return { jobs, pods, services, budgets };
}

/** The states of a flow run that starts once and succeeds. */
export const ONCE = ['Scheduled', 'Submitted', 'Running', 'Success'];

const FINISHED = ['Success', 'Failed', 'Cancelled'];

export const isClean = ({ objects, state }: Outcome) => objects.length === 0 && FINISHED.includes(state);

/** Waits until nothing is left of a flow run, or for so many seconds. Says how many passes of the sweeper it took. */
export async function untilClean(site: Site, run: string, patience: number): Promise<{ outcome: Outcome; passes: number }> {
  const before = (await site.passes?.()) ?? 0;
  for (const start = Date.now(); ; ) {
    const outcome = await outcomeOf(site, run);
    const passes = ((await site.passes?.()) ?? 0) - before;
    if (isClean(outcome) || Date.now() - start > patience * 1000) return { outcome, passes };
  }
}
