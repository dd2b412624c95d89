import { App, Chart, Testing } from 'cdk8s';
import { FlowJobTemplate, type FlowJobTemplateProps, PrefectAgent, type PrefectAgentProps } from '../../lib';
import type { FakePrefectServer } from '../prefect-server/fake-prefect-server';
import type { Json, KubeObject } from './harness/api-server';
import type { Cluster } from './harness/cluster';
import type { Namespace } from './harness/namespace';
import { agentPod, agentReady, createKey, Prefect, serve } from './prefect';
import { withSmallRequests } from './small';

/** A team: a Prefect API of its own, and a namespace each for its agent and its flows, which both enforce "restricted". */
export class Team extends Prefect {
  /** The key, if there is one, is in a Secret of both namespaces. */
  static override async start(cluster: Cluster, key?: string): Promise<Team> {
    const server = await serve(cluster, key);
    const [home, flows] = [
      await cluster.createNamespace({ podSecurity: 'restricted' }),
      await cluster.createNamespace({ podSecurity: 'restricted' }),
    ];
    if (key) await Promise.all([home, flows].map((ns) => createKey(ns, key)));
    return new Team(cluster, server, key, home, flows);
  }

  private constructor(
    cluster: Cluster,
    server: FakePrefectServer,
    key: string | undefined,
    /** The agent's namespace. */
    readonly home: Namespace,
    /** The namespace of the flow runs. */
    readonly flows: Namespace,
  ) {
    super(cluster, server, key);
  }

  /** Installs the agent with a template, or changes the template; waits until the agent is ready. */
  async install(template: FlowJobTemplateProps = {}, props: Partial<PrefectAgentProps> = {}): Promise<PrefectAgent> {
    const chart = new Chart(new App(), 'chart', { namespace: this.home.name, labels: { 'example.com/team': 'data' } });
    const flowNamespace = this.flows.name;
    const jobTemplate = new FlowJobTemplate(chart, 'Jobs', { flowNamespace, ...template });
    const agent = new PrefectAgent(chart, 'Agent', { api: this.api, flowNamespace, jobTemplate, ...props });
    await this.cluster.apply(withSmallRequests(Testing.synth(chart)));
    await agentReady(this.home, agent.resourceName);
    return agent;
  }

  agentPod(): Promise<KubeObject> {
    return agentPod(this.home);
  }

  /** The Job of a run, as soon as there is one. */
  job(run: string): Promise<KubeObject> {
    return this.flows.eventually(() => this.oneOf('jobs', run));
  }

  /** The pod of a run, as soon as the flow's container runs. */
  runningPod(run: string): Promise<KubeObject> {
    const running = async () => {
      const pod = await this.oneOf('pods', run);
      expect(pod.status.phase).toBe('Running');
      return pod;
    };
    return this.flows.eventually(running);
  }

  /** Waits for the end of a run, in this state. */
  async ended(run: string, state: string): Promise<void> {
    const { state: last } = await this.flows.eventually(() => this.finished(run));
    if (last !== state) throw new Error(`the run ended otherwise than in ${state}: ${this.states(run)}\n${this.log(run)}`);
  }

  private async oneOf(kind: string, run: string): Promise<KubeObject> {
    const found = await this.flows.list(kind, `prefect.io/flow_run_id=${run}`);
    expect(found).toHaveLength(1);
    return found[0];
  }
}

/** The flow's container of a Job or pod. */
export function flowContainer(workload: KubeObject): Json {
  return (workload.spec.template?.spec ?? workload.spec).containers[0];
}

export function envOf(workload: KubeObject): Record<string, Json> {
  return Object.fromEntries(flowContainer(workload).env.map(({ name, value, valueFrom }: Json) => [name, valueFrom ?? value]));
}
