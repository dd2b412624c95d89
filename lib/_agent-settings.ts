import { Duration } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import { OWNED_API_ENV, renderApiEnv } from './_api-access';
import { checkAgentLabels, checkLongText, checkText, checkUuid } from './_checks';
import { checkFlowEnvName } from './_flow-env';
import { refuse, type Where } from './_refuse';
import type { AgentSettings } from './agent-settings';
import type { PrefectApi } from './prefect-api';

/**
 * What Prefect 1.4.1 reads, as arguments of `prefect agent kubernetes start` wherever it has one for it: an argument reaches the
 * agent as it is, while every environment variable is expanded and evaluated as a Python literal on the way (`configuration.py`).
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

/** The rest: what the agent reads from its environment only. */
export function renderAgentEnv(where: Where, props: AgentSettings, api: PrefectApi, flowNamespace: string): k8s.EnvVar[] {
  const requestTimeout = props.requestTimeout ?? Duration.seconds(15);
  if (!(requestTimeout.toSeconds() >= 1 && requestTimeout.toSeconds() <= 30)) {
    refuse(where, {
      prop: 'requestTimeout',
      value: `${requestTimeout.toSeconds()} s`,
      allowed: 'must be between 1 and 30 seconds: a poll asks up to seven times, and an agent that sent nothing for 5 minutes is restarted',
      remedy: 'choose a time in between',
    });
  }
  if (props.logFormat !== undefined) checkLogFormat(where, props.logFormat);
  return [
    { name: 'NAMESPACE', value: flowNamespace },
    // To the letter: "false" would be true. What --disable-job-deletion does depends on the release of click.
    ...((props.deleteFinishedJobs ?? true) ? [] : [{ name: 'DELETE_FINISHED_JOBS', value: 'False' }]),
    ...renderApiEnv(api),
    { name: 'PREFECT__CLOUD__AGENT__KUBERNETES_KEEP_ALIVE', value: String(props.kubernetesKeepAlive ?? true) },
    ...(props.requestTimeout === undefined ? [] : [{ name: 'PREFECT__CLOUD__REQUEST_TIMEOUT', value: String(requestTimeout.toSeconds()) }]),
    ...(props.logFormat === undefined ? [] : [{ name: 'PREFECT__LOGGING__FORMAT', value: configString(props.logFormat) }]),
  ];
}

/**
 * A string that survives Prefect's configuration: it expands `$` and evaluates Python literals, twice, so the string is written
 * as a literal of a literal. JSON's strings are Python's, once lone surrogates are refused.
 */
function configString(value: string): string {
  return JSON.stringify(JSON.stringify(value).replaceAll('$', '\\u0024'));
}

/** Names that have a prop, or that Prefect 1.4.1 does not read, each with what to do instead. */
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

/** Keys that Prefect's configuration refuses, since they hide methods of its class: `dir(prefect.configuration.Config)`. */
const REFUSED_CONFIG_KEYS = new Set(
  (
    'clear copy del_comment from_json from_msgpack from_toml from_toon from_yaml fromkeys get get_comment items keys merge_update ' +
    'pop popitem set_comment setdefault to_dict to_json to_msgpack to_toml to_toon to_yaml update values'
  ).split(' '),
);

/** Refuses what the agent would refuse, ignore, or take from two places. */
export function checkAgentEnv(where: Where, names: string[]): void {
  checkPrefectEnv(where, names, OWNED_ENV);
}

/** Refuses names that have a prop, and those that no program of Prefect starts with. Prefect reads the names of its variables in any case. */
export function checkPrefectEnv(where: Where, names: string[], ownedEnv: Record<string, string>): void {
  for (const name of names) {
    const owned = name.startsWith('PREFECT__') ? name.toUpperCase() : name;
    const remedy = ownedEnv[owned];
    if (Object.hasOwn(ownedEnv, owned) && remedy !== undefined)
      refuse(where, { prop: `env.${name}`, allowed: 'must not be set in env', remedy });
    const key = name.startsWith('PREFECT__')
      ? name
          .toLowerCase()
          .split('__')
          .slice(1)
          .find((part) => REFUSED_CONFIG_KEYS.has(part))
      : undefined;
    if (key !== undefined) {
      refuse(where, {
        prop: `env.${name}`,
        allowed: `must not have the part "${key}": Prefect refuses configuration keys that are methods of its Config class, and would not start`,
        remedy: 'rename the variable',
      });
    }
  }
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
