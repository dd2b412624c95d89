/** The server's services that put right what stands still; they run when called. @see PrefectHQ/server src/prefect_server/services/towel */
import { LAZARUS_EXCLUDE, newState } from './state-types';
import { setFlowRunState, setTaskRunState } from './states';
import type { FlowRun, Store, TaskRun } from './store';

/** @see PrefectHQ/server src/prefect_server/config.toml resurrection_attempt_limit */
const RESURRECTION_LIMIT = 3;

/**
 * Schedules runs again that are submitted or running, show no life, and of which no task waits or runs.
 * @see PrefectHQ/server src/prefect_server/services/towel/lazarus.py
 */
export function lazarus(store: Store, heartbeatCutoff: Date): FlowRun[] {
  const by = 'lazarus';
  const dead = store.flowRuns.filter(
    (run) =>
      ['Running', 'Submitted'].includes(run.state) &&
      isStale(run, heartbeatCutoff) &&
      !run.task_runs.some((taskRun) => LAZARUS_EXCLUDE.includes(taskRun.state)) &&
      run.flow.settings.lazarus_enabled,
  );
  for (const run of dead) {
    if (run.times_resurrected < RESURRECTION_LIMIT) {
      const state = newState('Scheduled', 'Rescheduled by a Lazarus process.', { start_time: store.now().toISOString() });
      setFlowRunState(store, run, state, { by });
      run.times_resurrected += 1;
      log(store, run, 'INFO', `Rescheduled by a Lazarus process. This is attempt ${run.times_resurrected}.`);
    } else {
      const message = `A Lazarus process attempted to reschedule this run ${RESURRECTION_LIMIT} times without success. Marking as failed.`;
      setFlowRunState(store, run, newState('Failed', message), { by });
      log(store, run, 'ERROR', message);
    }
  }
  return dead;
}

/**
 * Retries or fails running tasks of runs that show no life, and fails such runs that are being cancelled.
 * @see PrefectHQ/server src/prefect_server/services/towel/zombie_killer.py
 */
export function zombieKiller(store: Store, heartbeatCutoff: Date): Array<FlowRun | TaskRun> {
  const tasks = store.taskRuns.filter((taskRun) => taskRun.state === 'Running' && isStale(taskRun.flow_run, heartbeatCutoff));
  for (const taskRun of tasks) reapTaskRun(store, taskRun);
  const runs = store.flowRuns.filter((run) => run.state === 'Cancelling' && isStale(run, heartbeatCutoff));
  for (const run of runs) {
    const message = 'No heartbeat detected from the flow run; marking the run as failed.';
    setFlowRunState(store, run, newState('Failed', message), { by: 'zombie killer' });
    log(store, run, 'ERROR', message);
  }
  return [...tasks, ...runs];
}

function reapTaskRun(store: Store, taskRun: TaskRun): void {
  const { flow_run: run, task } = taskRun;
  const retries = taskRun.states.filter(({ serialized_state }) => serialized_state.type === 'Retrying').length;
  const again = run.state === 'Running' && retries < task.max_retries;
  const message = again
    ? `No heartbeat detected from the remote task; retrying the run. This will be retry ${retries + 1} of ${task.max_retries}.`
    : `No heartbeat detected from the remote task; marking the task run ${taskRun.id} (${taskRun.name}) as failed.`;
  const state = again
    ? newState('Retrying', message, { run_count: retries + 1, start_time: store.secondsFromNow(task.retry_delay).toISOString() })
    : newState('Failed', message);
  setTaskRunState(store, taskRun, state, { by: 'zombie killer' });
  log(store, run, 'ERROR', message, taskRun.id);
}

function isStale({ heartbeat, flow }: FlowRun, cutoff: Date): boolean {
  return flow.settings.heartbeat_enabled && heartbeat !== null && heartbeat <= cutoff;
}

function log(store: Store, run: FlowRun, level: string, message: string, task_run_id: string | null = null): void {
  run.logs.push({ task_run_id, timestamp: store.now(), level, name: 'towel', message });
}
