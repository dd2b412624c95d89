/** The short way of a test to a run: its flow is registered when it is first seen. */
import { dirname } from 'node:path';
import { createFlow, createProject, type RegisteredTask } from './flows';
import { createFlowRun } from './runs';
import type { FlowRun, FlowSettings, Json, Store, Tenant } from './store';

/** The project of these flows. */
const PROJECT = 'flows';

/** A flow and a run of it. */
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

export function scheduleRun(store: Store, tenant: Tenant, request: RunRequest): FlowRun {
  const { flow: name, tasks = [], coreVersion = '1.4.1', runConfig, settings, labels, parameters, startTime } = request;
  const serialized = {
    name,
    tasks,
    parameters: [],
    storage: request.storage ?? scriptStorage(request),
    run_config: runConfig ?? { type: 'UniversalRun', env: {}, labels: [], __version__: '1.4.1' },
    __version__: coreVersion,
  };
  const project =
    store.projects.find((each) => each.tenant_id === tenant.id && each.name === PROJECT) ?? createProject(store, tenant, PROJECT);
  // Flows that differ are no versions of each other: a newer one would cancel the runs of an older one that still wait.
  const key = JSON.stringify([serialized, settings]);
  const flow = createFlow(store, project, serialized, { version_group_id: key, idempotency_key: key, settings });
  return createFlowRun(store, flow, {
    labels,
    parameters,
    scheduled_start_time: startTime,
    flow_run_name: request.name,
  });
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
