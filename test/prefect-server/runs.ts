/** How runs come to be, wait and show life. @see PrefectHQ/server src/prefect_server/api/runs.py */
import { newState, WAITING } from './state-types';
import { type Flow, type FlowRun, type Json, newRun, type Store, type Task, type TaskRun } from './store';

/** @see PrefectHQ/server src/prefect_server/config.toml queued_runs_returned_limit */
const QUEUED_RUNS_RETURNED = 25;

/** The map index of a task run that is not the child of a mapped one. */
const UNMAPPED = -1;

export interface FlowRunInput {
  readonly parameters?: Json | null;
  /** Default: those of the run config, or of the flow's group, or of the flow. */
  readonly labels?: readonly string[] | null;
  readonly run_config?: Json | null;
  readonly context?: Json | null;
  readonly scheduled_start_time?: Date | null;
  readonly flow_run_name?: string | null;
  /** With the key of a run of the flow, no other is made. */
  readonly idempotency_key?: string | null;
}

/** @see PrefectHQ/server src/prefect_server/api/runs.py create_flow_run */
export function createFlowRun(store: Store, flow: Flow, input: FlowRunInput): FlowRun {
  if (flow.archived) throw new Error(`Flow ${flow.id} is archived.`);
  const parameters = withDefaults(flow, input.parameters ?? {});
  const key = input.idempotency_key ?? null;
  const made = key && store.flowRuns.find((run) => run.flow === flow && run.idempotency_key === key);
  if (made) return made;
  const timestamp = store.now();
  const scheduled = input.scheduled_start_time ?? timestamp;
  const state = newState('Scheduled', 'Flow run scheduled.', { start_time: scheduled.toISOString() });
  const run: FlowRun = {
    ...newRun({ version: 1, timestamp, serialized_state: state, by: 'server' }),
    tenant_id: flow.tenant_id,
    flow_id: flow.id,
    flow,
    name: input.flow_run_name ?? `${flow.name}-${store.flowRuns.length + 1}`,
    labels: [...(input.labels ?? labelsOf(input.run_config) ?? flow.flow_group.labels ?? labelsOf(flow.run_config) ?? [])].sort(),
    parameters,
    context: input.context ?? {},
    run_config: input.run_config ?? flow.run_config,
    scheduled_start_time: scheduled,
    idempotency_key: key,
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

/** A run config without labels has none, rather than those of the flow. */
function labelsOf(runConfig: Json | null | undefined): readonly string[] | undefined {
  return runConfig ? ((runConfig.labels as string[] | null) ?? []) : undefined;
}

function withDefaults(flow: Flow, given: Json): Json {
  const defaults = flow.parameters.filter((parameter) => parameter.default).map((parameter) => [parameter.name, parameter.default]);
  const parameters = { ...Object.fromEntries(defaults), ...given };
  const missing = flow.parameters.filter(({ name, required }) => required && !(name in parameters)).map(({ name }) => `'${name}'`);
  if (missing.length > 0) throw new Error(`Required parameters were not supplied: {${missing.join(', ')}}`);
  return parameters;
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
