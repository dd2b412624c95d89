import type { FlowJob } from '../flow-job/_job';
import { refuse, type Where } from '../kubernetes/_refuse';
import type { Json } from './_job-variables';
import { placeholdersOf, replacePlaceholders, standsAlone } from './_placeholders';
import type { Prefect3Api } from './prefect3-api';
import type { WorkerFlowRun } from './worker-flow-run';

const NO_ID = '00000000-0000-0000-0000-000000000000';

/** A base job template in the form of the API. */
export interface Template {
  readonly variables: Json & { readonly properties: Json };
  readonly job_configuration: {
    readonly env: Record<string, string>;
    readonly namespace: string;
    readonly job_manifest: FlowJob;
    readonly [key: string]: unknown;
  };
}

interface EnvEntry {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: object;
}

// biome-ignore lint/suspicious/noExplicitAny: placeholders stand for values of every type
type Any = any;

/**
 * The Job that a worker creates from a base job template for one flow run. It does the same as resolve_for_flow_run of
 * prefect.workers.base, and KubernetesWorkerJobConfiguration and _create_job of prefect_kubernetes.worker. The random part of the name is
 * added when it is created.
 */
export function workerJob(where: Where, template: Template, api: Prefect3Api, run: WorkerFlowRun, values: Json): Any {
  const names = namesOf(where, run);
  const defaults = Object.entries(template.variables.properties as Record<string, Json>)
    .filter(([, schema]) => schema.default !== undefined)
    .map(([name, schema]) => [name, schema.default]);
  // Without what every object has: a variable may be called `constructor`.
  const filled = fill(template.job_configuration, Object.assign(Object.create(null), Object.fromEntries(defaults), values));
  const { job_manifest: job, namespace, env: templateEnv, labels = {}, annotations = {}, name } = filled;
  const pod = job.spec.template;
  const container = pod.spec.containers[0];
  const version = run.prefectVersion ?? '3.9.1';

  const env = { ...prefectEnv(api, names), ...templateEnv, ...(values.env as Record<string, string | null> | undefined) };
  const first: EnvEntry[] = Object.entries(env)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => ({ name: key, ...(typeof value === 'object' ? value : { value }) }));
  const taken = new Set(first.map((entry) => entry.name));
  container.env = [...first, ...((container.env ?? []) as EnvEntry[]).filter((entry) => !taken.has(entry.name))];
  container.image ??= `prefecthq/prefect:${version}-python3.11`;
  container.args = ['prefect', 'flow-run', 'execute'];

  const own = { ...prefectLabels(names, version), ...labels };
  const slugged = (map: Record<string, string>) =>
    Object.fromEntries(Object.entries(map).map(([key, value]) => [slugKey(key), slugValue(value)]));
  const jobAnnotations = Object.fromEntries(
    Object.entries({ ...job.metadata.annotations, ...annotations }).map(([key, value]) => [slugKey(key), value]),
  );
  job.metadata = {
    ...job.metadata,
    namespace,
    generateName: `${slug((name || names.run).toLowerCase(), /[^a-z0-9-]+/g, 45) || 'prefect-job'}-`,
    labels: slugged({ ...job.metadata.labels, ...own }),
    annotations: jobAnnotations,
  };
  pod.metadata = { ...pod.metadata, labels: slugged({ ...pod.metadata.labels, ...own }) };
  if (Object.keys(jobAnnotations).length > 0) pod.metadata.annotations = { ...pod.metadata.annotations, ...jobAnnotations };
  return job;
}

/** A template with its placeholders replaced by values: apply_values of prefect.utilities.templating. */
function fill(template: Any, values: Json): Any {
  if (typeof template === 'string') {
    const names = placeholdersOf(template);
    if (standsAlone(template)) return values[names[0] as string];
    return replacePlaceholders(template, (name) => python(values[name]));
  }
  if (Array.isArray(template)) return template.map((item) => fill(item, values)).filter((item) => item !== undefined);
  if (typeof template !== 'object' || template === null) return template;
  const entries = Object.entries(template).map(([key, item]) => [key, fill(item, values)]);
  return Object.fromEntries(entries.filter(([, item]) => item !== undefined));
}

/** Python's `str`. */
function python(value: unknown): string {
  if (value === undefined) return '';
  return typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value);
}

type Names = ReturnType<typeof namesOf>;

