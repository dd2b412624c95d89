import { setTimeout as sleep } from 'node:timers/promises';
import { EnvValue } from '../../lib';
import { PROMTOOL } from '../promtool';
import { holdSection } from './fault-page';
import { beatsOften, dask, ownTemplate } from './faults';
import { Gate } from './gate';
import type { KubeObject } from './harness/api-server';
import { Cluster } from './harness/cluster';
import { run as runProgram } from './harness/run';
import { API_KEY, createKey, jobsOf, TENANT } from './prefect';
import { Relay } from './relay';
import { requestsOf } from './rights';
import {
  boundOf,
  GRACE,
  type Install,
  isClean,
  ONCE,
  ourInstall,
  outcomeOf,
  PATIENCE,
  podAtWork,
  podOf,
  type Site,
  seenAlive,
  untilClean,
} from './site';
import { scrape, sweeperIn } from './sweeper';
import { Team } from './team';

/** How long Prefect answers 429, in seconds. */
const LIMITED = process.env.FULL ? 600 : 60;

/** What is waited for at most, in seconds: Prefect's own client pauses for minutes. */
const PATIENT = process.env.FULL ? 3 * PATIENCE : PATIENCE;

jest.setTimeout(4 * PATIENT * 1000);

const cluster = new Cluster();
const withAudit = cluster.testWith('auditLog', test.concurrent);

cluster.takesTurns();

const servers: { stop(): unknown }[] = [];
afterAll(async () => {
  await cluster.deleteNamespaces();
  await Promise.all(servers.map((server) => server.stop()));
});

const patient = { timeout: PATIENT * 1000, interval: 2_000 };

/** A fault of all that an installation needs, and how it shows. */
interface Fault {
  readonly install?: Install;
  readonly strike: () => unknown;
  /** Until the sweeper has felt it. Default: until passes have failed. */
  readonly lasts?: (site: Site) => Promise<unknown>;
  /** The state in which a run stays that is scheduled meanwhile. Default: nobody takes it. */
  readonly waiting?: 'Submitted' | 'Success';
  readonly repair: () => unknown;
  /** How often the sweeper starts again. */
  readonly restarts?: number;
}

const FAULTS: Record<string, (team: Team) => Fault | Promise<Fault>> = {
  // Flow runs have a key of their own: they read it when their pod starts, and would never learn of the next one.
  'the API key is revoked, and only then changed in its Secret': async ({ server, home, flows }) => {
    server.addKey(TENANT, 'key-of-the-flows');
    await createKey(flows, 'key-of-the-flows');
    return {
      strike: () => server.revokeKey(TENANT, API_KEY),
      repair: () => {
        server.addKey(TENANT, 'next-key');
        return createKey(home, 'next-key');
      },
      restarts: 1,
    };
  },
  'Prefect answers 429 to every request': ({ server }) => {
    const rate = (name: string) => `PREFECT__CLOUD__RATE_LIMITING__${name}`;
    const naps = { [rate('BACKOFF_S')]: 5, [rate('BACKOFF_MULTIPLIER')]: 0, [rate('MAX_RETRIES')]: 60 };
    const env = Object.fromEntries(Object.entries(naps).map(([name, value]) => [name, EnvValue.of(`${value}`)]));
    return {
      install: process.env.FULL ? {} : { agent: { env }, sweeper: { env }, template: { env } },
      strike: () => server.pause(429),
      lasts: async ({ home }) => {
        await sleep(LIMITED * 1000);
        const logs = async () => expect(await home.logs('deployment/flow-run-sweeper')).toContain('Rate limit encountered');
        await home.eventually(logs, patient);
      },
      repair: () => server.resume(),
    };
  },
  'the API server of Kubernetes is down, for agent and sweeper': async () => {
    const relay = await Relay.start(cluster);
    servers.push(relay);
    return {
      install: { agent: relay.props, sweeper: relay.props },
      strike: () => relay.close(),
      waiting: 'Submitted',
      repair: () => relay.reopen(),
    };
  },
  "Prefect's API is down": ({ server }) => ({
    strike: () => server.pause(),
    // One pass repeats its request for a minute.
    lasts: (site) => failedPasses(site, 1),
    repair: () => server.resume(),
  }),
  "the sweeper's ledger is deleted": (team) => {
    const { home, flows } = team;
    const isLedger = ({ kind, metadata }: KubeObject) => kind === 'ConfigMap' && metadata.name === ledger;
    const ledger = `flow-run-sweeper-ledger-${flows.name}`;
    return {
      strike: () => home.delete('configmap', ledger),
      waiting: 'Success',
      repair: () => home.apply(sweeperIn(home, team, { namespaces: [flows.name] }).filter(isLedger)),
    };
  },
};

