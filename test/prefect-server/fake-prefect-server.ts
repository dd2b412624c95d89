/**
 * A fake in the sense of xUnit Test Patterns: it works, by the rules of the real server, but keeps everything in memory.
 * One instance is one API. The agents and flows that talk to it are real.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Answer, answer, type Request, readRequest } from './graphql-http';
import { Listener, textOf } from './listener';
import { type Caller, operations } from './operations';
import { type RunRequest, scheduleRun } from './run-request';
import { prefectSchema } from './schema';
import { acceptState, newState } from './state-types';
import { cancelFlowRun, setFlowRunState } from './states';
import { type Agent, type Backend, type FlowRun, type Json, type Log, type StateRow, Store, type TaskRun, type Tenant } from './store';
import { lazarus, zombieKiller } from './towel';

export interface FakePrefectServerOptions {
  /** `cloud` wants the API key of a tenant, tells whose key it is, and locks versions where a flow says so. Default: `server`. */
  readonly backend?: Backend;
  /** Slugs, and for Cloud the API key of each. One key may open several tenants. Default: one tenant, `default`. */
  readonly tenants?: ReadonlyArray<{ readonly slug: string; readonly key?: string }>;
  /** For rules of time. Default: the clock. */
  readonly now?: () => Date;
}

/** How a request fails: with an HTTP status, without an answer before it is carried out, or without one after. */
export type Fault = 429 | 500 | 502 | 503 | 504 | 'reset' | 'lost answer';

export interface Call {
  readonly operation: string;
  readonly at: Date;
  readonly agentId?: string;
  /** The tenant whose key was sent (Cloud). */
  readonly tenant?: string;
  readonly authorization?: string;
  readonly fault?: Fault;
  /** The HTTP status of the answer, if there was one, even a lost one. */
  readonly status?: number;
  readonly errors: readonly string[];
}

/** @see PrefectHQ/server src/prefect_server/services/towel: 10 minutes in both services */
const STALE_SECONDS = 10 * 60;

export class FakePrefectServer {
  readonly calls: Call[] = [];
  private readonly store: Store;
  private readonly schema;
  private readonly listener = new Listener((request, response) => this.handle(request, response));
  private readonly faults: Array<{ readonly operation: string; readonly fault: Fault }> = [];
  private outage?: Exclude<Fault, string>;

  constructor({ backend = 'server', tenants = [{ slug: 'default' }], now = () => new Date() }: FakePrefectServerOptions = {}) {
    const keyless = tenants.find(({ key }) => !key);
    if (backend === 'cloud' && keyless) throw new Error(`the tenant ${keyless.slug} has no key: nobody could reach it`);
    this.store = new Store(
      backend,
      tenants.map(({ slug, key }) => ({ id: randomUUID(), name: slug, slug, keys: new Set(key ? [key] : []) })),
      now,
    );
    this.schema = prefectSchema(backend);
  }

  // The port

  /** Listens. Default: on a free port, for this machine alone. */
  async start({ host = '127.0.0.1', port = 0 }: { readonly host?: string; readonly port?: number } = {}): Promise<void> {
    await this.listener.open({ host, port });
  }

  async stop(): Promise<void> {
    await this.listener.close();
  }

  get port(): number {
    return this.listener.address.port;
  }

  /** Takes the API down: connections are refused, or every request is answered with this status. */
  async pause(how: 'refuse' | Exclude<Fault, string> = 'refuse'): Promise<void> {
    if (how === 'refuse') await this.listener.close();
    else this.outage = how;
  }

  async resume(): Promise<void> {
    this.outage = undefined;
    await this.listener.reopen();
  }

  /** Lets the next requests with this operation fail. */
  failNext(operation: string, times: number, fault: Fault): void {
    for (let i = 0; i < times; i++) this.faults.push({ operation, fault });
  }

  // What a user does

  /** Schedules a run in a tenant (its slug; default: the first) and gives the run's id. */
  scheduleRun({ tenant, ...request }: RunRequest & { readonly tenant?: string }): string {
    return scheduleRun(this.store, tenant === undefined ? this.store.tenants[0] : this.tenant(tenant), request).id;
  }

  /** Marks a run as in a state, as the UI does. */
  setState(id: string, type: string, message = `Marked as ${type}`): void {
    setFlowRunState(this.store, this.run(id), acceptState(newState(type, message), this.store.now()), { by: 'ui' });
  }

