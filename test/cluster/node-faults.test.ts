import { EvictionPolicy } from '../../lib';
import { DaskRun, NOTHING, RESULT, Teams } from './dask';
import { holdSection } from './fault-page';
import { Gate } from './gate';
import type { KubeObject } from './harness/api-server';
import { Cluster } from './harness/cluster';
import { eventually } from './harness/eventually';
import { afterPasses, GRACE, isClean, ONCE, type Outcome, outcomeOf, PATIENCE, passesFor, podOf, type Site, untilClean } from './site';
import { GRACE_SECONDS, type InstallName, Installs, onSecondNode } from './two-nodes';

jest.setTimeout(3_600_000);

const cluster = new Cluster();
const onNode = cluster.testWith('secondNode');
const teams = new Teams(cluster);
const servers: { stop(): Promise<void> }[] = [teams];
afterAll(async () => {
  await cluster.deleteNamespaces();
  await Promise.all(servers.map((server) => server.stop()));
});

let installs: Installs;
beforeAll(async () => {
  installs = await Installs.start(cluster);
  servers.push(installs);
}, 1_800_000);

const { PROTECT, FAIL, RUN_AGAIN } = EvictionPolicy;

const patient = { timeout: 900_000, interval: 1_000 };

/** How much longer the sweeper waits for a pod that is terminating, in seconds: LINGERING of lib/sweeper/program/rules.py. */
const LINGERING = 60;

/** Until the sweeper would have ended a run that it takes for lost. */
const afterDelay = ({ passes }: Site) => afterPasses(passes as () => Promise<number>, passesFor(GRACE.lost + GRACE_SECONDS + LINGERING));

afterEach(async () => {
  await cluster.secondNode.heal();
  await cluster.secondNode.uncordon();
});

const cordoned = () =>
  eventually(async () => expect((await cluster.get('node', cluster.secondNode.name)).spec.unschedulable).toBe(true), patient);

interface Row {
  readonly fault: string;
  readonly policy: EvictionPolicy;
  readonly stock: string;
  readonly ours: string;
}
const rows: Row[] = [];

/** What is left, and how often the run has started. */
function inWords({ objects, state }: Outcome, started: number): string {
  const left = [...new Set(objects)].sort().join(', ') || 'nothing';
  const times = started === 1 ? '' : `, started ${started} times`;
  return `${left}; the run ${isClean({ objects: [], state }) ? 'is' : 'stays'} ${state}${times}`;
}

/** Waits until nothing is left of our runs, nor an object of the stock run of the same fault, and adds a row for each of ours. */
async function settle(fault: string, stockRun: string, runs: Partial<Record<EvictionPolicy, string>>): Promise<void> {
  const ends = Object.entries(runs).map(async ([name, run]) => {
    const policy = name as EvictionPolicy;
    const { outcome } = await untilClean(installs.of(policy), run, PATIENCE);
    return { policy, ours: inWords(outcome, installs.starts(policy, run)), isClean: isClean(outcome) };
  });
  const ended = await Promise.all(ends);
  const settled = async () => {
    const outcome = await outcomeOf(installs.of('stock'), stockRun);
    expect(outcome.objects).toEqual([]);
    return outcome;
  };
  const stock = inWords(await eventually(settled, patient), installs.starts('stock', stockRun));
  for (const { policy, ours } of ended) rows.push({ fault, policy, stock, ours });
  expect(ended.filter((end) => !end.isClean)).toEqual([]);
}

