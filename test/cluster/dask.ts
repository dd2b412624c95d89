import { join } from 'node:path';
import { App, Chart, Testing } from 'cdk8s';
import { DaskWorkerPolicy, type DaskWorkerPolicyProps, EnvValue, type FlowJobTemplateProps, type LogLevel } from '../../lib';
import { tasksOf } from '../prefect-server/flow-file';
import type { KubeObject } from './harness/api-server';
import type { Cluster } from './harness/cluster';
import { API_KEY, jobsOf } from './prefect';
import type { Rule } from './rights';
import { Team } from './team';

/** What the flow makes of 1, 2, 3 and 4. */
export const RESULT = '[-1, -4, -9, -16]';

/** What a flow gives to `KubeCluster`: no template, the policy's own file, a dict or a V1Pod; or nothing, and its workers are adaptive. */
export type Template = 'none' | 'path' | 'dict' | 'V1Pod' | 'adapt';

const FLOW = 'dask_rounds';
const tasks = tasksOf(join(__dirname, 'flows', `${FLOW}.py`), FLOW);

/** The teams of one file of tests. */
export class Teams {
  private readonly started: Team[] = [];

  constructor(private readonly cluster: Cluster) {}

  /** A team whose flow runs have a policy for Dask, with the rights that it grants to them. */
  async withPolicy(policy: DaskWorkerPolicyProps = {}, template: FlowJobTemplateProps = {}): Promise<{ team: Team; rules: Rule[] }> {
    const team = await this.start();
    const chart = new Chart(new App(), 'chart', { namespace: team.flows.name });
    const dask = new DaskWorkerPolicy(chart, 'Dask', policy);
    await this.cluster.apply(Testing.synth(chart));
    await team.install({ dask, ...template });
    return { team, rules: dask.role.toJson().rules };
  }

  /**
   * A team without one. The account of its flows may do what dask-kubernetes' documentation says.
   * @see https://github.com/dask/dask-kubernetes/blob/2022.12.0/doc/source/kubecluster.rst
   */
  async withoutPolicy(): Promise<Team> {
    const team = await this.start();
    const verbs = ['get', 'list', 'watch', 'create', 'delete'];
    const rules = [
      { apiGroups: [''], resources: ['pods', 'services'], verbs },
      { apiGroups: [''], resources: ['pods/log'], verbs: ['get', 'list'] },
      { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs },
    ];
    const apiGroup = 'rbac.authorization.k8s.io';
    const metadata = { name: 'dask' };
    await team.flows.apply([
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
      { apiVersion: `${apiGroup}/v1`, kind: 'Role', metadata, rules },
      {
        apiVersion: `${apiGroup}/v1`,
        kind: 'RoleBinding',
        metadata,
        roleRef: { apiGroup, kind: 'Role', name: 'dask' },
        subjects: [{ kind: 'ServiceAccount', name: 'dask' }],
      },
    ]);
    // Its clusters are named as with the policy, so that they are found in the same way.
    await team.install({ serviceAccountName: 'dask', env: { DASK_KUBERNETES__NAME: EnvValue.of('dask-{HOSTNAME}-{uuid}') } });
    return team;
  }

  async stop(): Promise<void> {
    await Promise.all(this.started.map((team) => team.stop()));
  }

  private async start(): Promise<Team> {
    const team = await Team.start(this.cluster, API_KEY);
    this.started.push(team);
    return team;
  }
}

export interface DaskRunOptions {
  /** How long each task of the second round takes. */
  readonly seconds?: number;
  /** What they wait for after that. */
  readonly gate?: string;
  readonly workers?: number;
  /** Level of the log of the run. */
  readonly logLevel?: LogLevel;
}

/** What is left of the Dask clusters of a flow run. */
export interface Remains {
  /** What runs or stands in the way: pods that have not ended, Services, PodDisruptionBudgets. */
  readonly alive: string[];
  /** Pods that have ended. */
  readonly ended: string[];
}

/** A run of the flow with two mapped rounds. */
export class DaskRun {
  /** Schedules a run on Dask, or in the flow's own process. */
  static schedule(team: Team, template: Template | 'local', { seconds = 0, gate, workers = 1, logLevel }: DaskRunOptions = {}): DaskRun {
    const env = { DASK_TEMPLATE: template, DASK_WORKERS: `${workers}`, ...(logLevel && { PREFECT__LOGGING__LEVEL: logLevel }) };
    const runConfig = { type: 'KubernetesRun', __version__: '1.4.1', labels: [], env };
    const request = { flow: FLOW, path: `/flows/${FLOW}.py`, tasks, parameters: { seconds, ...(gate && { gate }) }, runConfig };
    return new DaskRun(team, team.server.scheduleRun(request));
  }

