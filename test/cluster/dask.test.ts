import { DaskDeployMode, EvictionPolicy, LogLevel } from '../../lib';
import { DaskRun, NOTHING, RESULT, Teams, type Template } from './dask';
import { Cluster } from './harness/cluster';
import { refused, requestsOf, rightsOf, used } from './rights';
import type { Team } from './team';

const cluster = new Cluster();
cluster.takesTurns();
const teams = new Teams(cluster);
const onCluster = cluster.testWith('hostAddress', test.concurrent);
const withAudit = cluster.testWith('auditLog', test.concurrent);

afterAll(async () => {
  await cluster.deleteNamespaces();
  await teams.stop();
});

/** Runs the flow to its end with each template. In the end nothing is left. */
async function expectResults(team: Team, templates: Template[]): Promise<void> {
  const ends = templates.map(async (template) => {
    const run = DaskRun.schedule(team, template, { workers: 2 });
    const result = await run.result();
    await run.leaves(NOTHING);
    return [template, result];
  });
  expect(await Promise.all(ends)).toEqual(templates.map((template) => [template, RESULT]));
}

onCluster('two mapped rounds give the same with the policy, whatever the template, as without it; nothing is left', async () => {
  const plain = await teams.withoutPolicy();
  const truth = await Promise.all((['local', 'V1Pod'] as const).map((template) => DaskRun.schedule(plain, template).result()));
  expect(truth).toEqual([RESULT, RESULT]);
  const { team } = await teams.withPolicy();
  await expectResults(team, ['path', 'dict', 'V1Pod', 'adapt']);
});

const modes = [DaskDeployMode.REMOTE, DaskDeployMode.LOCAL];
for (const deployMode of modes) {
  withAudit(`deploy mode ${deployMode}: a flow run uses each right that it has, is refused none, and leaves nothing`, async () => {
    const mark = await cluster.auditLog.mark();
    const { team, rules } = await teams.withPolicy({ deployMode });
    await expectResults(team, ['none', 'V1Pod']);
    const requests = await requestsOf(cluster, mark, team.flows.name, 'prefect-job-template-dask');
    expect(used(requests)).toEqual(rightsOf(rules));
    expect(refused(requests)).toEqual([]);
  });
}

onCluster('what tasks log on workers arrives to the last line, at the level of their flow run', async () => {
  const { team } = await teams.withPolicy();
  const run = DaskRun.schedule(team, 'none', { logLevel: LogLevel.DEBUG });
  await run.result();
  const lines = ['squares 3', "Task 'gather': Finished task run for task with final state: 'Success'"];
  await team.flows.eventually(() => {
    for (const line of lines) expect(team.log(run.id)).toContain(line);
  });
});

onCluster('onEviction PROTECT: neither flow run nor scheduler nor worker is evicted', async () => {
  const { team } = await teams.withPolicy({}, { onEviction: EvictionPolicy.PROTECT });
  const run = await DaskRun.atWork(team, 'none');
  // Before it has seen the pods, a budget refuses for that reason alone.
  await team.flows.eventually(async () => {
    const { status } = await team.flows.get('poddisruptionbudget', 'prefect-job-template-protect');
    expect(status).toMatchObject({ disruptionsAllowed: 0, expectedPods: 2, currentHealthy: 2 });
  });
  const pods = [await run.pod(), ...(await run.daskPods('scheduler')), ...(await run.daskPods('worker'))];
  expect(pods).toHaveLength(3);
  for (const pod of pods) {
    await expect(team.flows.evict(pod)).rejects.toThrow(/429 Cannot evict pod as it would violate the pod's disruption budget/);
  }
});
