import { App, Chart, Testing } from 'cdk8s';
import {
  BaseJobTemplate,
  type BaseJobTemplateProps,
  JobVariable,
  Prefect3Api,
  PrefectWorker,
  type PrefectWorkerProps,
  SecretKeyRef,
  WorkPool,
} from '../../lib';
import { PREFECT3_NEWEST, Prefect3Server } from '../oracle/prefect3';
import type { KubeObject } from './harness/api-server';
import type { Cluster } from './harness/cluster';
import type { Namespace } from './harness/namespace';
import { withSmallRequests } from './small';

/** Stands in the auth string: to be found in Secrets alone. */
export const MARKER = 'marker-of-the-auth-string';
export const AUTH = `admin:${MARKER}`;

// biome-ignore lint/suspicious/noExplicitAny: answers of Prefect's API
export type Answer = any;

/** A real Prefect 3 server that pods reach, and asks for an auth string. */
export class Prefect3 {
  static async start(cluster: Cluster): Promise<Prefect3> {
    const env = {
      PREFECT_SERVER_API_AUTH_STRING: AUTH,
      // A run that stays Cancelling, which by default takes it 5 minutes to notice.
      PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS: '5',
      PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS: '5',
    };
    return new Prefect3(await Prefect3Server.start(PREFECT3_NEWEST, env, { host: cluster.hostAddress, services: true }));
  }

  private constructor(readonly server: Prefect3Server) {}

  readonly api = (url = this.server.url) => Prefect3Api.server({ url, authString: SecretKeyRef.of('prefect-auth', 'auth-string') });

  async ask(method: string, path: string, body?: unknown): Promise<Answer> {
    const { status, body: answer } = await this.server.ask(method, path, body);
    if (status >= 400) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
    return answer;
  }

  /** A deployment of a flow in the image, and what makes runs of it. */
  async deploy(pool: string, flow: string, more: object = {}): Promise<(variables?: object, state?: object) => Promise<string>> {
    const { id: flow_id } = await this.ask('POST', '/flows/', { name: flow });
    const directory = { 'prefect.deployments.steps.set_working_directory': { directory: '/flows' } };
    const { id } = await this.ask('POST', '/deployments/', {
      name: `${flow}-${Math.random().toString(36).slice(2)}`,
      flow_id,
      work_pool_name: pool,
      entrypoint: `${flow}.py:${flow}`,
      pull_steps: [directory],
      ...more,
    });
    return async (job_variables = {}, state = { type: 'SCHEDULED' }) =>
      (await this.ask('POST', `/deployments/${id}/create_flow_run`, { state, job_variables })).id;
  }

  run(id: string): Promise<Answer> {
    return this.ask('GET', `/flow_runs/${id}`);
  }

  async log(id: string): Promise<string> {
    const logs: { message: string }[] = await this.ask('POST', '/logs/filter', { logs: { flow_run_id: { any_: [id] } }, limit: 200 });
    return logs.map(({ message }) => message).join('\n');
  }

  async untilState(ns: Namespace, id: string, name: string): Promise<void> {
    await ns.eventually(
      async () => {
        const { state } = await this.run(id);
        if (state.name !== name) throw new Error(`flow run ${id} is ${state.name} (${state.message}); it logged:\n${await this.log(id)}`);
      },
      { interval: 1_000 },
    );
  }

  stop(): Promise<void> {
    return this.server.stop();
  }
}

/** Props of what is installed, but for those that the tests give. */
export interface WorkerProps {
  readonly pool?: string;
  readonly api?: Prefect3Api;
  readonly template?: Partial<BaseJobTemplateProps>;
  readonly worker?: Partial<PrefectWorkerProps>;
}

export function templateIn(prefect: Prefect3, ns: Namespace, props: WorkerProps = {}): BaseJobTemplate {
  const chart = new Chart(new App(), 'chart', { namespace: ns.name });
  return new BaseJobTemplate(chart, 'Template', {
    api: props.api ?? prefect.api(),
    image: 'prefecthq/prefect:3.9.1-python3.11',
    jobVariables: { image: JobVariable.string(), env: JobVariable.map() },
    ...props.template,
  });
}

/** A worker with its pool, in a namespace, as manifests. The pool is registered by the worker alone. */
export function workerIn(prefect: Prefect3, ns: Namespace, props: WorkerProps = {}): KubeObject[] {
  const baseJobTemplate = templateIn(prefect, ns, props);
  const chart = Chart.of(baseJobTemplate);
  const workPool = new WorkPool(chart, 'Pool', { name: props.pool ?? ns.name, baseJobTemplate });
  new PrefectWorker(chart, 'Worker', { workPool, ...props.worker });
  return withSmallRequests(Testing.synth(chart)).filter(({ kind }) => kind !== 'Job');
}

export async function createAuth(ns: Namespace, auth = AUTH): Promise<void> {
  const metadata = { name: 'prefect-auth' };
  await ns.apply([{ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { 'auth-string': auth } }]);
}

/** A namespace of its own, with the Secret of the auth string. */
export async function createNamespace(cluster: Cluster, auth?: string): Promise<Namespace> {
  const ns = await cluster.createNamespace({ podSecurity: 'restricted' });
  await createAuth(ns, auth);
  return ns;
}

/** The pods of a Deployment. */
export const podsOf = (ns: Namespace, name: string): Promise<KubeObject[]> => ns.list('pods', `app=${name}`);

/** Applies a worker, and waits until all of the newest generation is ready, and nothing else is left. */
export async function install(cluster: Cluster, ns: Namespace, manifests: KubeObject[]): Promise<void> {
  // Not as of one namespace: the Roles are in that of the flows.
  await cluster.apply(manifests);
  await rolledOut(ns);
}

export async function rolledOut(ns: Namespace): Promise<void> {
  for (const name of ['prefect-worker', 'prefect-worker-observer']) {
    await ns.kubectl(['rollout', 'status', `deployment/${name}`, '--timeout=600s']);
  }
}

/** The Jobs of a flow run. */
export const jobsOf = (ns: Namespace, run: string): Promise<KubeObject[]> => ns.list('jobs', `prefect.io/flow-run-id=${run}`);
