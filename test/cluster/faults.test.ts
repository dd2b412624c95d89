import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { App, Chart, Testing } from 'cdk8s';
import { DaskWorkerPolicy } from '../../lib';
import { FAULTS, isClean, type Outcome, outcomeOf, type Site, suffer } from './faults';
import { Cluster } from './harness/cluster';
import { API_KEY, Prefect } from './prefect';
import { installSweeper, killSweeper } from './sweeper';
import { Team } from './team';

jest.setTimeout(900_000);

const cluster = new Cluster();
cluster.takesTurns();
const servers: { stop(): Promise<void> }[] = [];
afterAll(async () => {
  await cluster.deleteNamespaces();
  await Promise.all(servers.map((server) => server.stop()));
});

const DOCUMENT = join(__dirname, '../../docs/faults.md');

/** How long after a fault its leftovers are counted, in seconds, where nothing removes them. */
const LATER = 200;
/** How long after the grace of its rule nothing may be left, in seconds. */
const BOUND = 60;

/** What the CLI installs, with what dask-kubernetes' documentation tells to grant. */
async function stockInstall(): Promise<Site> {
  const [prefect, ns] = await Promise.all([Prefect.start(cluster), cluster.createNamespace()]);
  servers.push(prefect);
  const flags = ['--api', prefect.url, '--key', API_KEY, '--rbac', '--namespace', ns.name];
  await ns.apply(execFileSync('prefect', ['agent', 'kubernetes', 'install', ...flags], { encoding: 'utf8' }));
  const apiGroup = 'rbac.authorization.k8s.io';
  const metadata = { name: 'dask' };
  await ns.apply([
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
  return { prefect, home: ns, flows: ns };
}

async function ourInstall(): Promise<Site> {
  const team = await Team.start(cluster, API_KEY);
  servers.push(team);
  const chart = new Chart(new App(), 'chart', { namespace: team.flows.name });
  const dask = new DaskWorkerPolicy(chart, 'Dask');
  await cluster.apply(Testing.synth(chart));
  await team.install({ dask });
  await installSweeper(team.home, team, { namespaces: [team.flows.name] });
  return { prefect: team, home: team.home, flows: team.flows };
}

/** Flows that run throughout, a quarter of them on Dask. */
function scheduleHealthy({ prefect }: Site): string[] {
  const env = { DASK_TEMPLATE: 'V1Pod', DASK_WORKERS: '1' };
  const runConfig = { type: 'KubernetesRun', labels: [], __version__: '1.4.1', env };
  return Array.from({ length: 20 }, (_, i) =>
    i % 4 === 0
      ? prefect.schedule('dask_rounds', { parameters: { seconds: 60 }, runConfig })
      : prefect.schedule('slow', { parameters: { seconds: 240 } }),
  );
}

/** A stock pod that Kubernetes starts again may start a second cluster before the agent deletes its Job, so of objects alike one counts. */
const kindsOf = ({ objects }: Outcome) => [...new Set(objects)].sort();

/** What is left, in words: `Job, pod Running; the run stays Running`. */
function describeOutcome(outcome: Outcome): string {
  const { state } = outcome;
  const left = kindsOf(outcome).join(', ') || 'nothing';
  return ['Success', 'Failed', 'Cancelled'].includes(state) ? `${left}; the run is ${state}` : `${left}; the run stays ${state}`;
}

function table(stock: Outcome[], ours: Outcome[]): string {
  const total = (outcomes: Outcome[]) =>
    `${outcomes.flatMap(kindsOf).length} objects, ${outcomes.filter((outcome) => !isClean({ ...outcome, objects: [] })).length} runs`;
  const rows = FAULTS.map(
    ({ name }, i) => `| ${name} | ${describeOutcome(stock[i] as Outcome)} | ${describeOutcome(ours[i] as Outcome)} |`,
  );
  return `# What is left after a fault

Written by \`test/cluster/faults.test.ts\`, from one run on a real cluster with both installs side by side: the stock one is what
\`prefect agent kubernetes install\` of Prefect 1.4.1 makes, ours a \`PrefectAgent\` with a \`DaskWorkerPolicy\` and a \`FlowRunSweeper\`, which
is killed every 20 seconds, while 20 healthy flows run, 5 of them on Dask, that all succeed. Of the stock install it is what is left ${LATER}
seconds after the fault; of ours, ${BOUND} seconds after the grace of the rule. Of objects alike one is named: a pod of the stock install that
Kubernetes starts again may start a second Dask cluster.

| fault | stock install | ours |
| --- | --- | --- |
${rows.join('\n')}
| **left over in all** | **${total(stock)}** | **${total(ours)}** |
`;
}

/** As Promise.all, but nothing goes on when one has failed. */
async function all<T>(promises: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

cluster.testWith('hostAddress')('after each fault, nothing is left and no run is stuck, while healthy flows succeed', async () => {
  const [stock, ours] = await Promise.all([stockInstall(), ourInstall()]);
  const healthy = scheduleHealthy(ours);
  let over = false;
  const killing = (async () => {
    while (!over) {
      await sleep(20_000);
      await killSweeper(ours.home);
    }
  })();
  const [left, ended] = await Promise.all([
    all(FAULTS.map((fault) => suffer(stock, fault, LATER))),
    all(FAULTS.map((fault) => suffer(ours, fault, fault.grace + BOUND + 60))),
  ]).finally(() => {
    over = true;
    return killing;
  });
  console.info(
    FAULTS.map(
      ({ name, grace }, i) =>
        `${name}: stock ${describeOutcome(left[i]?.outcome as Outcome)} | ${ended[i]?.seconds} s (grace ${grace}) ${describeOutcome(ended[i]?.outcome as Outcome)}`,
    ).join('\n'),
  );
  for (const id of healthy) {
    await ours.flows.eventually(() => ours.prefect.finished(id), { timeout: 400_000 });
    expect(ours.prefect.states(id)).toEqual(['Scheduled', 'Submitted', 'Running', 'Success']);
  }
  const text = table(
    left.map(({ outcome }) => outcome),
    ended.map(({ outcome }) => outcome),
  );
  if (process.env.CDK8S_PREFECT_WRITE_DOCS) writeFileSync(DOCUMENT, text);
  expect(text).toBe(readFileSync(DOCUMENT, 'utf8'));
  expect(ended.filter(({ outcome }) => !isClean(outcome))).toEqual([]);
  expect(ended.map(({ seconds }, i) => seconds - (FAULTS[i]?.grace ?? 0)).filter((late) => late > BOUND)).toEqual([]);
  for (const id of healthy) {
    await ours.flows.eventually(async () => expect((await outcomeOf(ours, id)).objects).toEqual([]));
  }
});
