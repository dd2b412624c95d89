import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from './harness/cluster';
import type { Namespace } from './harness/namespace';
import { agentPod, install, jobsOf, Prefect } from './prefect';

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

/** Where nobody else would: what the server's Lazarus does after ten minutes with a run that no Job was made for. */
async function raise(ns: Namespace, prefect: Prefect, run: string): Promise<void> {
  const submitted = prefect.server.history(run).at(-1);
  const waited = Date.now() - (submitted?.timestamp.getTime() ?? Date.now());
  if (prefect.server.run(run).state === 'Submitted' && waited > 45_000 && (await jobsOf(ns, run)).length === 0)
    prefect.server.lazarus(new Date());
}

/** A flow run in weather of its own; gives it when it has finished and nothing is left of it. */
async function weather(
  moment: keyof typeof moments,
  turn: (ns: Namespace, prefect: Prefect) => Promise<void>,
): Promise<{ state: string; executions: number }> {
  const prefect = await Prefect.start(cluster);
  const ns = await cluster.createNamespace({ podSecurity: 'restricted' });
  try {
    await install(ns, prefect);
    const run = prefect.schedule('slow', { labels: ['kube'], parameters: { seconds: SECONDS } });
    await ns.eventually(() => moments[moment](prefect, run), { timeout: 180_000, interval: 50 });
    await turn(ns, prefect);
    await ns.eventually(
      async () => {
        await raise(ns, prefect, run);
        prefect.finished(run);
        expect(await jobsOf(ns, run)).toEqual([]);
      },
      { timeout: 420_000 },
    );
    return { state: prefect.server.run(run).state, executions: prefect.log(run).split(`waiting for ${SECONDS}`).length - 1 };
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

onCluster('an agent that is killed while a flow run is submitted, runs or ends, loses none and doubles none', async () => {
  const results = await Promise.all((['submit', 'run', 'end'] as const).map((moment) => weather(moment, killAgent)));
  expect(results).toEqual(Array(3).fill({ state: 'Success', executions: 1 }));
});

onCluster('an API that is down for two minutes while a flow run is submitted, runs or ends, loses none and doubles none', async () => {
  const results = await Promise.all((['submit', 'run', 'end'] as const).map((moment) => weather(moment, outage)));
  // A flow gives up when Prefect has not answered for a minute or two: it has then Failed, with the reason, and not silently.
  for (const { state, executions } of results) {
    expect(['Success', 'Failed']).toContain(state);
    expect(executions).toBeLessThanOrEqual(1);
  }
});
