import { basename, join } from 'node:path';
import { App, Chart, Testing } from 'cdk8s';
import { PrefectAgent, type PrefectAgentProps, PrefectApi, SecretKeyRef } from '../../lib';
import { FakePrefectServer } from '../prefect-server/fake-prefect-server';
import { tasksOf } from '../prefect-server/flow-file';
import type { RunRequest } from '../prefect-server/run-request';
import type { FlowRun } from '../prefect-server/store';
import type { KubeObject } from './harness/api-server';
import type { Cluster } from './harness/cluster';
import type { Namespace } from './harness/namespace';
import { withSmallRequests } from './small';

export const API_KEY = 'key-of-the-team';

export const TENANT = 'team';

/** Finished states, in which a flow run stays. */
const FINISHED = ['Success', 'Failed', 'Cancelled'];

/** A Prefect API that pods reach. Stop it when the test ends. */
export class Prefect {
  /** With a key the API is like Prefect Cloud, without one like Prefect Server. */
  static async start(cluster: Cluster, key: string | undefined = API_KEY): Promise<Prefect> {
    return new Prefect(cluster, await serve(cluster, key), key);
  }

  readonly url: string;
  readonly api: PrefectApi;

  protected constructor(
    readonly cluster: Cluster,
    readonly server: FakePrefectServer,
    key: string | undefined,
  ) {
    this.url = `http://${cluster.hostAddress}:${server.port}`;
    const options = { url: this.url, tenantId: server.tenant(TENANT).id };
    this.api = key ? PrefectApi.cloud({ ...options, apiKey: SecretKeyRef.of('prefect-api-key', 'key') }) : PrefectApi.server(options);
  }

  /** Schedules a run of one of the flows that are baked into the test image, and gives its id. */
  schedule(flow: string, request: Partial<RunRequest> = {}): string {
    return this.scheduleScript(join(__dirname, 'flows', `${flow}.py`), '/flows', request);
  }

  /** Schedules a run of the flow in a script, of the same name, that is in this folder where it runs. */
  scheduleScript(script: string, folder: string, request: Partial<RunRequest> = {}): string {
    const flow = basename(script, '.py');
    return this.server.scheduleRun({ flow, path: `${folder}/${basename(script)}`, tasks: tasksOf(script, flow), ...request });
  }

  /** The states that a run has been in, in their order. */
  states(id: string): string[] {
    return this.server.history(id).map(({ serialized_state }) => serialized_state.type);
  }

  /** What a run has logged, a message to a line. */
  log(id: string): string {
    return this.server
      .logs(id)
      .map(({ message }) => message)
      .join('\n');
  }

  finished(id: string): FlowRun {
    const run = this.server.run(id);
    if (!FINISHED.includes(run.state))
      throw new Error(`flow run ${id} is ${run.state} after ${this.states(id)}; it logged:\n${this.log(id)}`);
    return run;
  }

  stop(): Promise<void> {
    return this.server.stop();
  }
}

/** Starts an API at an address that pods reach. */
export async function serve(cluster: Cluster, key: string | undefined): Promise<FakePrefectServer> {
  const server = new FakePrefectServer(key ? { backend: 'cloud', tenants: [{ slug: TENANT, key }] } : { tenants: [{ slug: TENANT }] });
  await server.start({ host: cluster.hostAddress });
  return server;
}

/** The manifests of a chart in a namespace. */
export function synth(ns: Namespace, build: (chart: Chart) => void): KubeObject[] {
  const chart = new Chart(new App(), 'chart', { namespace: ns.name });
  build(chart);
  return withSmallRequests(Testing.synth(chart));
}

/** Installs an agent, with its key, and waits until it has asked for flow runs. */
export async function install(ns: Namespace, prefect: Prefect, props: Partial<PrefectAgentProps> = {}): Promise<KubeObject[]> {
  const manifests = synth(ns, (chart) => new PrefectAgent(chart, 'Agent', { api: prefect.api, labels: ['kube'], ...props }));
  await createKey(ns);
  // Not as of one namespace: a Role is in that of the flows.
  await prefect.cluster.apply(manifests);
  await agentReady(ns, props.resourceName);
  return manifests;
}

/** The Secret of the API key. One that is there already is as good. */
export async function createKey(ns: Namespace, key = API_KEY): Promise<void> {
  await ns.apply([{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'prefect-api-key' }, stringData: { key } }]);
}

/** Its readiness says that Prefect has answered it. */
export async function agentReady(ns: Namespace, name = 'prefect-agent'): Promise<void> {
  await ns.eventually(async () => expect((await ns.get('deployment', name)).status.readyReplicas).toBe(1));
}

/** The one pod of an agent. */
export async function agentPod(ns: Namespace, name = 'prefect-agent'): Promise<KubeObject> {
  const pods = await ns.list('pods', `app=${name}`);
  expect(pods.map(({ metadata }) => metadata.name)).toHaveLength(1);
  return pods[0] as KubeObject;
}

/** The Jobs of a flow run that are there. */
export function jobsOf(ns: Namespace, run: string): Promise<KubeObject[]> {
  return ns.list('jobs', `prefect.io/flow_run_id=${run}`);
}

/** Waits until no process of a flow run is left: what it logged last reaches Prefect after its last state. */
export async function processEnded(ns: Namespace, run: string): Promise<void> {
  await ns.eventually(async () => {
    for (const { metadata, status } of await jobsOf(ns, run)) {
      if (!status?.succeeded && !status?.failed) throw new Error(`the process of ${metadata.name} has not ended`);
    }
  });
}
