import { setTimeout as sleep } from 'node:timers/promises';
import { holdSection } from './fault-page';
import { FAULTS, suffer } from './faults';
import { Gate } from './gate';
import { atOnce } from './harness/at-once';
import { Cluster } from './harness/cluster';
import { API_KEY } from './prefect';
import { requestsOf } from './rights';
import {
  boundOf,
  isClean,
  ONCE,
  type Outcome,
  ourInstall,
  outcomeOf,
  PATIENCE,
  podAtWork,
  type Site,
  stockInstall,
  untilClean,
} from './site';
import { killSweeper } from './sweeper';
import { Team } from './team';

const cluster = new Cluster();
cluster.takesTurns();
const servers: { stop(): Promise<void> }[] = [];
afterAll(async () => {
  await cluster.deleteNamespaces();
  await Promise.all(servers.map((server) => server.stop()));
});

/**
 * How many lists of Jobs the agent of a stock install has asked for without any change, when its leftovers are counted. It looks at its Jobs
 * once a minute, 20 at a time, so these are two looks at least.
 */
const LISTS = 4;

/** After so many passes the sweeper is killed. */
const PASSES = 4;

/** A stock install, and how many lists of Jobs its agent has asked for. */
interface StockSite extends Site {
  readonly lists: () => Promise<number>;
}

/** What the CLI installs, with what dask-kubernetes' documentation tells to grant. */
async function stockWithDask(): Promise<StockSite> {
  const mark = await cluster.auditLog.mark();
  const site = await stockInstall(cluster);
  servers.push(site.prefect);
  const apiGroup = 'rbac.authorization.k8s.io';
  const metadata = { name: 'dask' };
  await site.flows.apply([
    {
      apiVersion: `${apiGroup}/v1`,
      kind: 'Role',
      metadata,
      rules: [
        { apiGroups: [''], resources: ['pods', 'pods/log', 'services'], verbs: ['*'] },
        { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: ['*'] },
      ],
    },
    {
      apiVersion: `${apiGroup}/v1`,
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup, kind: 'Role', name: 'dask' },
      subjects: [{ kind: 'ServiceAccount', name: 'default' }],
    },
  ]);
  const lists = async () => {
    const requests = await requestsOf(cluster, mark, site.home.name, 'default');
    return requests.filter(({ verb, resource }) => verb === 'list' && resource === 'jobs').length;
  };
  return { ...site, lists };
}

/** The healthy flows, a quarter of them on Dask. */
const FLOWS = Array.from({ length: 20 }, (_, i) => (i % 4 === 0 ? 'dask_rounds' : 'slow'));

/** A flow that is at work until the gate is open. */
async function healthyAtWork(site: Site, flow: string, gate: string): Promise<string> {
  const env = { DASK_TEMPLATE: 'V1Pod', DASK_WORKERS: '1' };
  const runConfig = { type: 'KubernetesRun', labels: [], __version__: '1.4.1', env };
  const request = flow === 'dask_rounds' ? { parameters: { numbers: [1], gate }, runConfig } : { parameters: { seconds: 0, gate } };
  const run = site.prefect.schedule(flow, request);
  await podAtWork(site, run);
  return run;
}

/** A stock pod that Kubernetes starts again may start a second cluster before the agent deletes its Job, so of objects alike one counts. */
const kindsOf = ({ objects }: Outcome) => [...new Set(objects)].sort();

/** What is left, in words: `Job, pod Running; the run stays Running`. */
function describeOutcome(outcome: Outcome): string {
  const { state } = outcome;
  const left = kindsOf(outcome).join(', ') || 'nothing';
  return ['Success', 'Failed', 'Cancelled'].includes(state) ? `${left}; the run is ${state}` : `${left}; the run stays ${state}`;
}

async function untilSettled(site: StockSite, run: string): Promise<Outcome> {
  for (let last = '', since = 0; ; ) {
    const outcome = await outcomeOf(site, run);
    const [now, lists] = [describeOutcome(outcome), await site.lists()];
    if (now === last && lists >= since + LISTS) return outcome;
    if (now !== last) since = lists;
    last = now;
  }
}