/** A metric of the sweeper for its flow namespace. */
function metric(metrics: string, { flows }: Site, name: string, labels = ''): number {
  const line = `flow_run_sweeper_${name}{flow_namespace="${flows.name}"${labels}} `;
  const value = metrics.split('\n').find((each) => each.startsWith(line));
  if (value === undefined) throw new Error(`no ${line} in\n${metrics}`);
  return Number(value.slice(line.length));
}

const errorsOf = async (site: Site) => metric(await scrape(site.home), site, 'errors_total', ',rule="pass"');

async function failedPasses(site: Site, count: number): Promise<void> {
  const before = await errorsOf(site);
  await site.home.eventually(async () => expect(await errorsOf(site)).toBeGreaterThanOrEqual(before + count), patient);
}

/** Until a pass has succeeded after that time. */
const succeeded = (site: Site, before: number) =>
  site.home.eventually(
    async () => expect(metric(await scrape(site.home), site, 'last_success_timestamp_seconds')).toBeGreaterThan(before),
    patient,
  );

// Go builds it once, and not at the same time for each row.
beforeAll(() => runProgram(PROMTOOL[0], [...PROMTOOL.slice(1), '--version']), patient.timeout);

/** The metrics, which Prometheus takes as they are. */
async function checkedScrape(site: Site): Promise<string> {
  const metrics = await scrape(site.home);
  const [command, ...args] = PROMTOOL;
  expect(await runProgram(command, [...args, 'check', 'metrics'], { input: metrics })).toBe('');
  return metrics;
}

const restartsOf = async ({ home }: Site, app: string) =>
  (await home.list('pods', `app=${app}`)).map(({ status }) => status.containerStatuses[0].restartCount);

/** The rows of the table, by fault. */
const rows = new Map<string, string>();

