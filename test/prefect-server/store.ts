/**
 * The tables. Rows have the server's column names, so that the schema serves a row as it is.
 * @see PrefectHQ/server src/prefect_server/database/models.py
 */
import { randomUUID } from 'node:crypto';
import type { SerializedState } from './state-types';

/** Prefect Server has no authentication and no version locking; Prefect Cloud has both. */
export type Backend = 'server' | 'cloud';

export type Json = Readonly<Record<string, unknown>>;

export interface Tenant {
  readonly id: string;
  readonly name: string;
  readonly slug: string;
  readonly keys: Set<string>;
}

export interface Project {
  readonly id: string;
  readonly tenant_id: string;
  readonly name: string;
  readonly description: string | null;
}

/** @see PrefectHQ/server src/prefect_server/api/flows.py create_flow (the settings of a flow group) */
export interface FlowSettings {
  readonly heartbeat_enabled: boolean;
  readonly lazarus_enabled: boolean;
  readonly version_locking_enabled: boolean;
}

/** The versions of a flow. */
export interface FlowGroup {
  readonly id: string;
  readonly tenant_id: string;
  /** The version group id. */
  readonly name: string;
  readonly labels: readonly string[] | null;
  readonly settings: FlowSettings;
  idempotency_key: string | null;
}

export interface Flow {
  readonly id: string;
  readonly tenant_id: string;
  readonly created: Date;
  readonly name: string;
  readonly version: number;
  archived: boolean;
  readonly core_version: string;
  readonly environment: null;
  readonly storage: Json;
  readonly run_config: Json;
  readonly parameters: readonly Parameter[];
  readonly serialized_flow: object;
  readonly settings: FlowSettings;
  readonly project: Project;
  readonly flow_group: FlowGroup;
  readonly flow_group_id: string;
  readonly tasks: readonly Task[];
}

export interface Parameter {
  readonly name: string;
  readonly required: boolean;
  readonly default?: unknown;
}

export interface Task {
  readonly id: string;
  readonly slug: string;
  readonly cache_key: string | null;
  readonly max_retries: number;
  /** Seconds. */
  readonly retry_delay: number;
}

export interface StateRow {
  readonly version: number;
  readonly timestamp: Date;
  readonly serialized_state: SerializedState;
  /** Who set it: `agent ID`, `client`, `ui`, `lazarus`, `zombie killer` or `server`. */
  readonly by: string;
}

/** What flow runs and task runs have in common. The columns of the state are those of the latest state. */
interface Run {
  readonly id: string;
  readonly states: StateRow[];
  version: number;
  state: string;
  state_message: string | null;
  state_timestamp: Date;
  state_start_time: Date | null;
  serialized_state: SerializedState;
  updated: Date;
}

export interface FlowRun extends Run {
  readonly tenant_id: string;
  readonly flow_id: string;
  readonly flow: Flow;
  readonly name: string;
  readonly labels: readonly string[];
  readonly parameters: Json;
  readonly context: Json;
  readonly run_config: Json;
  readonly scheduled_start_time: Date;
  readonly idempotency_key: string | null;
  readonly task_runs: TaskRun[];
  readonly logs: Log[];
  heartbeat: Date | null;
  agent_id: string | null;
  times_resurrected: number;
}

export interface TaskRun extends Run {
  readonly flow_run: FlowRun;
  readonly task_id: string;
  readonly task: Task;
  readonly map_index: number;
  readonly cache_key: string | null;
  name: string | null;
}

export interface Log {
  readonly task_run_id: string | null;
  readonly timestamp: Date;
  readonly level: string;
  readonly name: string | null;
  readonly message: string | null;
}

export interface Agent {
  readonly id: string;
  readonly tenant_id: string;
  readonly agent_config_id: string | null;
  readonly name: string | null;
  readonly type: string;
  readonly core_version: string | null;
  readonly labels: readonly string[];
  last_queried: Date | null;
}

export interface AgentConfig {
  readonly id: string;
  readonly tenant_id: string;
  readonly settings: Json;
}

export class Store {
  readonly projects: Project[] = [];
  readonly flowGroups: FlowGroup[] = [];
  readonly flows: Flow[] = [];
  readonly flowRuns: FlowRun[] = [];
  readonly agents: Agent[] = [];
  readonly agentConfigs: AgentConfig[] = [];
  /** When the 30 seconds end in which a run that was submitted is not submitted again. */
  readonly submittedUntil = new Map<string, Date>();

  constructor(
    readonly backend: Backend,
    readonly tenants: readonly Tenant[],
    readonly now: () => Date,
  ) {}

  get taskRuns(): TaskRun[] {
    return this.flowRuns.flatMap((run) => run.task_runs);
  }

  secondsFromNow(seconds: number): Date {
    return new Date(this.now().getTime() + seconds * 1000);
  }
}

/** A run in its first state. */
export function newRun(row: StateRow): Run {
  return { id: randomUUID(), states: [row], ...latest(row) };
}

export function addState(run: Run, row: StateRow): void {
  run.states.push(row);
  Object.assign(run, latest(row));
}

/**
 * The columns of a run that follow its latest state.
 * @see PrefectHQ/server services/postgres/alembic/versions/2021-03-16T221106_improve_run_triggers_to_handle_same_.py
 */
function latest({ version, timestamp, serialized_state }: StateRow): Omit<Run, 'id' | 'states'> {
  return {
    version,
    state: serialized_state.type,
    state_message: serialized_state.message ?? null,
    state_timestamp: timestamp,
    state_start_time: serialized_state.start_time ? new Date(serialized_state.start_time) : null,
    serialized_state,
    updated: timestamp,
  };
}
