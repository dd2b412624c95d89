import { Document } from '../docs/documents';
import type { KubeObject } from './harness/api-server';
import { Cluster } from './harness/cluster';
import type { Namespace } from './harness/namespace';
import { createNamespace, jobsOf, Prefect3, podsOf, templateIn, workerIn } from './prefect3';
import { refused, requestsOf, right, rightsOf, single } from './rights';

const cluster = new Cluster();
let prefect: Prefect3;

beforeAll(async () => {
  prefect = await Prefect3.start(cluster);
});
afterAll(async () => {
  await prefect?.stop();
  await cluster.deleteNamespaces();
});

const ACCOUNTS = { worker: 'prefect-worker', observer: 'prefect-worker-observer' };
type Account = keyof typeof ACCOUNTS;

/** A worker or an observer that lacks one right, and what that right is for. */
interface Without {
  readonly ns: Namespace;
  /** The rights of those requests that were refused. */
  readonly refused: () => Promise<string[]>;
  /** How often it used a right. */
  readonly used: (right: string) => Promise<number>;
  /** Waits until it has been refused for the first time. */
  readonly untilRefused: () => Promise<void>;
}

const stateOf = async (run: string): Promise<string> => (await prefect.run(run)).state.name;

/** A flow run whose Job is that of a worker, except for its command. */
async function submitted(ns: Namespace, state: string, command: string, podSpec: object = {}): Promise<string> {
  const run = await (await prefect.deploy(ns.name, 'quick'))({}, { type: state });
  const job = templateIn(prefect, ns).effectiveJob({ id: run, workPoolName: ns.name }) as unknown as KubeObject;
  const { spec } = job.spec.template;
  Object.assign(spec, podSpec);
  Object.assign(spec.containers[0], { command: ['sh', '-c', command], args: [] });
  await ns.kubectl(['create', '--filename', '-'], JSON.stringify(job));
  return run;
}

const deleteJob = (ns: Namespace, run: string) => ns.kubectl(['delete', 'jobs', '--selector', `prefect.io/flow-run-id=${run}`]);

/** The events of pods of a flow run, as Prefect has them. */
async function podEvents(run: string): Promise<string[]> {
  const filter = { event: { prefix: ['prefect.kubernetes.pod.'] }, related: { id: [`prefect.flow-run.${run}`] } };
  const { events }: { events: { event: string }[] } = await prefect.ask('POST', '/events/filter', { filter });
  return events.map(({ event }) => event);
}

/** Waits until the observer has ended because it was refused, and is there again. */
async function endedAndBack(ns: Namespace): Promise<void> {
  await ns.eventually(async () => {
    const [pod] = await podsOf(ns, ACCOUNTS.observer);
    const { lastState, state } = pod?.status.containerStatuses[0] ?? {};
    expect(lastState?.terminated?.exitCode).toBe(1);
    expect(state?.running).toBeTruthy();
    expect(await ns.logs(pod?.metadata.name as string, '--previous')).toMatch(/The observer ends: .*403/);
  });
}

/** What is lost without each right, by the words of docs/worker.md. */
const LOST: Record<string, (without: Without) => Promise<void>> = {
  'worker create batch/jobs': async ({ ns }) => {
    const run = await (await prefect.deploy(ns.name, 'quick'))();
    await prefect.untilState(ns, run, 'Crashed');
    expect(await jobsOf(ns, run)).toEqual([]);
  },

  'worker delete batch/jobs': async ({ ns, untilRefused }) => {
    const run = await (await prefect.deploy(ns.name, 'quick'))({ image: 'registry.example/missing:1' });
    await ns.eventually(async () => expect((await prefect.run(run)).infrastructure_pid).toBeTruthy());
    await prefect.ask('POST', `/flow_runs/${run}/set_state`, { state: { type: 'CANCELLING' } });
    await untilRefused();
    await prefect.untilState(ns, run, 'Cancelled');
    const [job] = await jobsOf(ns, run);
    expect(job?.metadata.deletionTimestamp).toBeUndefined();
    expect(job?.status.active).toBe(1);
  },

  'observer get batch/jobs': async ({ ns, used, untilRefused }) => {
    const run = await submitted(ns, 'RUNNING', 'exec sleep 3600');
    await ns.eventually(async () => expect(await used('watch batch/jobs')).toBeGreaterThan(0));
    await deleteJob(ns, run);
    await untilRefused();
    await ns.eventually(async () => {
      expect(await ns.logs(`deployment/${ACCOUNTS.observer}`)).toContain('Failed to confirm deletion of job');
    });
    expect(await stateOf(run)).toBe('Running');
  },

  'observer list batch/jobs': async ({ ns }) => {
    const run = await submitted(ns, 'RUNNING', 'exit 1');
    await ns.eventually(async () => expect((await jobsOf(ns, run))[0]?.status.failed).toBe(1));
    await endedAndBack(ns);
    expect(await stateOf(run)).toBe('Running');
  },

  'observer watch batch/jobs': async ({ ns, used, untilRefused }) => {
    const run = await submitted(ns, 'RUNNING', 'exec sleep 3600');
    await untilRefused();
    await deleteJob(ns, run);
    const lists = await used('list batch/jobs');
    await endedAndBack(ns);
    // It looks at all Jobs again, but this one is no longer there.
    await ns.eventually(async () => expect(await used('list batch/jobs')).toBeGreaterThan(lists));
    expect(await stateOf(run)).toBe('Running');
  },

  'observer list core/pods': async ({ ns }) => {
    const run = await submitted(ns, 'PENDING', 'exit', { nodeSelector: { 'example.com/none': 'here' } });
    await endedAndBack(ns);
    expect(await stateOf(run)).toBe('Pending');
    expect(await podEvents(run)).toEqual([]);
  },

  'observer watch core/pods': async ({ ns, used, untilRefused }) => {
    const early = await submitted(ns, 'RUNNING', 'exit 0');
    await untilRefused();
    const unseen = async (): Promise<string> => {
      const lists = await used('list core/pods');
      const run = await submitted(ns, 'RUNNING', 'exit 0');
      await ns.eventually(async () => expect((await jobsOf(ns, run))[0]?.status.succeeded).toBe(1));
      await deleteJob(ns, run);
      return (await used('list core/pods')) === lists ? run : unseen();
    };
    const run = await unseen();
    await endedAndBack(ns);
    await ns.eventually(async () => expect(await podEvents(early)).not.toEqual([]));
    expect(await podEvents(run)).toEqual([]);
  },

  'observer get core/pods/log': async ({ ns, untilRefused }) => {
    const run = await submitted(ns, 'PENDING', 'echo last words; exit 1');
    await untilRefused();
    await prefect.untilState(ns, run, 'Crashed');
    expect(await prefect.log(run)).not.toContain('last words');
  },
};

