import { EnvValue } from '../../lib';
import type { KubeObject } from './harness/api-server';
import type { AuditEvent } from './harness/audit-log';
import { Cluster } from './harness/cluster';
import type { Namespace } from './harness/namespace';
import { type Answer, createAuth, createNamespace, install, jobsOf, MARKER, Prefect3, podsOf, rolledOut, workerIn } from './prefect3';
import { refused, requestsOf, right, rightsOf } from './rights';

/** Submissions during a rollout. */
const SUBMISSIONS = process.env.FULL ? 200 : 50;

const cluster = new Cluster();
const onCluster = cluster.testWith('hostAddress');
let prefect: Prefect3;

beforeAll(async () => {
  prefect = await Prefect3.start(cluster);
});
afterAll(async () => {
  await prefect?.stop();
  await cluster.deleteNamespaces();
});

const roleOf = (manifests: KubeObject[], name: string): KubeObject =>
  manifests.find(({ kind, metadata }) => kind === 'Role' && metadata.name === `${name}-rbac`) as KubeObject;

describe('a worker whose flow runs have a namespace of their own', () => {
  let home: Namespace;
  let flows: Namespace;
  let mark: number;
  const made = (mark: string, template: object = {}) =>
    workerIn(prefect, home, { template: { flowNamespace: flows.name, env: { MARK: EnvValue.of(mark) }, ...template } });

  onCluster('a flow run completes, and the next one has what is new in the template', async () => {
    [home, flows] = await Promise.all([createNamespace(cluster), createNamespace(cluster)]);
    mark = await cluster.auditLog.mark();
    await install(cluster, home, made('one'));
    const create = await prefect.deploy(home.name, 'quick');
    const first = await create();
    await prefect.untilState(flows, first, 'Completed');
    await install(cluster, home, made('two'));
    const second = await create();
    await prefect.untilState(flows, second, 'Completed');
    await flows.eventually(async () => {
      expect(await prefect.log(first)).toContain('MARK=one');
      expect(await prefect.log(second)).toContain('MARK=two');
    });
    // The record of the first worker is gone: it removed it.
    expect(await prefect.ask('POST', `/work_pools/${home.name}/workers/filter`, {})).toHaveLength(1);
  });

  cluster.testWith('auditLog')('worker and observer use each right that they have, and are refused nothing', async () => {
    const quick = await prefect.deploy(home.name, 'quick');
    const slow = await prefect.deploy(home.name, 'slow');
    // It ends before Prefect 3 starts: the observer reads its log.
    const crashing = await quick({ image: 'prefecthq/prefect:1.4.1' });
    // It never starts, and is cancelled: the worker deletes its Job.
    const cancelled = await quick({ image: 'registry.example/missing:1' });
    const running = await slow();
    const cancel = async () => {
      expect((await prefect.run(cancelled)).infrastructure_pid).toBeTruthy();
      await prefect.ask('POST', `/flow_runs/${cancelled}/set_state`, { state: { type: 'CANCELLING' } });
    };
    await flows.eventually(cancel);
    await prefect.untilState(flows, running, 'Running');
    // Its Job is deleted under it: the observer looks whether it is gone.
    for (const { metadata } of await jobsOf(flows, running))
      await flows.kubectl(['delete', 'job', metadata.name as string, '--cascade=orphan']);
    await Promise.all([
      prefect.untilState(flows, crashing, 'Crashed'),
      prefect.untilState(flows, cancelled, 'Cancelled'),
      prefect.untilState(flows, running, 'Crashed'),
    ]);
    await flows.kubectl(['delete', 'pods', '--selector', `prefect.io/flow-run-id=${running}`, '--wait=false']);
    const manifests = made('two');
    for (const name of ['prefect-worker', 'prefect-worker-observer']) {
      const requests = async (): Promise<AuditEvent[]> =>
        (await requestsOf(cluster, mark, home.name, name)).filter(({ resource }) => resource !== 'selfsubjectaccessreviews');
      const granted = rightsOf(roleOf(manifests, name).rules);
      // A Job that is gone, and a log that is not there, were asked for with the right to do so.
      const usedRights = async () => {
        const all = await requests();
        return [...new Set(all.filter((request) => !refused([request]).length).map(right))].sort();
      };
      await flows.eventually(async () => expect(await usedRights()).toEqual(granted));
      expect(refused(await requests())).toEqual([]);
    }
    await flows.eventually(async () => expect(await prefect.log(crashing)).toContain('Container logs from container'));
  });

  onCluster('the auth string is in Secrets alone, Events and logs included', async () => {
    const encoded = Buffer.from(MARKER).toString('base64').slice(0, -2);
    for (const ns of [home, flows]) {
      const kinds = (await ns.kubectl(['api-resources', '--verbs=list', '--namespaced', '--output=name'])).trim().split('\n');
      const lists = kinds.filter((kind) => kind !== 'secrets' && !kind.includes('metrics'));
      const objects = await ns.kubectl(['get', lists.join(','), '--output=json', '--ignore-not-found']);
      expect(objects).toContain(ns === home ? 'PREFECT_API_AUTH_STRING' : 'prefect.io/flow-run-id');
      const logs: string[] = [];
      for (const { metadata } of await ns.list('pods')) {
        logs.push((await ns.outcome(['logs', metadata.name as string, '--all-containers', '--prefix'])).stdout);
      }
      for (const text of [objects, ...logs]) {
        expect(text.includes(MARKER)).toBe(false);
        expect(text.includes(encoded)).toBe(false);
      }
    }
  });

  onCluster('a paused pool is a line in the log, and the worker is ready', async () => {
    await prefect.ask('PATCH', `/work_pools/${home.name}`, { is_paused: true });
    await home.kubectl(['delete', 'pods', '--selector', 'app=prefect-worker']);
    await rolledOut(home);
    const log = await home.logs('deployment/prefect-worker', '--all-containers');
    expect(log).toMatch(/work pool .* is currently paused/s);
    expect(log).toContain('unchanged; it is paused, so its runs wait');
    await prefect.ask('PATCH', `/work_pools/${home.name}`, { is_paused: false });
  });

  onCluster(`of ${SUBMISSIONS} submissions during a rollout none is doubled or left`, async () => {
    // Their pods wait for a node that is not there: what is measured is the submission.
    const template = (mark: string) => made(mark, { nodeSelector: { 'example.com/none': 'here' } });
    await install(cluster, home, template('three'));
    const create = await prefect.deploy(home.name, 'quick');
    const runs: string[] = [];
    const jobsBefore = (await flows.list('jobs', 'prefect.io/flow-run-id')).length;
    const before = await home.eventually(async () => {
      const all = await podsOf(home, 'prefect-worker');
      expect(all).toHaveLength(1);
      return all[0]?.metadata.name as string;
    });
    const said = home.logs(before, '--follow');
    const rollout = flows.eventually(
      async () => {
        expect(await flows.list('jobs', 'prefect.io/flow-run-id')).not.toHaveLength(jobsBefore);
        await cluster.apply(template('four'));
        // Sooner than the rollout does it: in the middle of the submissions.
        await home.outcome(['delete', 'pod', before, '--wait=false']);
      },
      { interval: 100 },
    );
    for (let i = 0; i < SUBMISSIONS; i++) runs.push(await create());
    await rollout;
    expect(await said).toMatch(/finishing [1-9]\d* submission/);
    // A server with SQLite answers 503 to many at once.
    await flows.eventually(async () => {
      const all: Answer[] = await prefect.ask('POST', '/flow_runs/filter', { flow_runs: { id: { any_: runs } }, limit: SUBMISSIONS });
      const left = all.filter(({ infrastructure_pid }) => !infrastructure_pid);
      expect(left.map(({ id, state }) => [id, state.name, state.message])).toEqual([]);
    });
    await rolledOut(home);
    const jobs = (await flows.list('jobs', 'prefect.io/flow-run-id')).map(
      ({ metadata }) => metadata.labels?.['prefect.io/flow-run-id'] as string,
    );
    expect(jobs.filter((run) => runs.includes(run)).sort()).toEqual([...runs].sort());
  });

  onCluster('a changed Secret ends worker and observer, which start with the new one', async () => {
    const names = ['prefect-worker', 'prefect-worker-observer'];
    const before = await Promise.all(names.map(async (name) => (await podsOf(home, name))[0]?.metadata.name as string));
    const said = before.map((pod) => home.logs(pod, '--follow'));
    await createAuth(home, 'admin:another');
    for (const log of await Promise.all(said)) expect(log).toContain('The Secret of PREFECT_API_AUTH_STRING has changed: ending');
    for (const pod of before) {
      await home.eventually(async () => expect((await home.get('pod', pod)).status.containerStatuses[0].restartCount).toBeGreaterThan(0));
    }
  });
});
