/** How runs come to be, wait and show life. @see PrefectHQ/server src/prefect_server/api/runs.py */
import { randomUUID } from 'node:crypto';
import { dirname } from 'node:path';
import { newState, WAITING } from './state-types';
import { type Flow, type FlowRun, type FlowSettings, type Json, newRun, type Store, type Task, type TaskRun, type Tenant } from './store';

/** @see PrefectHQ/server src/prefect_server/config.toml queued_runs_returned_limit */
const QUEUED_RUNS_RETURNED = 25;

/** The map index of a task run that is not the child of a mapped one. */
const UNMAPPED = -1;

const DEFAULT_SETTINGS: FlowSettings = { heartbeat_enabled: true, lazarus_enabled: true, version_locking_enabled: false };

/** A task as the client serializes it for registration, as far as the server acts on it: see `tasksOf`. */
export interface RegisteredTask {
  readonly slug: string;
  readonly cache_key?: string | null;
  readonly max_retries?: number | null;
  readonly retry_delay?: number | null;
}

/** A flow, which is registered when it is first seen, and a run of it. */
export interface RunRequest {
  readonly flow: string;
  /** The flow's script where it runs. */
  readonly path?: string;
  /** The flow's tasks. A flow whose tasks are not registered is found, but its tasks fail. */
  readonly tasks?: readonly RegisteredTask[];
  readonly coreVersion?: string;
  /** Serialized storage, instead of a script at `path`. */
  readonly storage?: Json;
  readonly settings?: Partial<FlowSettings>;
  readonly runConfig?: Json;
  readonly labels?: readonly string[];
  readonly parameters?: Json;
  readonly name?: string;
  readonly startTime?: Date;
}

/** @see PrefectHQ/server src/prefect_server/api/runs.py create_flow_run */
export function createFlowRun(store: Store, tenant: Tenant, request: RunRequest): FlowRun {
  const flow = register(store, tenant, request);
  const timestamp = store.now();
  const scheduled = request.startTime ?? timestamp;
  const state = newState('Scheduled', 'Flow run scheduled.', { start_time: scheduled.toISOString() });
  const run: FlowRun = {
    ...newRun({ version: 1, timestamp, serialized_state: state, by: 'server' }),
    tenant_id: tenant.id,
    flow_id: flow.id,
    flow,
    name: request.name ?? `${flow.name}-${store.flowRuns.length + 1}`,
    labels: request.labels ?? (flow.run_config.labels as string[] | undefined) ?? [],
    parameters: request.parameters ?? {},
    context: {},
    run_config: flow.run_config,
    scheduled_start_time: scheduled,
    task_runs: [],
    logs: [],
    heartbeat: null,
    agent_id: null,
    times_resurrected: 0,
  };
  for (const task of flow.tasks) createTaskRun(store, run, task, UNMAPPED);
  store.flowRuns.push(run);
  return run;
}

/** @see PrefectHQ/server src/prefect_server/api/flows.py create_flow */
function register(store: Store, tenant: Tenant, request: RunRequest): Flow {
  const { flow: name, tasks = [], coreVersion, storage, settings, runConfig } = request;
  const content = {
    tenant_id: tenant.id,
    name,
    core_version: coreVersion ?? '1.4.1',
    environment: null,
    storage: storage ?? scriptStorage(request),
    run_config: runConfig ?? { type: 'UniversalRun', env: {}, labels: [], __version__: '1.4.1' },
    settings: { ...DEFAULT_SETTINGS, ...settings },
  };
  const key = JSON.stringify([content, tasks]);
  const registered = store.flows.get(key);
  if (registered) return registered;
  const flow: Flow = {
    ...content,
    id: randomUUID(),
    version: [...store.flows.values()].filter((other) => other.tenant_id === tenant.id && other.name === name).length + 1,
    project: { id: tenant.id, name: 'flows' },
    tasks: tasks.map(({ slug, cache_key, max_retries, retry_delay }) => ({
      id: randomUUID(),
      slug,
      cache_key: cache_key ?? null,
      max_retries: max_retries ?? 0,
      retry_delay: retry_delay ?? 0,
    })),
  };
  store.flows.set(key, flow);
  return flow;
}

/** @see PrefectHQ/prefect src/prefect/storage/local.py */
function scriptStorage({ flow, path }: RunRequest): Json {
  if (!path) throw new Error(`the run of ${flow} says neither where the flow's script is (path) nor its storage`);
  return {
    type: 'Local',
    directory: dirname(path),
    path,
    stored_as_script: true,
    flows: { [flow]: path },
    secrets: [],
    __version__: '1.4.1',
  };
}

/** @see PrefectHQ/server src/prefect_server/api/runs.py get_or_create_task_run_info */
export function getOrCreateTaskRun(store: Store, run: FlowRun, taskId: string, mapIndex: number | null | undefined): TaskRun {
  const map_index = mapIndex ?? UNMAPPED;
  const found = run.task_runs.find((taskRun) => taskRun.task_id === taskId && taskRun.map_index === map_index);
  if (found) return found;
  const task = run.flow.tasks.find(({ id }) => id === taskId);
  if (!task) throw new Error('Invalid task ID');
  return createTaskRun(store, run, task, map_index);
}

function createTaskRun(store: Store, run: FlowRun, task: Task, map_index: number): TaskRun {
  const state = newState('Pending', 'Task run created');
  const taskRun: TaskRun = {
    ...newRun({ version: 0, timestamp: store.now(), serialized_state: state, by: 'server' }),
    flow_run: run,
    task_id: task.id,
    task,
    map_index,
    cache_key: task.cache_key,
    name: null,
  };
  run.task_runs.push(taskRun);
  return taskRun;
}

/** @see PrefectHQ/server src/prefect_server/api/runs.py update_flow_run_heartbeat */
export function heartbeat(store: Store, run: FlowRun): void {
  run.heartbeat = store.now();
  run.updated = run.heartbeat;
}

/**
 * The runs that an agent with these labels may take: scheduled ones, and running ones of which a task waits for its time.
 * @see PrefectHQ/server src/prefect_server/api/runs.py get_runs_in_queue
 */
export function runsInQueue(store: Store, tenantId: string, before: Date, labels: readonly string[]): FlowRun[] {
  const due = (run: FlowRun | TaskRun): boolean =>
    WAITING.includes(run.state) && run.state_start_time !== null && run.state_start_time <= before;
  // those without a time are last, as in SQL
  const time = (run: FlowRun): number => run.state_start_time?.getTime() ?? Number.MAX_VALUE;
  return store.flowRuns
    .filter((run) => run.tenant_id === tenantId && (due(run) || (run.state === 'Running' && run.task_runs.some(due))))
    .sort((a, b) => time(a) - time(b))
    .slice(0, 3 * QUEUED_RUNS_RETURNED)
    .filter((run) => run.labels.every((label) => labels.includes(label)) && (run.labels.length > 0 || labels.length === 0))
    .slice(0, QUEUED_RUNS_RETURNED);
}