/** The permissions of the table in docs/worker.md. */
function documented(): string[] {
  const groups: Record<string, string> = { Jobs: 'batch/jobs', pods: 'core/pods', 'pods/log': 'core/pods/log' };
  const rows = new Document('docs/worker.md').text.matchAll(/^\| (worker|observer) \| `(\w+)` on (\S+) \|/gm);
  return [...rows].map(([, account, verb, resource = '']) => `${account} ${verb} ${groups[resource]}`).sort();
}

const roleOf = (manifests: KubeObject[], account: Account): KubeObject =>
  manifests.find(({ kind, metadata }) => kind === 'Role' && metadata.name === `${ACCOUNTS[account]}-rbac`) as KubeObject;

/** Lets a worker or an observer start without a right, in spite of its init container, which says what is missing. */
async function start(account: Account, missing: string): Promise<Without> {
  const ns = await createNamespace(cluster);
  await prefect.ask('POST', '/work_pools/', { name: ns.name, type: 'kubernetes' });
  const manifests = workerIn(prefect, ns);
  const role = roleOf(manifests, account);
  role.rules = single(role.rules).filter((rule) => rightsOf([rule])[0] !== missing);
  const deployments = manifests.filter(({ kind }) => kind === 'Deployment');
  const deployment = deployments.find(({ metadata }) => metadata.name === ACCOUNTS[account]) as KubeObject;
  const [step] = deployment.spec.template.spec.initContainers;
  step.args = ['sh', '-c', '"$@" || true', 'sh', ...step.args];
  const mark = await cluster.auditLog.mark();
  await ns.apply(manifests.filter((object) => object.kind !== 'Deployment' || object === deployment));
  const requests = () => requestsOf(cluster, mark, ns.name, ACCOUNTS[account]);
  const refusedRights = async () => [...new Set(refused(await requests()).map(right))];
  return {
    ns,
    refused: refusedRights,
    used: async (needed) => (await requests()).filter((request) => right(request) === needed && request.code < 400).length,
    untilRefused: () => ns.eventually(async () => expect(await refusedRights()).toEqual([missing])),
  };
}

test('the documentation, the Roles and this test have the same permissions', () => {
  const manifests = workerIn(prefect, cluster.existingNamespace('any'));
  const granted = (Object.keys(ACCOUNTS) as Account[]).flatMap((account) =>
    rightsOf(roleOf(manifests, account).rules).map((one) => `${account} ${one}`),
  );
  expect(documented()).toEqual(granted.sort());
  expect(Object.keys(LOST).sort()).toEqual(granted);
});

cluster.testWith('auditLog')('without one of its permissions, a worker or observer lacks what the documentation says', async () => {
  const outcomes = await Promise.allSettled(
    Object.entries(LOST).map(async ([key, isLost]) => {
      const [, account, missing] = /^(\w+) (.*)$/.exec(key) as unknown as [string, Account, string];
      const without = await start(account, missing);
      const { ns } = without;
      await isLost(without);
      await without.untilRefused();
      const [verb, resource] = missing.split(' ') as [string, string];
      const name = resource.replace('batch/jobs', 'jobs.batch').replace('core/', '');
      const log = await ns.logs(`deployment/${ACCOUNTS[account]}`, '--container', 'check-access');
      expect(log).toContain(`system:serviceaccount:${ns.name}:${ACCOUNTS[account]} may not ${verb} ${name} in namespace ${ns.name}:`);
      await ns.kubectl(['delete', 'deployments,jobs', '--all', '--wait=false']);
    }),
  );
  const failures = outcomes.flatMap((outcome, i) =>
    outcome.status === 'rejected' ? [`without ${Object.keys(LOST)[i]}: ${outcome.reason.message}`] : [],
  );
  expect(failures.join('\n\n')).toBe('');
});
