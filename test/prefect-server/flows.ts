/** How flows get into projects. @see PrefectHQ/server src/prefect_server/graphql/{projects,flows}.py, api/{projects,flows}.py */
import { randomUUID } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { cancelFlowRun } from './states';
import type { Flow, FlowGroup, FlowSettings, Json, Parameter, Project, Store, Tenant } from './store';

const DEFAULT_SETTINGS: FlowSettings = { heartbeat_enabled: true, lazarus_enabled: true, version_locking_enabled: false };

/** A task as the client serializes it for registration, as far as the server acts on it: see `tasksOf`. */
export interface RegisteredTask {
  readonly slug: string;
  readonly cache_key?: string | null;
  readonly max_retries?: number | null;
  readonly retry_delay?: number | null;
}

/** A flow as the client serializes it. @see PrefectHQ/prefect src/prefect/serialization/flow.py */
export interface SerializedFlow {
  readonly name: string;
  readonly tasks: readonly RegisteredTask[];
  readonly parameters: readonly Parameter[];
  readonly storage: Json;
  readonly run_config: Json;
  readonly __version__: string;
}

export interface Registration {
  /** The flows that are versions of each other. Default: those of the same name in the project. */
  readonly version_group_id?: string | null;
  /** With the key of the registration before, nothing is registered. */
  readonly idempotency_key?: string | null;
  /** Of a version group that is new. */
  readonly settings?: Partial<FlowSettings>;
}

/** @see PrefectHQ/server src/prefect_server/database/hasura.py execute (the message) */
export function createProject(store: Store, tenant: Tenant, name: string, description: string | null = null): Project {
  if (store.projects.some((project) => project.tenant_id === tenant.id && project.name === name)) throw new Error('Uniqueness violation.');
  const project = { id: randomUUID(), tenant_id: tenant.id, name, description };
  store.projects.push(project);
  return project;
}

/** What the client sends. @see PrefectHQ/prefect src/prefect/utilities/graphql.py compress */
export function decompress(compressed: string): SerializedFlow {
  try {
    return JSON.parse(gunzipSync(Buffer.from(compressed, 'base64')).toString());
  } catch {
    throw new TypeError('Unable to decompress serialized flow');
  }
}

/** Registers a flow as the newest version of its group, and archives the others. */
export function createFlow(store: Store, project: Project, serialized: SerializedFlow, registration: Registration = {}): Flow {
  const group = flowGroup(store, project, serialized.name, registration);
  const versions = store.flows.filter(({ flow_group }) => flow_group === group);
  const current = versions.filter(({ archived }) => !archived);
  const key = registration.idempotency_key ?? null;
  if (key && key === group.idempotency_key && current.length > 0) return current.at(-1) as Flow;
  group.idempotency_key = key;
  const flow: Flow = {
    id: randomUUID(),
    tenant_id: project.tenant_id,
    created: store.now(),
    name: serialized.name,
    version: Math.max(0, ...versions.map(({ version }) => version)) + 1,
    archived: false,
    core_version: serialized.__version__,
    environment: null,
    storage: serialized.storage,
    run_config: serialized.run_config,
    parameters: serialized.parameters,
    serialized_flow: serialized,
    settings: group.settings,
    project,
    flow_group: group,
    flow_group_id: group.id,
    tasks: serialized.tasks.map(({ slug, cache_key, max_retries, retry_delay }) => ({
      id: randomUUID(),
      slug,
      cache_key: cache_key ?? null,
      max_retries: max_retries ?? 0,
      retry_delay: retry_delay ?? 0,
    })),
  };
  store.flows.push(flow);
  for (const older of current) archive(store, older);
  return flow;
}

function flowGroup(store: Store, { id, tenant_id }: Project, flow: string, { version_group_id, settings }: Registration): FlowGroup {
  const named = store.flows.filter(({ project, name }) => project.id === id && name === flow).at(-1);
  const name = version_group_id ?? named?.flow_group.name ?? randomUUID();
  const found = store.flowGroups.find((group) => group.tenant_id === tenant_id && group.name === name);
  if (found) return found;
  const group = { id: randomUUID(), tenant_id, name, labels: null, settings: { ...DEFAULT_SETTINGS, ...settings }, idempotency_key: null };
  store.flowGroups.push(group);
  return group;
}

/** A flow that is archived cannot be run, and its runs that have not begun will not. */
function archive(store: Store, flow: Flow): void {
  flow.archived = true;
  const waiting = store.flowRuns.filter((run) => run.flow === flow && run.state === 'Scheduled');
  for (const run of waiting) cancelFlowRun(store, run, 'server', `Flow ${flow.id} was archived.`);
}
