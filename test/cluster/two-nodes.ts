import { Duration } from 'cdk8s';
import { EvictionPolicy, type PrefectAgent, TaintEffect, type Toleration } from '../../lib';
import type { RunRequest } from '../prefect-server/run-request';
import type { Gate } from './gate';
import type { Json } from './harness/api-server';
import type { Cluster } from './harness/cluster';
import { taint } from './harness/second-node/life';
import { API_KEY } from './prefect';
import { passesOf, podAtWork, podOf, type Site, seenAlive, stockInstall } from './site';
import { installSweeper } from './sweeper';
import { Team } from './team';

/** Pods prefer the second node, and leave it soon when it is lost: Kubernetes' default is after five minutes. */
const preferred = { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['node-2'] }] };
const affinity = { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, preference: preferred }] } };
const lost = ['node.kubernetes.io/unreachable', 'node.kubernetes.io/not-ready'];
const tolerations: Toleration[] = [
  { key: taint.key, value: taint.value, effect: TaintEffect.NO_SCHEDULE },
  ...lost.map((key) => ({ key, effect: TaintEffect.NO_EXECUTE, tolerationSeconds: Duration.seconds(3) })),
];
export const onSecondNode = { affinity, tolerations };

export const GRACE_SECONDS = 5;

const neverReady = { readinessProbe: { exec: { command: ['false'] } } };

/** The same for the stock install, whose flows bring a Job template. */
const stockTemplate = (container: Json): Json => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: {},
  spec: {
    backoffLimit: 0,
    template: {
      spec: {
        affinity,
        tolerations: [taint, ...lost.map((key) => ({ key, operator: 'Exists', effect: TaintEffect.NO_EXECUTE, tolerationSeconds: 3 }))],
        terminationGracePeriodSeconds: GRACE_SECONDS,
        restartPolicy: 'Never',
        containers: [{ name: 'flow', ...container }],
      },
    },
  },
});

/** Without heartbeats, or with many. */
const beats = (heartbeat: boolean): Record<string, string> =>
  heartbeat ? { PREFECT__CLOUD__HEARTBEAT_INTERVAL: '5' } : { PREFECT__CLOUD__HEARTBEAT_MODE: 'off' };

export const POLICIES = [EvictionPolicy.PROTECT, EvictionPolicy.FAIL, EvictionPolicy.RUN_AGAIN] as const;

export type InstallName = 'stock' | EvictionPolicy;

/** The stock install, and one of ours for each eviction policy, whose agent and sweeper prefer the second node as their flows do. */
export class Installs {
  static async start(cluster: Cluster): Promise<Installs> {
    const installs = new Installs(cluster);
    installs.sites.set('stock', await stockInstall(cluster));
    await Promise.all(POLICIES.map((policy) => installs.add(policy)));
    return installs;
  }

  private readonly sites = new Map<InstallName, Site>();
  private readonly agents = new Map<EvictionPolicy, PrefectAgent>();

  private constructor(private readonly cluster: Cluster) {}

  of(name: InstallName): Site {
    return this.sites.get(name) as Site;
  }

  schedule(
    name: InstallName,
    flow: string,
    request: Partial<RunRequest> = {},
    env: Record<string, string> = {},
    container: Json = {},
  ): string {
    const template = name === 'stock' ? { job_template: stockTemplate(container) } : {};
    const runConfig = { type: 'KubernetesRun', labels: [], __version__: '1.4.1', env, ...template };
    return this.of(name).prefect.schedule(flow, { ...request, runConfig });
  }

  /** Schedules a flow that lasts until the gate is open, and waits until it is at work on the second node, and known to be alive. */
  async atWork(name: InstallName, gate: Gate, heartbeat = true, container: Json = {}): Promise<string> {
    const site = this.of(name);
    const run = this.schedule(name, 'slow', { parameters: { seconds: 0, gate: gate.url } }, beats(heartbeat), container);
    await podAtWork(site, run);
    expect((await podOf(site, run)).spec.nodeName).toBe(this.cluster.secondNode.name);
    if (heartbeat) await seenAlive(site, run);
    return run;
  }

  /** The same of the stock install, whose pod is never ready. */
  unreadyStock(gate: Gate): Promise<string> {
    return this.atWork('stock', gate, false, neverReady);
  }

  /** A run whose pod is on the second node and never ready. It sends no heartbeats. */
  async unready(policy: EvictionPolicy): Promise<string> {
    const site = this.of(policy);
    const { prefect, home, flows } = site;
    const run = prefect.schedule('slow', { labels: ['nobody'] });
    const job = this.agents.get(policy)?.effectiveJob({ id: run }) as Json;
    job.metadata.name = `prefect-job-${run.slice(0, 8)}`;
    const [container] = job.spec.template.spec.containers;
    Object.assign(container, { command: ['sleep', '3600'], args: [], ...neverReady });
    prefect.server.setState(run, 'Submitted');
    await flows.apply([job]);
    // A run that is Running before its Job is seen may run elsewhere.
    const ledger = async () => (await home.get('configmap', `flow-run-sweeper-ledger-${flows.name}`)).data ?? {};
    await home.eventually(async () => expect(await ledger()).toHaveProperty([run]));
    prefect.server.setState(run, 'Running');
    await flows.eventually(async () => {
      const { spec, status } = await podOf(site, run);
      expect([spec.nodeName, status.phase]).toEqual([this.cluster.secondNode.name, 'Running']);
    });
    return run;
  }

  /** The nodes of the pods of our agents and sweepers. */
  async nodesOfControllers(): Promise<string[]> {
    const lists = POLICIES.flatMap((policy) =>
      ['prefect-agent', 'flow-run-sweeper'].map((app) => this.of(policy).home.list('pods', `app=${app}`)),
    );
    return (await Promise.all(lists)).flat().map(({ spec }) => spec.nodeName);
  }

  /** How often a run has started. */
  starts(name: InstallName, run: string): number {
    return this.of(name)
      .prefect.states(run)
      .filter((state) => state === 'Submitted').length;
  }

  stateOf(name: InstallName, run: string): string {
    return this.of(name).prefect.server.run(run).state;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sites.values()].map(({ prefect }) => prefect.stop()));
  }

  private async add(onEviction: EvictionPolicy): Promise<void> {
    const { cluster } = this;
    const team = await Team.start(cluster, API_KEY);
    const mark = await cluster.auditLog.mark();
    this.sites.set(onEviction, { prefect: team, home: team.home, flows: team.flows, passes: passesOf(cluster, team.home, mark) });
    const terminationGracePeriod = Duration.seconds(GRACE_SECONDS);
    const [agent] = await Promise.all([
      team.install({ onEviction, terminationGracePeriod, ...onSecondNode }, { sweeper: true, ...onSecondNode }),
      installSweeper(team.home, team, { namespaces: [team.flows.name], ...onSecondNode }),
    ]);
    this.agents.set(onEviction, agent);
  }
}
