import { DaskDeployMode } from '../../lib';
import { DaskRun, NOTHING, RESULT, Teams, type Template } from './dask';
import { Gate } from './gate';
import { Cluster } from './harness/cluster';
import type { Team } from './team';

const cluster = new Cluster();
cluster.takesTurns();
const teams = new Teams(cluster);
// They wait, for agents and kubelets, more than they compute.
const onCluster = cluster.testWith('hostAddress', test.concurrent);

afterAll(async () => {
  await cluster.deleteNamespaces();
  await teams.stop();
});

let started: Promise<Team> | undefined;
/** A team, with a policy and an agent, that several tests share. */
function shared(): Promise<Team> {
  started ??= teams.withPolicy().then(({ team }) => team);
  return started;
}

/** Ends the flow's process without a chance to close anything. */
const kill = async (run: DaskRun) => run.kill(await run.pod(), 'prefect execute');
const evict = async (run: DaskRun) => run.team.flows.evict(await run.pod());
const deleteJob = (run: DaskRun) => run.deleteJob();
const cancel = (run: DaskRun) => run.team.server.cancel(run.id);

/** Its workers belong to nobody: one that has ended stays. */
const ONE_WORKER = { alive: [], ended: ['worker Succeeded'] };

const faults = [
  { name: 'SIGKILL of the flow', strike: kill, left: { none: NOTHING, V1Pod: ONE_WORKER } },
  // These leave the flow time to close its cluster.
  { name: "eviction of the flow's pod", strike: evict, left: { none: NOTHING, V1Pod: NOTHING } },
  { name: "deletion of the flow's Job", strike: deleteJob, left: { none: NOTHING, V1Pod: NOTHING } },
  { name: 'cancelling of the flow run', strike: cancel, left: { none: NOTHING, V1Pod: NOTHING } },
];

for (const { name, strike, left } of faults) {
  onCluster(`${name}: nothing of its Dask cluster runs, no Service and no PodDisruptionBudget is left`, async () => {
    const team = await shared();
    const ends = Object.entries(left).map(async ([template, remains]) => {
      const run = await DaskRun.atWork(team, template as Template);
      await strike(run);
      await run.leaves(remains);
    });
    await Promise.all(ends);
  });
}

onCluster('deploy mode local, SIGKILL of the flow: nothing is left', async () => {
  const { team } = await teams.withPolicy({ deployMode: DaskDeployMode.LOCAL });
  const run = await DaskRun.atWork(team, 'none');
  await kill(run);
  await run.leaves(NOTHING);
});

onCluster('cancelling of a flow run whose cluster cannot start: nothing is left', async () => {
  const { team } = await teams.withPolicy({ scheduler: { nodeSelector: { 'example.com/pool': 'of-no-nodes' } } });
  const run = DaskRun.schedule(team, 'none');
  await team.flows.eventually(async () => expect((await run.remains()).alive).toEqual(['scheduler Pending']));
  await cancel(run);
  await run.leaves(NOTHING);
});

onCluster('SIGKILL of a worker: Dask gives its task to another, and in the end nothing is left', async () => {
  const team = await shared();
  const gate = await Gate.start(cluster);
  const run = await DaskRun.atWork(team, 'none', { workers: 2, seconds: 0, gate: gate.url });
  const workers = async () => (await run.remains()).alive.filter((object) => object.startsWith('worker'));
  await team.flows.eventually(async () => expect(await workers()).toEqual(['worker Running', 'worker Running']));
  const [worker = ''] = await run.daskPods('worker');
  await run.kill(worker, 'dask-worker');
  gate.open();
  expect(await run.result()).toBe(RESULT);
  await run.leaves(NOTHING);
});

onCluster('SIGKILL of the scheduler: nothing is left', async () => {
  const team = await shared();
  const run = await DaskRun.atWork(team, 'none');
  const [scheduler = ''] = await run.daskPods('scheduler');
  await run.kill(scheduler, 'dask-scheduler');
  await run.leaves(NOTHING);
});

describe('where no agent runs', () => {
  /** A run at work whose agent has gone since. */
  async function orphan(template: Template): Promise<DaskRun> {
    const { team } = await teams.withPolicy();
    const run = await DaskRun.atWork(team, template);
    await team.home.delete('deployment', 'prefect-agent');
    return run;
  }

  onCluster('deletion of the Job: nothing is left', async () => {
    const run = await orphan('none');
    await run.deleteJob();
    await run.leaves(NOTHING);
  });

  onCluster('SIGKILL of the flow: scheduler and worker end by themselves; the rest goes with the Job', async () => {
    const run = await orphan('none');
    await kill(run);
    const ended = ['scheduler Succeeded', 'worker Succeeded'];
    await run.leaves({ alive: ['PodDisruptionBudget', 'Service'], ended });
    // A drain may take what is left of it, budget or not.
    for (const pod of [...(await run.daskPods('scheduler')), ...(await run.daskPods('worker'))]) await run.team.flows.evict(pod);
    await run.deleteJob();
    await run.leaves(NOTHING);
  });
});
