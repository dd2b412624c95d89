import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from './harness/cluster';
import type { Namespace } from './harness/namespace';
import { agentPod, install, jobsOf, Prefect } from './prefect';
import { Relay } from './relay';

const cluster = new Cluster();
afterAll(() => cluster.deleteNamespaces());

/** The moments of a flow run at which the weather turns. */
const moments = {
  submit: (prefect: Prefect, run: string) => expect(prefect.states(run)).toContain('Submitted'),
  run: (prefect: Prefect, run: string) => expect(prefect.log(run)).toContain('waiting for'),
  // Its task is done, and nothing is left for the flow but to say so.
  end: (prefect: Prefect, run: string) => expect(prefect.server.run(run).task_runs.map(({ state }) => state)).toContain('Success'),
};

const SECONDS = 20;
const OUTAGE = 120_000;

/**
 * What Prefect's own services do ten minutes later with a run that has lost its Job: the Zombie Killer ends its tasks, Lazarus
 * schedules it again. (A `FlowRunSweeper` would not wait so long.)
 */
async function services(prefect: Prefect, run: string, jobs: number): Promise<void> {
  const { state, state_timestamp: since } = prefect.server.run(run);
  if (jobs > 0 || !['Submitted', 'Running'].includes(state) || Date.now() - since.getTime() < 45_000) return;
  prefect.server.zombieKiller(new Date());
  prefect.server.lazarus(new Date());
}

interface Outcome {
  readonly state: string;
  /** How often the task's body ran. */
  readonly executions: number;
  /** How many Jobs of the run there were at once, at most. */
  readonly atOnce: number;
}

/** What becomes of a flow run, in weather of its own, once it has finished and no Job of it is left. */
async function weather(moment: keyof typeof moments, turn: (ns: Namespace, prefect: Prefect) => Promise<void>): Promise<Outcome> {
  const prefect = await Prefect.start(cluster);
  const ns = await cluster.createNamespace({ podSecurity: 'restricted' });
  try {
    await install(ns, prefect);
    const run = prefect.schedule('slow', { labels: ['kube'], parameters: { seconds: SECONDS } });
    await ns.eventually(() => moments[moment](prefect, run), { interval: 50 });
    await turn(ns, prefect);
    let atOnce = 0;
    await ns.eventually(async () => {
      const jobs = (await jobsOf(ns, run)).length;
      atOnce = Math.max(atOnce, jobs);
      await services(prefect, run, jobs);
      prefect.finished(run);
      expect(jobs).toBe(0);
    });
    return { state: prefect.server.run(run).state, executions: prefect.log(run).split(`waiting for ${SECONDS}`).length - 1, atOnce };
  } finally {
    await prefect.stop();
  }
}

async function killAgent(ns: Namespace): Promise<void> {
  await ns.kubectl(['delete', 'pod', (await agentPod(ns)).metadata.name as string, '--grace-period=0', '--force']);
}

async function outage(_ns: Namespace, prefect: Prefect): Promise<void> {
  await prefect.server.pause();
  await sleep(OUTAGE);
  await prefect.server.resume();
}

const onCluster = cluster.testWith('hostAddress');

const everyMoment = ['submit', 'run', 'end'] as const;

onCluster('an agent that is killed while a flow run is submitted, runs or ends, loses none and doubles none', async () => {
  const outcomes = await Promise.all(everyMoment.map((moment) => weather(moment, killAgent)));
  for (const outcome of outcomes) expect(outcome).toEqual({ state: 'Success', executions: 1, atOnce: expect.any(Number) });
  expect(Math.max(...outcomes.map(({ atOnce }) => atOnce))).toBe(1);
});

onCluster('an API that is down for two minutes while a flow run is submitted, runs or ends, loses none and doubles none', async () => {
  const outcomes = await Promise.all(everyMoment.map((moment) => weather(moment, outage)));
  // A flow that Prefect does not answer for so long gives up; it is then Failed, with the reason, or run again, but never two at once.
  for (const { state } of outcomes) expect(['Success', 'Failed']).toContain(state);
  for (const { atOnce } of outcomes) expect(atOnce).toBeLessThanOrEqual(1);
});

onCluster('connections to Kubernetes that fall silent keep neither a flow run from its Job nor a finished Job from its end', async () => {
  const prefect = await Prefect.start(cluster);
  const relay = await Relay.start(cluster);
  try {
    const ns = await cluster.createNamespace({ podSecurity: 'restricted' });
    await install(ns, prefect, relay.props);
    // Its first look at the Jobs has opened a connection.
    await ns.eventually(() => expect(relay.silence()).toBeGreaterThan(0));
    const run = prefect.schedule('quick', { labels: ['kube'] });
    await ns.eventually(() => expect(prefect.finished(run).state).toBe('Success'));
    expect(relay.silence()).toBeGreaterThan(0);
    await ns.eventually(async () => expect(await jobsOf(ns, run)).toEqual([]));
    expect(prefect.states(run)).toEqual(['Scheduled', 'Submitted', 'Running', 'Success']);
  } finally {
    await prefect.stop();
    relay.stop();
  }
});