function table(stock: Outcome[], ours: Outcome[]): string {
  const total = (outcomes: Outcome[]) =>
    `${outcomes.flatMap(kindsOf).length} objects, ${outcomes.filter((outcome) => !isClean({ ...outcome, objects: [] })).length} runs`;
  const rows = FAULTS.map(
    ({ name }, i) => `| ${name} | ${describeOutcome(stock[i] as Outcome)} | ${describeOutcome(ours[i] as Outcome)} |`,
  );
  return `\`npm run test:cluster -- test/cluster/faults.test.ts\` measures this table in one run on a real cluster, with both installs side by side.

- The stock install is the output of \`prefect agent kubernetes install\` of Prefect 1.4.1. The column shows what is left when
  nothing has changed while its agent looked at its Jobs twice at least.
- "This library" is a \`PrefectAgent\` with a \`DaskWorkerPolicy\` and a \`FlowRunSweeper\`. The test kills the sweeper after every fourth pass. The column
  shows what is left after as many passes as the delay of the rule allows.
- Meanwhile 20 healthy flows are at work, 5 of them on Dask. All of them succeed when the last fault is over.
- Identical objects count once, because Kubernetes may restart a pod of the stock install, which then starts a second Dask cluster.

| fault | stock install | this library |
| --- | --- | --- |
${rows.join('\n')}
| **total left over** | **${total(stock)}** | **${total(ours)}** |`;
}

/** How many flow runs of an install are on their way at once: each starts Prefect, and so many that nothing answers in time is no fault of theirs. */
const AT_ONCE = 8;

/** As Promise.all, a few at once. When one has failed, nothing goes on after this. */
async function all<T, R>(items: T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const settled = await atOnce(AT_ONCE, items, (item) => Promise.allSettled([work(item)]));
  return Promise.all(settled.flat().map((result) => (result.status === 'rejected' ? Promise.reject(result.reason) : result.value)));
}

cluster.testWith('auditLog')('after each fault, nothing is left and no run is stuck, while healthy flows succeed', async () => {
  const team = await Team.start(cluster, API_KEY);
  servers.push(team);
  const [stock, ours] = await Promise.all([stockWithDask(), ourInstall(team)]);
  const gate = await Gate.start(cluster);
  let over = false;
  const killing = (async () => {
    for (let last = 0; !over; await sleep(1_000)) {
      const passes = await ours.passes();
      if (passes < last + PASSES) continue;
      await killSweeper(ours.home);
      last = passes;
    }
  })();
  const ofOurs = async () => {
    const healthy = await all(FLOWS, (flow) => healthyAtWork(ours, flow, gate.url));
    return { healthy, ended: await all(FAULTS, async (fault) => untilClean(ours, await suffer(ours, fault), PATIENCE)) };
  };
  const ofStock = all(FAULTS, async (fault) => untilSettled(stock, await suffer(stock, fault)));
  const [left, { healthy, ended }] = await Promise.all([ofStock, ofOurs()]).finally(() => {
    over = true;
    return killing;
  });
  console.info(
    FAULTS.map(
      ({ name, grace }, i) =>
        `${name}: stock ${describeOutcome(left[i] as Outcome)} | ${ended[i]?.passes} passes (at most ${boundOf(grace)}) ${describeOutcome(ended[i]?.outcome as Outcome)}`,
    ).join('\n'),
  );
  gate.open();
  for (const id of healthy) {
    await ours.flows.eventually(() => ours.prefect.finished(id), { timeout: 900_000 });
    expect(ours.prefect.states(id)).toEqual(ONCE);
  }
  holdSection(
    'Faults of one flow run',
    table(
      left,
      ended.map(({ outcome }) => outcome),
    ),
  );
  expect(ended.filter(({ outcome }) => !isClean(outcome))).toEqual([]);
  expect(FAULTS.filter(({ grace }, i) => (ended[i]?.passes ?? 0) > boundOf(grace)).map(({ name }) => name)).toEqual([]);
  const isGone = async (id: string) => expect((await outcomeOf(ours, id)).objects).toEqual([]);
  await Promise.all(healthy.map((id) => ours.flows.eventually(() => isGone(id))));
});
