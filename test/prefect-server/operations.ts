/**
 * The root fields of the schema for one caller, as graphql-js calls them: with their arguments.
 * @see PrefectHQ/server src/prefect_server/graphql/{agents,flows,logs,projects,runs,states}.py
 */
import { randomUUID } from 'node:crypto';
import { GraphQLError } from 'graphql';
import { createFlow, createProject, decompress, type Registration } from './flows';
import { createFlowRun, type FlowRunInput, getOrCreateTaskRun, heartbeat, runsInQueue } from './runs';
import { acceptState, type SerializedState } from './state-types';
import { cancelFlowRun, setFlowRunState, setTaskRunState } from './states';
import type { Agent, FlowRun, Log, Store, TaskRun, Tenant } from './store';
import { type Selection, select } from './where';

/** Who sends a request, by its headers. */
export interface Caller {
  /** The tenants that the caller may see, the one it acts for first; none if Cloud does not know the key. */
  readonly tenants: readonly Tenant[];
  readonly agentId?: string;
  readonly coreVersion?: string;
}

interface Input<T> {
  readonly input: T;
}

type StateInput = { readonly version?: number | null; readonly state: SerializedState };

export function operations(store: Store, caller: Caller) {
  const by = caller.agentId ? `agent ${caller.agentId}` : 'client';

  // every field but hello asks who calls
  const tenants = (): readonly Tenant[] => {
    if (caller.tenants.length === 0) throw new GraphQLError('AuthenticationError: Forbidden', { extensions: { code: 'UNAUTHENTICATED' } });
    return caller.tenants;
  };
  const seen = <Row extends { readonly tenant_id: string }>(rows: readonly Row[]): Row[] => {
    const ids = tenants().map(({ id }) => id);
    return rows.filter(({ tenant_id }) => ids.includes(tenant_id));
  };
  const flowRuns = (): FlowRun[] => seen(store.flowRuns);
  const taskRuns = (): TaskRun[] => flowRuns().flatMap(({ task_runs }) => task_runs);
  const flowRun = (id: string, message: string): FlowRun => known(find(flowRuns(), id), message);
  const taskRun = (id: string, message: string): TaskRun => known(find(taskRuns(), id), message);
  const show = (run: FlowRun) => ({
    ...run,
    task_runs: (selection: Selection) => select(run.task_runs, selection),
    logs: (selection: Selection) => select(run.logs, selection),
  });
  const tenant = (id: string): Tenant => known(find(tenants(), id), 'No tenant found.');

  return {
    hello: () => '👋',
    auth_info: () => ({ tenant_id: tenants()[0].id }),
    tenant: () => tenants(),

    project: (selection: Selection) => select(seen(store.projects), selection),
    flow: (selection: Selection) => select(seen(store.flows), selection),
    agent: () => seen(store.agents),
    agent_config: (selection: Selection) => select(seen(store.agentConfigs), selection),
    flow_run: (selection: Selection) => select(flowRuns(), selection).map(show),
    flow_run_by_pk: ({ id }: { id: string }) => {
      const run = find(flowRuns(), id);
      return run ? show(run) : null;
    },
    task_run: (selection: Selection) => select(taskRuns(), selection),
    get_task_run_info: ({ task_run_id }: { task_run_id: string }) => taskRun(task_run_id, 'Invalid task run ID'),

    create_project: ({ input }: Input<{ tenant_id: string; name: string; description?: string | null }>) => ({
      id: createProject(store, tenant(input.tenant_id), input.name, input.description).id,
    }),

    create_flow_from_compressed_string: ({ input }: Input<Registration & { project_id: string; serialized_flow: string }>) => {
      const serialized = decompress(input.serialized_flow);
      return { id: createFlow(store, known(find(seen(store.projects), input.project_id), 'Invalid project.'), serialized, input).id };
    },

    create_flow_run: ({ input }: Input<FlowRunInput & { flow_id: string }>) => ({
      id: createFlowRun(store, known(find(seen(store.flows), input.flow_id), `Flow ${input.flow_id} not found`), input).id,
    }),

    register_agent: ({ input }: Input<AgentInput>) => ({
      id: registerAgent(store, input.tenant_id ? tenant(input.tenant_id) : tenants()[0], input, caller.coreVersion ?? null).id,
    }),

    get_runs_in_queue: ({ input }: Input<{ tenant_id: string; before?: Date | null; labels?: string[] | null }>) => {
      const agent = store.agents.find(({ id }) => id === caller.agentId);
      if (agent) agent.last_queried = store.now();
      const queue = runsInQueue(store, input.tenant_id, input.before ?? store.now(), input.labels ?? []);
      return { flow_run_ids: seen(queue).map(({ id }) => id) };
    },

    set_flow_run_states: ({ input }: Input<{ states: Array<StateInput & { flow_run_id: string }> }>) => ({
      states: input.states.map(({ flow_run_id: id, version, state }) => {
        const run = flowRun(id, `State update failed for flow run ID ${id}`);
        setFlowRunState(store, run, acceptState(state, store.now()), { by, version, agentId: caller.agentId });
        return { id, status: 'SUCCESS', message: null };
      }),
    }),

    set_task_run_states: ({ input }: Input<{ states: Array<StateInput & { task_run_id: string }> }>) => ({
      states: input.states.map(({ task_run_id: id, version, state }) => {
        const run = taskRun(id, `State update failed for task run ID ${id}`);
        setTaskRunState(store, run, acceptState(state, store.now()), { by, version });
        return { id, status: 'SUCCESS', message: null };
      }),
    }),

    cancel_flow_run: ({ input }: Input<{ flow_run_id: string }>) => {
      const run = flowRun(input.flow_run_id, `Invalid flow run ID: ${input.flow_run_id}.`);
      cancelFlowRun(store, run, by);
      return { state: run.state };
    },

    get_or_create_task_run_info: ({ input }: Input<{ flow_run_id: string; task_id: string; map_index?: number | null }>) =>
      getOrCreateTaskRun(store, flowRun(input.flow_run_id, 'Invalid flow run ID'), input.task_id, input.map_index),

    set_task_run_name: ({ input }: Input<{ task_run_id: string; name: string }>) => {
      taskRun(input.task_run_id, 'Invalid task run ID').name = input.name;
      return { success: true };
    },

    // the server writes it in the background: the answer says nothing of the run
    update_flow_run_heartbeat: ({ input }: Input<{ flow_run_id: string }>) => {
      const run = find(flowRuns(), input.flow_run_id);
      if (run) heartbeat(store, run);
      return { success: true };
    },

    write_run_logs: ({ input }: Input<{ logs: Array<Partial<Log> & { flow_run_id: string }> }>) => {
      for (const { flow_run_id, task_run_id = null, timestamp, level, name = null, message = null } of input.logs) {
        const run = flowRun(flow_run_id, 'Invalid flow run ID');
        run.logs.push({ task_run_id, timestamp: timestamp ?? store.now(), level: level ?? 'INFO', name, message });
      }
      return { success: true };
    },
  };
}

interface AgentInput {
  readonly tenant_id?: string | null;
  readonly labels?: string[] | null;
  readonly agent_config_id?: string | null;
  readonly type: string;
  readonly name?: string | null;
}

/** Agents that are alike are one agent. @see PrefectHQ/server src/prefect_server/api/agents.py register_agent */
function registerAgent(store: Store, tenant: Tenant, input: AgentInput, core_version: string | null): Agent {
  const labels = [...(input.labels ?? [])].sort();
  const alike = { tenant_id: tenant.id, name: input.name ?? null, type: input.type, core_version, labels };
  const keys = Object.keys(alike) as Array<keyof typeof alike>;
  const registered = store.agents.find((agent) => keys.every((key) => JSON.stringify(agent[key]) === JSON.stringify(alike[key])));
  if (registered) return registered;
  const agent: Agent = { ...alike, id: randomUUID(), agent_config_id: input.agent_config_id ?? null, last_queried: null };
  store.agents.push(agent);
  return agent;
}

function find<T extends { readonly id: string }>(rows: readonly T[], id: string): T | undefined {
  return rows.find((row) => row.id === id);
}

function known<T>(row: T | undefined, message: string): T {
  if (!row) throw new Error(message);
  return row;
}
