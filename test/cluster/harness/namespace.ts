import type { ApiServer, Json, KubeObject } from './api-server';
import type { Environment } from './environment';
import { type EventuallyOptions, eventually } from './eventually';
import { Kubectl } from './kubectl';
import type { Outcome } from './run';

export interface FinishedPod {
  readonly pod: KubeObject;
  readonly exitCode: number;
  readonly log: string;
}

/** A namespace of one test, and what is done in it. */
export class Namespace extends Kubectl {
  constructor(
    private readonly environment: Environment,
    private readonly api: ApiServer,
    readonly name: string,
  ) {
    super(environment.kubectl, environment.kubeconfig, name);
  }

  /** An object of a kind, which may be named in each way in which kubectl knows it. */
  get(kind: string, name: string): Promise<KubeObject> {
    return this.api.get(kind, name, this.name);
  }

  list(kind: string, selector?: string): Promise<KubeObject[]> {
    return this.api.list(kind, selector, this.name);
  }

  /** Polls; what fails tells also what was in the namespace by then. */
  eventually<T>(attempt: () => T | Promise<T>, options: EventuallyOptions = {}): Promise<T> {
    return eventually(attempt, { state: () => this.state(), ...options });
  }

  /** Runs a command in a pod that runs; for its exit code, output and errors. */
  exec(pod: string, command: readonly string[]): Promise<Outcome> {
    return this.outcome(['exec', pod, '--', ...command]);
  }

  /** What a pod (or `job/name`, `deployment/name`) has printed. */
  logs(pod: string, ...options: readonly string[]): Promise<string> {
    return this.kubectl(['logs', pod, ...options]);
  }

  evict(pod: string): Promise<void> {
    return this.api.evict(this.name, pod);
  }

  /** Runs a pod of one container until that has ended, however it ends. */
  async runPod(name: string, container: Json, podSpec: Json = {}, timeout?: number): Promise<FinishedPod> {
    const spec = { restartPolicy: 'Never', ...podSpec, containers: [{ name: 'main', ...container }] };
    await this.apply([{ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec }]);
    const ended = async () => {
      const pod = await this.get('pod', name);
      const exitCode = pod.status.containerStatuses?.[0].state.terminated?.exitCode;
      if (exitCode === undefined) throw new Error(`pod ${name} has not ended, it is ${pod.status.phase}`);
      return { pod, exitCode };
    };
    const { pod, exitCode } = await this.eventually(ended, { timeout });
    return { pod, exitCode, log: await this.logs(name) };
  }

  /** For people: what is in the namespace, and what happened there. */
  async state(): Promise<string> {
    const objects = await this.outcome(['get', 'pods,jobs,deployments,services,poddisruptionbudgets', '--output', 'wide']);
    const events = await this.outcome(['events']);
    const { logDir } = this.environment;
    const logs = logDir ? `\n\nThe cluster's logs are in ${logDir}` : '';
    return `Namespace ${this.name}:\n${objects.stdout || objects.stderr}\nIts events:\n${events.stdout || events.stderr}${logs}`;
  }
}