function namesOf(where: Where, run: WorkerFlowRun) {
  const names = {
    run: run.name ?? 'flow-run',
    flow: run.flowName ?? 'flow',
    deployment: run.deploymentName ?? 'deployment',
    workPool: run.workPoolName ?? 'work-pool',
    worker: run.workerName ?? 'worker',
  };
  for (const [of, name] of Object.entries(names)) {
    if (!/^[ -%'-~]+$/.test(name)) {
      refuse(where, {
        prop: `the name of the ${of}`,
        value: name,
        allowed: 'must be printable ASCII without "&": Prefect replaces other characters in the names of Jobs',
        remedy: 'write a name like it',
      });
    }
  }
  return {
    ...names,
    runId: run.id ?? NO_ID,
    flowId: run.flowId ?? NO_ID,
    deploymentId: run.deploymentId ?? NO_ID,
    workPoolId: run.workPoolId ?? NO_ID,
    workerId: run.workerId ?? NO_ID,
  };
}

/** The settings of the worker, and the labels and variables of the flow run. */
function prefectEnv(api: Prefect3Api, names: Names): Record<string, string | object> {
  const secret = (ref: { name: string; key: string }) => ({ valueFrom: { secretKeyRef: { name: ref.name, key: ref.key } } });
  return {
    PREFECT_API_URL: api.url,
    ...(api.authString && { PREFECT_API_AUTH_STRING: secret(api.authString) }),
    ...(api.apiKey && { PREFECT_API_KEY: secret(api.apiKey) }),
    // The client sends this with Prefect Cloud.
    ...(api.apiKey && { PREFECT_LOGGING_TO_API_MAX_LOG_SIZE: '25000' }),
    // The value of Prefect's default profile. The template overrides it.
    PREFECT_SERVER_EPHEMERAL_ENABLED: '',
    PREFECT__FLOW_RUN_ID: names.runId,
    PREFECT__WORKER_ID: names.workerId,
    PREFECT__WORKER_NAME: names.worker,
    PREFECT__FLOW_ID: names.flowId,
    PREFECT__FLOW_NAME: names.flow,
    PREFECT__DEPLOYMENT_ID: names.deploymentId,
    PREFECT__DEPLOYMENT_NAME: names.deployment,
  };
}

function prefectLabels(names: Names, version: string): Record<string, string> {
  return {
    'prefect.io/flow-run-id': names.runId,
    'prefect.io/flow-run-name': names.run,
    'prefect.io/version': version,
    'prefect.io/work-pool-name': names.workPool,
    'prefect.io/work-pool-id': names.workPoolId,
    'prefect.io/worker-name': names.worker,
    'prefect.io/flow-id': names.flowId,
    'prefect.io/flow-name': names.flow,
    'prefect.io/deployment-id': names.deploymentId,
    'prefect.io/deployment-name': names.deployment,
    'app.kubernetes.io/managed-by': 'prefect',
    'app.kubernetes.io/part-of': 'prefect',
    'app.kubernetes.io/version': version,
    'app.kubernetes.io/name': names.deployment,
  };
}

function slugKey(key: string): string {
  const [prefix, ...name] = key.split('/');
  if (name.length === 0) return slugLabel(key, /[^a-zA-Z0-9-_.]+/g, 63);
  return `${slugLabel(prefix ?? '', /[^a-zA-Z0-9-.]+/g, 253)}/${slugLabel(name.join('/'), /[^a-zA-Z0-9-_.]+/g, 63)}`;
}

function slugValue(value: string): string {
  return slugLabel(value, /[^a-zA-Z0-9-_.]+/g, 63);
}

/** A name without valid characters is left empty, so that Kubernetes refuses it. */
function slugLabel(text: string, other: RegExp, length: number): string {
  return slug(text, other, length).replace(/^[-_.]+|[-_.]+$/g, '') || text;
}

/** The same as python-slugify for ASCII text, without lower-casing. */
function slug(text: string, other: RegExp, length: number): string {
  const dashed = text
    .replace(/'+/g, '-')
    .replace(/(?<=\d),(?=\d)/g, '')
    .replace(other, '-')
    .replace(/-{2,}/g, '-')
    .replace(/^-+|-+$/g, '');
  return dashed.slice(0, length).replace(/^-+|-+$/g, '');
}
