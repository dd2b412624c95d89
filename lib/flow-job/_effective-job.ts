import { reprList } from '../prefect-api/_python';
import type { PrefectApi } from '../prefect-api/prefect-api';
import type { FlowJob } from './_job';
import type { FlowRun } from './flow-run';

const NO_ID = '00000000-0000-0000-0000-000000000000';

/** The settings of an agent that it adds to every Job. */
export interface AgentView {
  readonly api: PrefectApi;
  readonly labels: string[];
  readonly flowEnvVars: Record<string, string>;
  readonly flowLevel: string;
  readonly sendFlowRunLogs: boolean;
  readonly deleteFinishedJobs: boolean;
  /** Version of the agent's Prefect, as numbers. */
  readonly version: number[];
}

interface EnvEntry {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: object;
}

// biome-ignore lint/suspicious/noExplicitAny: a flow's own template may be anything
type Json = any;

/**
 * The Job that the agent creates from its template for one flow run. It does what generate_job_spec of PrefectHQ/prefect,
 * agent/kubernetes/agent.py, does, and flow_jobs.py of the launcher. The random part of its name is eight zeros.
 */
export function effectiveJob(template: FlowJob, run: FlowRun, agent: AgentView, tokenForNamedAccounts: boolean): Json {
  const { runConfig = {} } = run;
  const job: Json = structuredClone(runConfig.jobTemplate ?? template);
  const identifier = '0'.repeat(8);
  const labels = {
    'prefect.io/identifier': identifier,
    'prefect.io/flow_run_id': run.id ?? NO_ID,
    'prefect.io/flow_id': run.flowId ?? NO_ID,
  };
  job.metadata ??= {};
  job.spec.template.metadata ??= {};
  const prefix = since(agent, [1, 3, 0]) ? (job.metadata.name ?? 'prefect-job') : 'prefect-job';
  job.metadata.name = `${prefix.slice(0, 48)}-${identifier}`;
  // The launcher adds the labels of the agent's template. A template of the flow itself may have other values.
  const stamps = Object.fromEntries(Object.entries(template.metadata.labels ?? {}).filter(([key]) => key.startsWith('cdk8s-prefect/')));
  if (!agent.deleteFinishedJobs) stamps['cdk8s-prefect/finished-jobs'] = 'keep';
  for (const metadata of [job.metadata, job.spec.template.metadata]) metadata.labels = { ...stamps, ...metadata.labels, ...labels };

  for (const [annotation, name] of Object.entries({ 'flow-name': run.flowName, 'flow-run-name': run.name })) {
    if (!name) continue;
    const { metadata } = job.spec.template;
    metadata.annotations = { [`cdk8s-prefect/${annotation}`]: name, ...metadata.annotations };
  }

  const pod = job.spec.template.spec;
  if (tokenForNamedAccounts && runConfig.serviceAccountName && !runConfig.jobTemplate) pod.automountServiceAccountToken = true;
  if (runConfig.serviceAccountName !== undefined) pod.serviceAccountName = runConfig.serviceAccountName;
  if (runConfig.imagePullSecrets?.length) pod.imagePullSecrets = runConfig.imagePullSecrets.map((name) => ({ name }));
  pod.restartPolicy ??= 'Never';
  pod.containers ??= [];
  if (pod.containers.length === 0) pod.containers.push({});

  const container = pod.containers[0];
  container.image = run.dockerStorageImage ?? runConfig.image ?? container.image ?? `prefecthq/prefect:${coreVersion(run).split('+')[0]}`;
  if (runConfig.imagePullPolicy !== undefined) container.imagePullPolicy = runConfig.imagePullPolicy;
  container.args = ['prefect', 'execute', isBefore013(coreVersion(run), agent) ? 'cloud-flow' : 'flow-run'];
  container.env = renderEnv(container.env ?? [], container.image, run, agent);
  container.resources ??= {};
  for (const [field, cpu, memory] of [
    ['requests', runConfig.cpuRequest, runConfig.memoryRequest],
    ['limits', runConfig.cpuLimit, runConfig.memoryLimit],
  ] as const) {
    container.resources[field] = { ...container.resources[field], ...(cpu && { cpu }), ...(memory && { memory }) };
  }
  return job;
}

