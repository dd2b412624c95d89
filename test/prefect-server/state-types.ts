/**
 * Prefect's states as they travel: a JSON object with `type`.
 * @see PrefectHQ/prefect src/prefect/engine/state.py (the hierarchy), src/prefect/serialization/state.py (the fields)
 */
export interface SerializedState {
  readonly type: string;
  readonly message?: string | null;
  readonly start_time?: string | null;
  readonly cached_inputs?: object | null;
  readonly [field: string]: unknown;
}

const SCHEDULED = ['Scheduled', 'Paused', 'Resume', 'Retrying'];
const RUNNING = ['Running', 'Cancelling'];
const SUCCESSFUL = ['Success', 'Cached', 'Mapped', 'Skipped'];
const FAILED = ['Failed', 'TimedOut', 'TriggerFailed', 'ValidationFailed'];
const FINISHED = [...SUCCESSFUL, ...FAILED, 'Finished', 'Looped', 'Cancelled'];
const STATES = [...SCHEDULED, ...RUNNING, ...FINISHED, 'Pending', 'Submitted', 'Queued', 'ClientFailed'];

/** @see PrefectHQ/server src/prefect_server/api/runs.py SCHEDULED_STATES */
export const WAITING: readonly string[] = [...SCHEDULED, 'Queued'];
/** @see PrefectHQ/server src/prefect_server/services/towel/lazarus.py LAZARUS_EXCLUDE */
export const LAZARUS_EXCLUDE: readonly string[] = [...SCHEDULED, ...RUNNING];

export const isRunning = (state: SerializedState): boolean => RUNNING.includes(state.type);
export const isFinished = (state: SerializedState): boolean => FINISHED.includes(state.type);

const MAX_STATE_BYTES = 1_000_000;
const TEN_YEARS_MS = 10 * 365 * 24 * 3600 * 1000;

/**
 * Accepts a state as the server does: its type must be known, and what waits has a time to wait for.
 * @see PrefectHQ/server src/prefect_server/graphql/states.py check_size_and_set_state
 */
export function acceptState(state: SerializedState, now: Date): SerializedState {
  if (!STATES.includes(state?.type)) throw new Error(`Unsupported value: ${state?.type}`);
  if (JSON.stringify(state).length > MAX_STATE_BYTES) throw new Error('State payload is too large.');
  if (!WAITING.includes(state.type) || state.start_time) return state;
  const delay = state.type === 'Paused' ? TEN_YEARS_MS : 0;
  return { ...state, start_time: new Date(now.getTime() + delay).toISOString() };
}

/** A state that the server itself sets, in the shape that the client's `serialize()` gives. */
export function newState(type: string, message: string, fields: { start_time?: string; run_count?: number } = {}): SerializedState {
  return {
    type,
    message,
    context: {},
    cached_inputs: {},
    _result: { type: 'NoResultType', __version__: '1.4.1' },
    __version__: '1.4.1',
    ...fields,
  };
}