  /** Cancels a run, as the UI does: a running one is `Cancelling` until its process ends it. */
  cancel(id: string): void {
    cancelFlowRun(this.store, this.run(id), 'ui');
  }

  /** Makes another key of a tenant. */
  addKey(tenant: string, key: string): void {
    this.tenant(tenant).keys.add(key);
  }

  revokeKey(tenant: string, key: string): void {
    if (!this.tenant(tenant).keys.delete(key)) throw new Error(`the tenant ${tenant} has no such key`);
  }

  /** Creates what an agent with `--agent-config-id` asks for, and gives its id. */
  createAgentConfig(settings: Json, tenant = this.store.tenants[0].slug): string {
    const id = randomUUID();
    this.store.agentConfigs.push({ id, tenant_id: this.tenant(tenant).id, settings });
    return id;
  }

  // The server's services, which run when called

  lazarus(heartbeatCutoff = this.store.secondsFromNow(-STALE_SECONDS)): FlowRun[] {
    return lazarus(this.store, heartbeatCutoff);
  }

  zombieKiller(heartbeatCutoff = this.store.secondsFromNow(-STALE_SECONDS)): Array<FlowRun | TaskRun> {
    return zombieKiller(this.store, heartbeatCutoff);
  }

  // What a test looks at

  run(id: string): FlowRun {
    const run = this.store.flowRuns.find((each) => each.id === id);
    if (!run) throw new Error(`no flow run ${id}`);
    return run;
  }

  runs(): readonly FlowRun[] {
    return this.store.flowRuns;
  }

  /** Every state of a run, with its version, its time and who set it. */
  history(id: string): readonly StateRow[] {
    return this.run(id).states;
  }

  logs(id: string): readonly Log[] {
    return this.run(id).logs;
  }

  get agents(): readonly Agent[] {
    return this.store.agents;
  }

  tenant(slug: string): Tenant {
    const tenant = this.store.tenants.find((each) => each.slug === slug);
    if (!tenant) throw new Error(`no tenant ${slug}: there are ${this.store.tenants.map((each) => each.slug).join(', ')}`);
    return tenant;
  }

  // Requests

  private async handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = readRequest(await textOf(message));
    const operation = 'operation' in request ? request.operation : '(unreadable)';
    const caller = this.callerOf(message);
    const fault = this.faultOf(operation);
    const answered = await this.answerTo(request, caller, fault);
    this.calls.push({
      operation,
      at: this.store.now(),
      agentId: caller.agentId,
      tenant: this.store.backend === 'cloud' ? caller.tenants[0]?.slug : undefined,
      authorization: message.headers.authorization,
      fault,
      status: answered?.status,
      errors: answered?.errors ?? [],
    });
    if (answered && fault !== 'lost answer') response.writeHead(answered.status, { 'content-type': 'application/json' }).end(answered.body);
    else message.socket.destroy();
  }

  private async answerTo(request: Request | Answer, caller: Caller, fault?: Fault): Promise<Answer | undefined> {
    if (fault === 'reset') return undefined;
    if (typeof fault === 'number') return { status: fault, body: '{}', errors: [] };
    return 'status' in request ? request : answer(this.schema, operations(this.store, caller), request);
  }

  private faultOf(operation: string): Fault | undefined {
    if (this.outage) return this.outage;
    const next = this.faults.findIndex((each) => each.operation === operation);
    return next < 0 ? undefined : this.faults.splice(next, 1)[0].fault;
  }

  /**
   * Server knows no keys: everybody sees every tenant. In Cloud a key opens its tenants, and the header names the one to act for.
   * @see PrefectHQ/prefect src/prefect/client/client.py _request (the headers)
   */
  private callerOf({ headers }: IncomingMessage): Caller {
    const header = (name: string): string | undefined => headers[name] as string | undefined;
    const wanted = header('x-prefect-tenant-id');
    const key = headers.authorization?.match(/^Bearer (.*)$/)?.[1];
    const opened = this.store.tenants.filter(({ keys }) => key !== undefined && keys.has(key));
    return {
      tenants:
        this.store.backend === 'server' ? this.store.tenants : wanted ? opened.filter(({ id }) => id === wanted) : opened.slice(0, 1),
      agentId: header('x-prefect-agent-id'),
      coreVersion: header('x-prefect-core-version'),
    };
  }
}