  /** A run of which a worker is at work, for longer than any test. */
  static async atWork(team: Team, template: Template, options: DaskRunOptions = {}): Promise<DaskRun> {
    const run = DaskRun.schedule(team, template, { seconds: 7200, ...options });
    await team.flows.eventually(() => run.expectWork());
    return run;
  }

  private constructor(
    readonly team: Team,
    readonly id: string,
  ) {}

  /** What the flow has logged as the result of its rounds. */
  async result(): Promise<string> {
    await this.team.ended(this.id, 'Success');
    return this.team.flows.eventually(() => {
      const [, result] = /^result: (.*)$/m.exec(this.team.log(this.id)) ?? [];
      if (result === undefined) throw new Error(`flow run ${this.id} has not logged its result:\n${this.team.log(this.id)}`);
      return result;
    });
  }

  /** The pod of the flow's own process. */
  async pod(): Promise<string> {
    return (await this.team.runningPod(this.id)).metadata.name as string;
  }

  jobs(): Promise<KubeObject[]> {
    return jobsOf(this.team.flows, this.id);
  }

  async deleteJob(): Promise<void> {
    for (const { metadata } of await this.jobs()) await this.team.flows.kubectl(['delete', 'job', metadata.name as string, '--wait=false']);
  }

  /** Ends processes of one of its pods with SIGKILL, those whose command line has these words, and waits until the pod has ended. */
  async kill(pod: string, words: string): Promise<void> {
    await this.team.flows.exec(pod, ['pkill', '-KILL', '-f', words]);
    const ended = async () => expect(await this.team.flows.list('pods', '')).not.toContainEqual(running(pod));
    await this.team.flows.eventually(ended);
  }

  /** The pods of its Dask cluster, of one component. */
  async daskPods(component: 'scheduler' | 'worker'): Promise<string[]> {
    const pods = (await this.objects()).filter(({ kind, metadata }) => kind === 'Pod' && metadata.labels?.[COMPONENT] === component);
    return pods.map(({ metadata }) => metadata.name as string);
  }

  async remains(): Promise<Remains> {
    const objects = await this.objects();
    const hasEnded = ({ status }: KubeObject) => ['Succeeded', 'Failed'].includes(status.phase);
    const outlines = (some: KubeObject[]) => some.map(outline).sort();
    return { alive: outlines(objects.filter((object) => !hasEnded(object))), ended: outlines(objects.filter(hasEnded)) };
  }

  /** Waits until this is what is left. */
  async leaves(remains: Remains): Promise<void> {
    await this.team.flows.eventually(async () => expect(await this.remains()).toEqual(remains), { interval: 1_000 });
  }

  private expectWork(): void {
    const works = this.team.server.run(this.id).task_runs.some(({ task, map_index, state }) => {
      return task.slug.startsWith('wait') && map_index >= 0 && state === 'Running';
    });
    if (!works) throw new Error(`no worker of the run works, which is ${this.team.states(this.id)}:\n${this.team.log(this.id)}`);
  }

  /** Every object of its Dask clusters, in whose name is that of the flow's pod. */
  private async objects(): Promise<KubeObject[]> {
    const [, job] = /: Job (\S+)/.exec(this.team.log(this.id)) ?? [];
    const listed = await Promise.all(KINDS.map((kind) => this.team.flows.list(kind, CLUSTER)));
    return listed.flat().filter(({ metadata }) => metadata.labels?.[CLUSTER]?.startsWith(`dask-${job}-`));
  }
}

/** Nothing at all. */
export const NOTHING: Remains = { alive: [], ended: [] };

const CLUSTER = 'dask.org/cluster-name';
const COMPONENT = 'dask.org/component';
const KINDS = ['pods', 'services', 'poddisruptionbudgets'];

const outline = ({ kind, metadata, status }: KubeObject) => (kind === 'Pod' ? `${metadata.labels?.[COMPONENT]} ${status.phase}` : kind);

const running = (name: string) =>
  expect.objectContaining({
    metadata: expect.objectContaining({ name }),
    status: expect.objectContaining({ phase: 'Running' }),
  });
