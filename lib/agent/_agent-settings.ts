import { Duration } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import { checkLongText, checkText, showDuration } from '../kubernetes/_checks';
import type { Plain } from '../kubernetes/_manifest';
import { refuse, type Where } from '../kubernetes/_refuse';
import { OWNED_API_ENV, renderApiEnv } from '../prefect-api/_api-access';
import { checkAgentLabels, checkPrefectEnv, checkUuid } from '../prefect-api/_checks';
import { checkFlowEnvName } from '../prefect-api/_flow-env';
import type { PrefectApi } from '../prefect-api/prefect-api';
import type { AgentSettings } from './agent-settings';

/**
 * The settings as arguments of `prefect agent kubernetes start`, where Prefect 1.4.1 has one. Prefect uses an argument as it is, but
 * expands an environment variable and evaluates it as a Python literal (`configuration.py`).
 */
export function renderAgentArgs(where: Where, props: AgentSettings): string[] {
  const labels = props.labels ?? [];
  checkAgentLabels(where, labels);
  if (props.agentConfigId !== undefined) checkUuid(where, 'agentConfigId', props.agentConfigId);
  if (props.name !== undefined) checkText(where, 'name', props.name);
  return [
    ...(props.name === undefined ? [] : [`--name=${props.name}`]),
    ...labels.map((label) => `--label=${label}`),
    ...Object.entries(props.flowEnvVars ?? {}).map(([name, value]) => `--env=${checkFlowEnvVar(where, name, value)}`),
    ...(props.agentConfigId === undefined ? [] : [`--agent-config-id=${props.agentConfigId}`]),
    ...((props.sendFlowRunLogs ?? true) ? [] : ['--no-cloud-logs']),
    // The kubelet expands $(NAME) in arguments and reads $$ as $.
  ].map((arg) => arg.replaceAll('$', '$$$$'));
}

const OWN_NAMESPACE = { valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } };

/** The settings that the agent reads only from its environment. */
export function renderAgentEnv(
  where: Where,
  props: AgentSettings,
  api: PrefectApi,
  flowNamespace: string | undefined,
): Plain<k8s.EnvVar>[] {
  const requestTimeout = props.requestTimeout ?? Duration.seconds(15);
  const seconds = requestTimeout.toSeconds({ integral: false });
  if (!(seconds >= 1 && seconds <= 30)) {
    refuse(where, {
      prop: 'requestTimeout',
      given: showDuration(requestTimeout),
      allowed: 'must be between 1 and 30 seconds: a poll asks up to seven times, and an agent that sent nothing for 5 minutes is restarted',
      remedy: 'write for example Duration.seconds(15)',
    });
  }
  if (props.logFormat !== undefined) checkLogFormat(where, props.logFormat);
  return [
    // The default is the namespace of the pod, so that tools like kustomize can change it.
    { name: 'NAMESPACE', ...(flowNamespace === undefined ? OWN_NAMESPACE : { value: flowNamespace }) },
    // Exactly "False": Prefect would read "false" as true. What --disable-job-deletion does depends on the release of click.
    ...((props.deleteFinishedJobs ?? true) ? [] : [{ name: 'DELETE_FINISHED_JOBS', value: 'False' }]),
    ...renderApiEnv(api),
    { name: 'PREFECT__CLOUD__AGENT__KUBERNETES_KEEP_ALIVE', value: String(props.kubernetesKeepAlive ?? true) },
    ...(props.requestTimeout === undefined ? [] : [{ name: 'PREFECT__CLOUD__REQUEST_TIMEOUT', value: String(seconds) }]),
    ...(props.logFormat === undefined ? [] : [{ name: 'PREFECT__LOGGING__FORMAT', value: configString(props.logFormat) }]),
  ];
}

/**
 * A string that Prefect's configuration leaves unchanged. Prefect expands `$` and evaluates Python literals, twice, so this is a
 * literal of a literal. A JSON string is a valid Python literal, unless it has lone surrogates.
 */
function configString(value: string): string {
  return JSON.stringify(JSON.stringify(value).replaceAll('$', '\\u0024'));
}

/** Variables that have a prop, or that Prefect 1.4.1 does not read, each with what to do instead. */
const OWNED_ENV: Record<string, string> = {
  NAMESPACE: 'use the prop flowNamespace',
  SERVICE_ACCOUNT_NAME: "it would overwrite the Job template's account: set it in the template or in KubernetesRun",
  IMAGE_PULL_SECRETS: "it would overwrite the Job template's pull secrets: set them in the template or in KubernetesRun",
  DELETE_FINISHED_JOBS: 'use the prop deleteFinishedJobs',
  JOB_MEM_REQUEST: 'Prefect 1 does not read it: use memory_request of KubernetesRun',
  JOB_MEM_LIMIT: 'Prefect 1 does not read it: use memory_limit of KubernetesRun',
  JOB_CPU_REQUEST: 'Prefect 1 does not read it: use cpu_request of KubernetesRun',
  JOB_CPU_LIMIT: 'Prefect 1 does not read it: use cpu_limit of KubernetesRun',
  IMAGE_PULL_POLICY: 'Prefect 1 does not read it: use image_pull_policy of KubernetesRun',
  YAML_TEMPLATE: 'Prefect 1 does not read it',
  ...OWNED_API_ENV,
  PREFECT__CLOUD__REQUEST_TIMEOUT: 'use the prop requestTimeout',
  PREFECT__CLOUD__SEND_FLOW_RUN_LOGS: 'use the prop sendFlowRunLogs',
  PREFECT__CLOUD__AGENT__AUTH_TOKEN: 'Prefect 1 does not read it: use the prop api',
  PREFECT__CLOUD__AGENT__NAME: 'use the prop name',
  PREFECT__CLOUD__AGENT__LABELS: 'use the prop labels',
  PREFECT__CLOUD__AGENT__ENV_VARS: 'use the prop flowEnvVars',
  PREFECT__CLOUD__AGENT__LEVEL: 'use the prop debug',
  PREFECT__CLOUD__AGENT__AGENT_ADDRESS: "nothing may reach the agent; its probes look at the launcher's signs",
  PREFECT__CLOUD__AGENT__KUBERNETES_KEEP_ALIVE: 'use the prop kubernetesKeepAlive',
  PREFECT__CLOUD__AGENT__RESOURCE_MANAGER__LOOP_INTERVAL: 'Prefect 1 does not read it',
  PREFECT__LOGGING__LEVEL: 'use the prop debug',
  PREFECT__LOGGING__FORMAT: 'use the prop logFormat',
  PREFECT__USER_CONFIG_PATH: 'use the prop debug',
};

/** Throws for variables that the agent would reject or ignore, and for those that have a prop. */
export function checkAgentEnv(where: Where, names: string[]): void {
  checkPrefectEnv(where, names, OWNED_ENV);
}

function checkFlowEnvVar(where: Where, name: string, value: string): string {
  checkFlowEnvName(where, 'flowEnvVars', name);
  checkLongText(where, `flowEnvVars.${name}`, value);
  return `${name}=${value}`;
}

function checkLogFormat(where: Where, format: string): void {
  if (!/%\(\w+\)[#0+ -]*(\*|\d+)?(\.(\*|\d+))?[diouxefgcrsa%]/i.test(format) || /\$\{|[\0\p{Cs}]/u.test(format)) {
    refuse(where, {
      prop: 'logFormat',
      value: format,
      allowed: 'must be a %-style format of Python\'s logging with at least one attribute, and without "${"',
      remedy: "write for example '%(asctime)s %(levelname)s %(message)s'",
    });
  }
}
