/** How states change. @see PrefectHQ/server src/prefect_server/api/states.py */
import { GraphQLError } from 'graphql';
import { heartbeat } from './runs';
import { isFinished, isRunning, newState, type SerializedState } from './state-types';
import { addState, type FlowRun, type Store, type TaskRun } from './store';

const SUBMITTED_LOCK_SECONDS = 30;

export interface StateChange {
  readonly by: string;
  /** The version that the client believes to be current. */
  readonly version?: number | null;
  readonly agentId?: string;
}

/** @see PrefectHQ/server src/prefect_server/api/states.py set_flow_run_state */
export function setFlowRunState(store: Store, run: FlowRun, state: SerializedState, { by, version, agentId }: StateChange): void {
  checkVersion(store, `flow run ID ${run.id}`, run, run, version);
  if (state.type === 'Submitted') lockSubmission(store, run);
  if (state.type === 'Cancelled') {
    for (const taskRun of run.task_runs.filter((each) => !isFinished(each.serialized_state)))
      setTaskRunState(store, taskRun, state, { by });
  }
  addState(run, { version: run.version + 1, timestamp: store.now(), serialized_state: state, by });
  if (isRunning(state) || state.type === 'Submitted') heartbeat(store, run);
  if (state.type === 'Submitted' && store.agents.some((agent) => agent.id === agentId)) run.agent_id = agentId as string;
}

/** @see PrefectHQ/server src/prefect_server/api/states.py set_task_run_state */
export function setTaskRunState(store: Store, taskRun: TaskRun, state: SerializedState, { by, version }: StateChange): void {
  const { flow_run: run, serialized_state: old } = taskRun;
  checkVersion(store, `task run ID ${taskRun.id}`, run, taskRun, version);
  if (isRunning(state) && run.state !== 'Running') {
    throw new Error(
      `State update failed for task run ID ${taskRun.id}: provided a running state but associated flow run ${run.id} is not in a running state.`,
    );
  }
  const carried = hasInputs(old) && !hasInputs(state) ? { ...state, cached_inputs: old.cached_inputs } : state;
  addState(taskRun, { version: taskRun.version + 1, timestamp: store.now(), serialized_state: carried, by });
}

/** @see PrefectHQ/server src/prefect_server/api/states.py cancel_flow_run */
export function cancelFlowRun(store: Store, run: FlowRun, by: string, message?: string): void {
  if (isFinished(run.serialized_state)) return;
  const state = isRunning(run.serialized_state)
    ? newState('Cancelling', message ?? 'Flow run is cancelling')
    : newState('Cancelled', message ?? 'Flow run is cancelled');
  setFlowRunState(store, run, state, { by });
}

/**
 * Two agents that found the same run: the second may not submit it. The lock is one of time, not of the run's state: after it the
 * server lets the run be submitted again.
 * @see PrefectHQ/server src/prefect_server/api/states.py submitted_state_lock
 */
function lockSubmission(store: Store, run: FlowRun): void {
  const until = store.submittedUntil.get(run.id);
  if (until && store.now() < until) throw new Error('State update failed: this run has already been submitted.');
  store.submittedUntil.set(run.id, store.secondsFromNow(SUBMITTED_LOCK_SECONDS));
}

/**
 * Server takes a version and ignores it; Cloud compares it if the flow group says so and the client sent one.
 * @see PrefectHQ/server src/prefect_server/api/states.py ("a version (only for Cloud API compatibility)")
 * @see PrefectHQ/prefect src/prefect/client/client.py graphql (VERSION_LOCKING_ERROR); the message is that of issue 1956
 */
function checkVersion(store: Store, what: string, run: FlowRun, { version: current }: { version: number }, provided?: number | null): void {
  if (store.backend !== 'cloud' || !run.flow.settings.version_locking_enabled || provided == null || provided === current) return;
  throw new GraphQLError(`State update failed for ${what}: provided version ${provided} but current version is ${current}.`, {
    extensions: { code: 'VERSION_LOCKING_ERROR' },
  });
}

const hasInputs = (state: SerializedState): boolean => Object.keys(state.cached_inputs ?? {}).length > 0;