async function endure(name: string, team: Team, fault: Fault): Promise<void> {
  const mark = await cluster.auditLog.mark();
  const site = await ourInstall(team, fault.install);
  const { prefect, flows, home } = site;
  const ill = { evicted: prefect.schedule('slow'), jobDeleted: prefect.schedule('slow', beatsOften) };
  await Promise.all([podAtWork(site, ill.evicted), podAtWork(site, ill.jobDeleted)]);
  await seenAlive(site, ill.jobDeleted);
  // Until Prefect is back, since its client gives up after a minute without an answer.
  const gate = await Gate.start(cluster);
  const healthy = [
    prefect.schedule('slow', { parameters: { seconds: 0, gate: gate.url } }),
    prefect.schedule('dask_rounds', { ...dask(0), parameters: { numbers: [1], gate: gate.url } }),
  ];
  await Promise.all(healthy.map((run) => podAtWork(site, run)));
  // Last, because its delay is running from now on.
  const unstartable = prefect.schedule('quick', ownTemplate({ envFrom: [{ secretRef: { name: 'missing' } }] }));
  await podOf(site, unstartable);

  await fault.strike();
  const meanwhile = prefect.schedule('quick');
  await flows.evict((await podOf(site, ill.evicted)).metadata.name as string);
  for (const { metadata } of await jobsOf(flows, ill.jobDeleted))
    await flows.kubectl(['delete', 'job', metadata.name as string, '--wait=false']);
  await (fault.lasts ?? ((site) => failedPasses(site, 3)))(site);
  const { waiting = 'Scheduled' } = fault;
  await flows.eventually(() => expect(prefect.server.run(meanwhile).state).toBe(waiting), patient);
  const last = metric(await checkedScrape(site), site, 'last_success_timestamp_seconds');
  await fault.repair();

  await succeeded(site, last);
  gate.open();
  const graces = { [ill.evicted]: GRACE.lost, [ill.jobDeleted]: GRACE.lost, [unstartable]: GRACE.unstartable };
  const ended = await Promise.all(
    Object.entries(graces).map(async ([run, grace]) => ({ ...(await untilClean(site, run, PATIENT)), bound: boundOf(grace) })),
  );
  const well = [...healthy, meanwhile];
  for (const run of well) {
    await flows.eventually(async () => {
      prefect.finished(run);
      expect((await outcomeOf(site, run)).objects).toEqual([]);
    }, patient);
  }
  const histories = well.map((run) => prefect.states(run));
  const untouched = histories.filter((states) => `${states}` === `${ONCE}`).length;
  const left = ended.flatMap(({ outcome }) => outcome.objects).length;
  const stuck = ended.filter(({ outcome }) => !isClean({ ...outcome, objects: [] })).length;
  rows.set(name, `| ${name} | ${untouched} of ${well.length} | ${left} objects, ${stuck} runs |`);
  console.info(`${name}: ${ended.map(({ passes, bound }) => `${passes} passes (at most ${bound})`).join(', ')}`);
  expect(ended.filter(({ passes, bound }) => passes > bound)).toEqual([]);
  expect(ended.map(({ outcome }) => outcome)).toEqual(ended.map(() => ({ objects: [], state: 'Failed' })));
  expect(histories).toEqual(well.map(() => ONCE));
  const created = (await requestsOf(cluster, mark, home.name, 'prefect-agent')).filter(
    ({ verb, resource, code }) => verb === 'create' && resource === 'jobs' && code === 201,
  );
  expect(created).toHaveLength(ended.length + well.length);
  expect(await restartsOf(site, 'prefect-agent')).toEqual([0]);
  expect(await restartsOf(site, 'flow-run-sweeper')).toEqual([fault.restarts ?? 0]);
  const metrics = await checkedScrape(site);
  expect(metric(metrics, site, 'runs_corrected_total', ',state="Failed"')).toBe(ended.length);
}

for (const [name, faultOf] of Object.entries(FAULTS)) {
  withAudit(`${name}: nothing is left, no run is stuck, and no healthy run is touched`, async () => {
    const team = await Team.start(cluster, API_KEY);
    servers.push(team);
    await endure(name, team, await faultOf(team));
  });
}

cluster.testWith('auditLog')('the table of the documentation has what was measured', async () => {
  holdSection(
    'Faults of the whole installation',
    `\`npm run test:cluster -- test/cluster/installation-faults.test.ts\` measures this table on a real cluster. Each fault has an install of this library
to itself: a \`PrefectAgent\` with a \`DaskWorkerPolicy\`, and a \`FlowRunSweeper\`.

- Two healthy flows run before, during and after the fault, one of them on Dask. A third one is scheduled during the fault.
- During the fault, the pod of a flow run is evicted, and the Job of another one is deleted. A third one cannot start, because a Secret is missing.
- The fault lasts until passes of the sweeper have failed. The answer 429 lasts a minute, with short pauses of Prefect's client, and with \`FULL=1\` ten
  minutes, with its own pauses.
- The last column shows what is left of the other three after as many passes as the delay of the rule allows, counted from the first pass that succeeds.

| fault | healthy flow runs that succeed, each started once | left over |
| --- | --- | --- |
${Object.keys(FAULTS)
  .map((name) => rows.get(name) ?? `| ${name} | not measured | |`)
  .join('\n')}`,
  );
});
