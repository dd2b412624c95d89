/** What the fast tests of the fake have in common: a client and a clock. */
import type { FakePrefectServer } from './fake-prefect-server';

interface Result {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the shape is that of the query, which each test states
  readonly data?: any;
  readonly errors?: ReadonlyArray<{ readonly message: string; readonly extensions: { readonly code: string } }>;
}

/** Sends a query as Prefect's client does: the variables are a JSON string. */
export async function ask(server: FakePrefectServer, query: string, variables: object | null = null, headers = {}): Promise<Result> {
  const response = await fetch(`http://127.0.0.1:${server.port}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query, variables: JSON.stringify(variables) }),
  });
  return { status: response.status, ...((await response.json()) as object) };
}

interface Change {
  readonly version?: number;
  readonly [field: string]: unknown;
}

export function setFlowRun(server: FakePrefectServer, flow_run_id: string, type: string, { version, ...state }: Change = {}, headers = {}) {
  const mutation = 'mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id status message } } }';
  return ask(server, mutation, { input: { states: [{ flow_run_id, version, state: { type, ...state } }] } }, headers);
}

export function setTaskRun(server: FakePrefectServer, task_run_id: string, type: string, { version, ...state }: Change = {}) {
  const mutation = 'mutation($input: set_task_run_states_input!) { set_task_run_states(input: $input) { states { id status message } } }';
  return ask(server, mutation, { input: { states: [{ task_run_id, version, state: { type, ...state } }] } });
}

export async function queue(
  server: FakePrefectServer,
  labels: string[] = [],
  more: { before?: string; tenant?: string; headers?: object } = {},
) {
  const tenant_id = server.tenant(more.tenant ?? 'default').id;
  const mutation = 'mutation($input: get_runs_in_queue_input!) { get_runs_in_queue(input: $input) { flow_run_ids } }';
  const { data } = await ask(server, mutation, { input: { tenant_id, labels, before: more.before } }, more.headers);
  return data.get_runs_in_queue.flow_run_ids as string[];
}

/** A clock that stands still until a test moves it. */
export class Clock {
  private time = Date.UTC(2022, 11, 5);

  readonly now = (): Date => new Date(this.time);

  pass(seconds: number): void {
    this.time += seconds * 1000;
  }

  in(seconds: number): string {
    return new Date(this.time + seconds * 1000).toISOString();
  }
}