onNode('kubectl drain: agents and sweepers move, PROTECT waits, FAIL fails and RUN_AGAIN runs again elsewhere', async () => {
  const { secondNode } = cluster;
  const protect = installs.of(PROTECT);
  const gate = await Gate.start(cluster);
  const [stockRun, stockUnready, failing, repeated, kept] = await Promise.all([
    installs.atWork('stock', gate),
    installs.unreadyStock(gate),
    installs.atWork(FAIL, gate),
    installs.atWork(RUN_AGAIN, gate),
    installs.atWork(PROTECT, gate),
  ]);
  const unready = await installs.unready(PROTECT);
  expect(new Set(await installs.nodesOfControllers())).toEqual(new Set([secondNode.name]));

  let ended = false;
  const drain = secondNode.drain().finally(() => {
    ended = true;
  });
  // In the middle of the move of agents and sweepers. Their pods cannot land on the node any more.
  await cordoned();
  const quick = [PROTECT, FAIL, RUN_AGAIN].map((name) => [name, installs.schedule(name, 'quick')] as const);
  const podsThere = async () => {
    const { body } = await cluster.api.expect('GET', `/api/v1/pods?fieldSelector=spec.nodeName=${secondNode.name}`);
    return body.items.map(({ metadata }: KubeObject) => metadata.labels?.['prefect.io/flow_run_id'] ?? metadata.name);
  };
  await protect.flows.eventually(async () => expect(await podsThere()).toEqual([kept]), patient);
  expect([installs.stateOf(PROTECT, kept), ended]).toEqual(['Running', false]);
  await eventually(() => expect(installs.starts(RUN_AGAIN, repeated)).toBe(2), patient);
  expect(secondNode.flowRuns()).toEqual([kept]);
  expect((await podOf(installs.of(RUN_AGAIN), repeated)).spec.nodeName).not.toBe(secondNode.name);
  gate.open();
  const { code, stderr } = await drain;
  expect([code, stderr]).toEqual([0, expect.stringContaining('disruption budget')]);
  expect(protect.prefect.states(kept)).toEqual(ONCE);

  await settle('`kubectl drain`', stockRun, { [PROTECT]: kept, [FAIL]: failing, [RUN_AGAIN]: repeated });
  await settle('`kubectl drain`, and the pod is not ready', stockUnready, { [PROTECT]: unready });
  for (const [name, run] of quick) {
    await eventually(() => expect([installs.stateOf(name, run), installs.starts(name, run)]).toEqual(['Success', 1]), patient);
  }
});

onNode('kubectl drain of the node of a Dask scheduler waits for the flow, which succeeds; nothing is left of it', async () => {
  const { secondNode } = cluster;
  const gate = await Gate.start(cluster);
  const { team } = await teams.withPolicy({ scheduler: onSecondNode });
  const run = await DaskRun.atWork(team, 'none', { seconds: 0, gate: gate.url });
  const nodeOf = async (pod: string) => (await team.flows.get('pod', pod)).spec.nodeName;
  const [scheduler = ''] = await run.daskPods('scheduler');
  expect(await nodeOf(scheduler)).toBe(secondNode.name);
  for (const pod of [await run.pod(), ...(await run.daskPods('worker'))]) expect(await nodeOf(pod)).not.toBe(secondNode.name);

  // Its pods belong to the flow's pod, which is no controller.
  const { code, stderr } = await secondNode.drain();
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining(`declare no controller (use --force to override): ${team.flows.name}/${scheduler}`),
  ]);
  let [said, ended] = ['', false];
  const onStderr = (text: string) => {
    said += text;
  };
  const drain = secondNode.drain(['--force'], { onStderr }).finally(() => {
    ended = true;
  });
  // KubeCluster's own budget protects the scheduler.
  await eventually(() => expect(said).toContain("Cannot evict pod as it would violate the pod's disruption budget"), patient);
  expect([(await team.flows.get('pod', scheduler)).status.phase, ended]).toEqual(['Running', false]);
  gate.open();
  expect((await drain).code).toBe(0);
  expect(await run.result()).toBe(RESULT);
  await run.leaves(NOTHING);
});

