import { setTimeout as sleep } from 'node:timers/promises';
import { Prefect3Api, PrefectAgent, type PrefectWorkerProps, SecretKeyRef } from '../../lib';
import type { KubeObject } from './harness/api-server';
import { Cluster } from './harness/cluster';
import type { Namespace } from './harness/namespace';
import { createKey, Prefect, synth } from './prefect';
import { createNamespace, install, jobsOf, Prefect3, podsOf, rolledOut, workerIn } from './prefect3';
import { Relay } from './relay';
import { refused, requestsOf, right, used } from './rights';
import { sweeperIn } from './sweeper';

const cluster = new Cluster();
const onCluster = cluster.testWith('hostAddress', test.concurrent);
let prefect: Prefect3;

beforeAll(async () => {
  prefect = await Prefect3.start(cluster);
});
afterAll(async () => {
  await prefect?.stop();
  await cluster.deleteNamespaces();
});

describe('what is wrong is the reason in the log of an init container, and no worker starts', () => {
  /** Waits until an init container has said why it fails. */
  const saidBy = (ns: Namespace, app: string, step: string, reason: RegExp | string): Promise<void> =>
    ns.eventually(async () => {
      const [pod] = await podsOf(ns, app);
      const name = pod?.metadata.name ?? '';
      const status = pod?.status.initContainerStatuses?.find((one: { name: string }) => one.name === step);
      expect((status?.state.terminated ?? status?.lastState?.terminated)?.exitCode).toBe(1);
      // It may be starting again.
      const logs = [['--previous'], []].map((options) => ns.outcome(['logs', name, '--container', step, ...options]));
      expect((await Promise.all(logs)).map(({ stdout }) => stdout).join('\n')).toMatch(reason);
      expect(pod?.status.containerStatuses?.[0].ready).toBe(false);
    });

  onCluster('a wrong key', async () => {
    const ns = await createNamespace(cluster, 'admin:wrong');
    await ns.apply(workerIn(prefect, ns));
    await saidBy(ns, 'prefect-worker', 'register', /not registered: the API answers 401/);
    await saidBy(ns, 'prefect-worker-observer', 'check-access', /Prefect's API cannot be asked: it answers 401/);
  });

  onCluster('a pool of another type, a server that is not there, and no permission at all', async () => {
    const [type, server, rights] = await Promise.all([createNamespace(cluster), createNamespace(cluster), createNamespace(cluster)]);
    await prefect.ask('POST', '/work_pools/', { name: 'of-another-type', type: 'process' });
    await type.apply(workerIn(prefect, type, { pool: 'of-another-type' }));
    const api = Prefect3Api.server({
      url: `http://${cluster.hostAddress}:9/api`,
      authString: SecretKeyRef.of('prefect-auth', 'auth-string'),
    });
    await server.apply(workerIn(prefect, server, { api }));
    const granted = workerIn(prefect, rights);
    await rights.apply(granted.map((object) => (object.kind === 'Role' ? { ...object, rules: [] } : object)));
    const missing = (name: string, ...those: string[]) =>
      `system:serviceaccount:${rights.name}:${name} may not ${those.join(', ')} in namespace ${rights.name}`;
    const observed = ['get jobs.batch', 'list jobs.batch', 'watch jobs.batch', 'list pods', 'watch pods', 'get pods/log'];
    await Promise.all([
      saidBy(type, 'prefect-worker', 'register', 'not registered: it is of type process'),
      saidBy(server, 'prefect-worker', 'register', 'not registered: ConnectError'),
      saidBy(rights, 'prefect-worker', 'check-access', missing('prefect-worker', 'create jobs.batch', 'delete jobs.batch')),
      saidBy(rights, 'prefect-worker-observer', 'check-access', missing('prefect-worker-observer', ...observed)),
    ]);
    // They would go on failing.
    for (const ns of [type, server, rights]) await ns.kubectl(['delete', 'deployments', '--all', '--wait=false']);
  });
});

/** The length of the fault, which is longer than an observer waits before it ends. */
const OUTAGE = 120_000;

const audited = cluster.testWith('auditLog', test.concurrent);
audited('an observer that is refused for two minutes recovers by itself, and reports what crashed meanwhile', async () => {
  const ns = await createNamespace(cluster);
  const relay = await Relay.start(cluster);
  try {
    const manifests = workerIn(prefect, ns, { worker: relay.props });
    await install(cluster, ns, manifests);
    const run = await (await prefect.deploy(ns.name, 'slow'))();
    await prefect.untilState(ns, run, 'Running');
    const requestsFrom = (mark: number) => requestsOf(cluster, mark, ns.name, 'prefect-worker-observer');
    const before = await cluster.auditLog.mark();
    await ns.delete('rolebinding', 'prefect-worker-observer-rbac');
    relay.cut();
    await ns.eventually(async () => expect(refused(await requestsFrom(before))).not.toEqual([]));
    const mark = await cluster.auditLog.mark();
    const outage = sleep(OUTAGE);
    const [pod] = await ns.list('pods', `prefect.io/flow-run-id=${run}`);
    await ns.exec(pod?.metadata.name ?? '', ['sh', '-c', 'kill -9 -1']);
    await ns.eventually(async () => expect((await jobsOf(ns, run))[0]?.status.failed).toBe(1));
    // It has ended, and is refused again after its start.
    let started = mark;
    await ns.eventually(async () => {
      const [observer] = await podsOf(ns, 'prefect-worker-observer');
      expect(observer?.status.containerStatuses[0].lastState.terminated?.exitCode).toBe(1);
      started = await cluster.auditLog.mark();
    });
    await ns.eventually(async () => expect(refused(await requestsFrom(started))).not.toEqual([]));
    await outage;
    expect(used(await requestsFrom(mark))).toEqual([]);
    expect([...new Set(refused(await requestsFrom(started)).map(right))].sort()).toEqual(['list batch/jobs', 'list core/pods']);
    expect((await prefect.run(run)).state.name).toBe('Running');
    await ns.apply(manifests.filter(({ kind }) => kind === 'RoleBinding'));
    await prefect.untilState(ns, run, 'Crashed');
    await rolledOut(ns);
  } finally {
    relay.stop();
  }
});

describe('what is not there is the reason in the log of the worker, which is not ready', () => {
  /** Without an observer, which has no part in this. */
  const workerAlone = (ns: Namespace, props: Partial<PrefectWorkerProps> = {}) =>
    workerIn(prefect, ns, { worker: props }).filter(({ kind, metadata }) => kind !== 'Deployment' || metadata.name === 'prefect-worker');
  const ready = (ns: Namespace) => ns.kubectl(['rollout', 'status', 'deployment/prefect-worker', '--timeout=600s']);
  const namesOf = (objects: KubeObject[]) => objects.map(({ metadata }) => metadata.name as string).sort();
  /** Waits until each pod of the worker runs and has said why it takes nothing. */
  const saidByAll = (ns: Namespace, count: number, reason: string): Promise<void> =>
    ns.eventually(async () => {
      const pods = await podsOf(ns, 'prefect-worker');
      expect(pods).toHaveLength(count);
      for (const { metadata, status } of pods) {
        expect(await ns.logs(metadata.name as string)).toContain(reason);
        expect(status.containerStatuses[0]).toMatchObject({ ready: false, state: { running: {} } });
      }
    });

  onCluster('a work pool that was deleted, which a successor creates', async () => {
    const ns = await createNamespace(cluster);
    await ns.apply(workerAlone(ns));
    await ready(ns);
    const [pod = ''] = namesOf(await podsOf(ns, 'prefect-worker'));
    await prefect.ask('DELETE', `/work_pools/${ns.name}`);
    // The container starts again, without its init containers.
    await ns.exec(pod, ['sh', '-c', 'kill 1']);
    await saidByAll(ns, 1, `Work pool '${ns.name}' not found`);
    await ns.delete('pod', pod);
    await ready(ns);
    expect((await prefect.ask('GET', `/work_pools/${ns.name}`)).type).toBe('kubernetes');
  });

  onCluster('a work queue; once it is there, two workers with names of their own take only its flow runs', async () => {
    const ns = await createNamespace(cluster);
    await ns.apply(workerAlone(ns, { workQueues: ['high'], replicas: 2 }));
    await saidByAll(ns, 2, `No flow run is taken: Work pool queue '${ns.name}/high' not found`);
    await prefect.ask('POST', `/work_pools/${ns.name}/queues`, { name: 'high' });
    await ready(ns);
    const pods = namesOf(await podsOf(ns, 'prefect-worker'));
    const records: { name: string }[] = await prefect.ask('POST', `/work_pools/${ns.name}/workers/filter`, {});
    expect(records.map(({ name }) => name).sort()).toEqual(pods);
    const low = await (await prefect.deploy(ns.name, 'quick'))();
    const high = await (await prefect.deploy(ns.name, 'quick', { work_queue_name: 'high' }))();
    await prefect.untilState(ns, high, 'Completed');
    expect(await jobsOf(ns, high)).toHaveLength(1);
    expect((await prefect.run(low)).state.type).toBe('SCHEDULED');
    // One of them may be evicted, and the other only once there are two again.
    await ns.eventually(async () => expect((await ns.get('pdb', 'prefect-worker')).status.disruptionsAllowed).toBe(1));
    const [one = '', other = ''] = pods;
    await ns.evict(one);
    await expect(ns.evict(other)).rejects.toThrow(/429/);
  });
});

onCluster('an agent of Prefect 1, its sweeper and a worker of Prefect 3 in one namespace: each takes its own', async () => {
  const ns = await createNamespace(cluster);
  const prefect1 = await Prefect.start(cluster);
  try {
    await createKey(ns);
    await ns.apply(synth(ns, (chart) => new PrefectAgent(chart, 'Agent', { api: prefect1.api, labels: ['kube'] })));
    await cluster.apply(sweeperIn(ns, prefect1, {}));
    await install(cluster, ns, workerIn(prefect, ns));
    const slow = await (await prefect.deploy(ns.name, 'slow'))();
    const quick = await (await prefect.deploy(ns.name, 'quick'))();
    const first = prefect1.schedule('quick', { labels: ['kube'] });
    await prefect.untilState(ns, slow, 'Running');
    await prefect.untilState(ns, quick, 'Completed');
    await ns.eventually(() => expect(prefect1.finished(first).state).toBe('Success'));
    // The Job of the first is deleted by its agent or sweeper; those of Prefect 3 stay, and the running one runs on.
    await ns.eventually(async () => expect(await ns.list('jobs', `prefect.io/flow_run_id=${first}`)).toEqual([]));
    expect(await jobsOf(ns, quick)).toHaveLength(1);
    expect(await jobsOf(ns, slow)).toHaveLength(1);
    expect((await prefect.run(slow)).state.name).toBe('Running');
  } finally {
    await prefect1.stop();
  }
});