function renderEnv(templateEnv: EnvEntry[], image: string, run: FlowRun, agent: AgentView): EnvEntry[] {
  const { api } = agent;
  const logs = 'PREFECT__CLOUD__SEND_FLOW_RUN_LOGS';
  const key: Omit<EnvEntry, 'name'> = api.apiKey
    ? { valueFrom: { secretKeyRef: { name: api.apiKey.name, key: api.apiKey.key } } }
    : { value: '' };
  const literal = (values: Record<string, string>) => Object.entries(values).map(([name, value]) => ({ name, value }));
  // A `Map` keeps the position of a name that is set again, as a Python dict does.
  const env = new Map<string, EnvEntry>();
  const set = (entries: EnvEntry[]) => {
    for (const entry of entries) env.set(entry.name, entry);
  };
  set(literal({ PREFECT__LOGGING__LEVEL: agent.flowLevel, ...agent.flowEnvVars }));
  set(literal(run.runConfig?.env ?? {}));
  // Since 1.4.0 a flow run can turn its logs off, but not on. Before that, the agent decided.
  const logsOfTheAgent = { [logs]: String(agent.sendFlowRunLogs) };
  const mayTurnOff = since(agent, [1, 4, 0]);
  if (mayTurnOff && (!agent.sendFlowRunLogs || !env.has(logs))) set(literal(logsOfTheAgent));
  set([
    ...literal({
      PREFECT__BACKEND: api.backend,
      PREFECT__CLOUD__AGENT__LABELS: reprList([...agent.labels].sort()),
      PREFECT__CLOUD__API: api.url,
    }),
    { name: 'PREFECT__CLOUD__API_KEY', ...key },
    ...literal({
      PREFECT__CLOUD__TENANT_ID: api.apiKey ? (api.tenantId ?? '') : '',
      PREFECT__CLOUD__USE_LOCAL_SECRETS: 'false',
      ...(mayTurnOff ? {} : logsOfTheAgent),
      PREFECT__CONTEXT__FLOW_RUN_ID: run.id ?? NO_ID,
      PREFECT__CONTEXT__FLOW_ID: run.flowId ?? NO_ID,
      PREFECT__CONTEXT__IMAGE: image,
      PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS: 'prefect.engine.cloud.CloudFlowRunner',
      ...(since(agent, [1, 2, 3]) ? {} : { PREFECT__ENGINE__TASK_RUNNER__DEFAULT_CLASS: 'prefect.engine.cloud.CloudTaskRunner' }),
      PREFECT__LOGGING__LOG_TO_CLOUD: String(agent.sendFlowRunLogs),
    }),
    { name: 'PREFECT__CLOUD__AUTH_TOKEN', ...key },
  ]);
  return [...env.values(), ...templateEnv.filter(({ name }) => !env.has(name))];
}

function coreVersion(run: FlowRun): string {
  return run.coreVersion ?? '1.4.1';
}

/** Since 1.2.0 pre-releases of 0.13.0 count as before it; local versions never do. */
function isBefore013(version: string, agent: AgentView): boolean {
  const [, minor, rest] = /^0\.(\d+)(.*)$/.exec(version) ?? [];
  return Number(minor) < 13 || (minor === '13' && since(agent, [1, 2, 0]) && /^\.0[-_.]?(a|b|c|rc|dev)/.test(rest ?? ''));
}

function since({ version }: AgentView, release: number[]): boolean {
  const difference = release.map((part, i) => (version[i] ?? 0) - part).find((part) => part !== 0);
  return (difference ?? 0) >= 0;
}