onNode('cut off the API server alone, no run starts twice; cut off everything, FAIL fails and RUN_AGAIN overlaps', async () => {
  const { secondNode } = cluster;
  const [soon, late] = [await Gate.start(cluster), await Gate.start(cluster)];
  const [stockShort, shortFailing, shortRepeated, stockLong, failing, repeated] = await Promise.all([
    installs.atWork('stock', soon),
    installs.atWork(FAIL, soon),
    installs.atWork(RUN_AGAIN, soon),
    installs.atWork('stock', late),
    installs.atWork(FAIL, late),
    installs.atWork(RUN_AGAIN, late),
  ]);
  const shortly = { [FAIL]: shortFailing, [RUN_AGAIN]: shortRepeated };
  await secondNode.cutOff('apiServer');
  await eventually(async () => expect(await secondNode.isLost()).toBe(true), patient);
  // Kubernetes wants the pods gone, and the sweepers see that.
  const noticed = async (name: EvictionPolicy, run: string) => {
    const site = installs.of(name);
    await site.flows.eventually(async () => expect((await podOf(site, run)).metadata.deletionTimestamp).toBeDefined(), patient);
    await afterDelay(site);
  };
  await Promise.all([noticed(FAIL, failing), noticed(RUN_AGAIN, repeated)]);
  soon.open();
  for (const [name, run] of [...Object.entries(shortly), ['stock', stockShort]] as [InstallName, string][]) {
    await eventually(() => expect(installs.of(name).prefect.states(run)).toEqual(ONCE), patient);
  }
  expect([installs.stateOf(FAIL, failing), installs.stateOf(RUN_AGAIN, repeated), installs.starts(RUN_AGAIN, repeated)]).toEqual([
    'Running',
    'Running',
    1,
  ]);

  await secondNode.cutOff('everything');
  await eventually(() => {
    expect([installs.stateOf(FAIL, failing), installs.starts(RUN_AGAIN, repeated)]).toEqual(['Failed', 2]);
  }, patient);
  late.open();
  await eventually(() => expect(installs.stateOf(RUN_AGAIN, repeated)).toBe('Success'), patient);
  // Their first processes have noticed nothing, and shall not.
  expect(secondNode.flowRuns()).toEqual(expect.arrayContaining([failing, repeated]));
  late.close();

  await secondNode.heal();
  await eventually(async () => expect(await secondNode.isLost()).toBe(false), patient);
  await eventually(() => expect(secondNode.flowRuns()).toEqual([]), patient);
  await settle('the node is cut off the API server, and its flow goes on', stockShort, shortly);
  await settle('the node is cut off everything, and its flow goes on', stockLong, { [FAIL]: failing, [RUN_AGAIN]: repeated });
});

onNode('without power, the runs of the node fail or run again, without heartbeats when the node is back', async () => {
  const { secondNode } = cluster;
  const gate = await Gate.start(cluster);
  const [stockRun, stockSilent, failing, repeated, failingSilent, repeatedSilent] = await Promise.all([
    installs.atWork('stock', gate),
    installs.atWork('stock', gate, false),
    installs.atWork(FAIL, gate),
    installs.atWork(RUN_AGAIN, gate),
    installs.atWork(FAIL, gate, false),
    installs.atWork(RUN_AGAIN, gate, false),
  ]);
  await secondNode.powerOff();
  gate.open();
  await eventually(() => {
    expect([installs.stateOf(FAIL, failing), installs.stateOf(RUN_AGAIN, repeated)]).toEqual(['Failed', 'Success']);
  }, patient);
  await Promise.all([FAIL, RUN_AGAIN].map((name) => afterDelay(installs.of(name))));
  expect([
    installs.stateOf(FAIL, failingSilent),
    installs.stateOf(RUN_AGAIN, repeatedSilent),
    installs.starts(RUN_AGAIN, repeatedSilent),
  ]).toEqual(['Running', 'Running', 1]);
  await secondNode.powerOn();
  await settle('the node loses power', stockRun, { [FAIL]: failing, [RUN_AGAIN]: repeated });
  await settle('the node loses power, and the flow sends no heartbeats', stockSilent, {
    [FAIL]: failingSilent,
    [RUN_AGAIN]: repeatedSilent,
  });
});

onNode('docs/faults.md has these rows', () => {
  const nameOf = (policy: EvictionPolicy) => Object.entries(EvictionPolicy).find(([, value]) => value === policy)?.[0];
  const line = ({ fault, policy, stock, ours }: Row) => `| ${fault} | \`${nameOf(policy)}\` | ${stock} | ${ours} |`;
  holdSection(
    'Faults of a node',
    `\`npm run test:cluster -- test/cluster/node-faults.test.ts\` measures this table in one run on two nodes, with both installs side by side.

- Each flow runs on the second node, and may run again on the first. Kubernetes deletes its pod 3 seconds after it takes the node for lost; the
  default is 5 minutes. The delay of the sweeper's rule \`lostRuns\` is one minute.
- The agents and sweepers of this library are on the drained node too. Flows that are scheduled during the drain succeed, each started once.
- The columns show what is left after a drain, or when a lost node is back.

| fault | \`onEviction\` | stock install | this library |
| --- | --- | --- | --- |
${rows.map(line).join('\n')}

A process that is cut off everything cannot be told from one that is gone. \`RUN_AGAIN\` then starts a second one while the first goes on. In no
other row do two processes of one flow run overlap.`,
  );
  return Promise.resolve();
});
