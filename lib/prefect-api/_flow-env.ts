import { checkEnvName } from '../kubernetes/_checks';
import { refuse, type Where } from '../kubernetes/_refuse';

/** The variables that the agent overwrites in every Job (agent/kubernetes/agent.py, generate_job_spec). */
const FORCED = new Set([
  'PREFECT__BACKEND',
  'PREFECT__CLOUD__AGENT__LABELS',
  'PREFECT__CLOUD__API',
  'PREFECT__CLOUD__API_KEY',
  'PREFECT__CLOUD__AUTH_TOKEN',
  'PREFECT__CLOUD__TENANT_ID',
  'PREFECT__CLOUD__USE_LOCAL_SECRETS',
  'PREFECT__CONTEXT__FLOW_ID',
  'PREFECT__CONTEXT__FLOW_RUN_ID',
  'PREFECT__CONTEXT__IMAGE',
  'PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS',
  'PREFECT__LOGGING__LOG_TO_CLOUD',
]);

/** Checks a variable of flow runs, from the agent or the Job template. The agent must not overwrite it, and it must not have a prop. */
export function checkFlowEnvName(where: Where, prop: string, name: string): void {
  checkEnvName(where, prop, name);
  if (FORCED.has(name)) {
    refuse(where, { prop: `${prop}.${name}`, allowed: 'must not be set: the agent overwrites it in every Job', remedy: 'leave it out' });
  }
  if (name === 'PREFECT__LOGGING__LEVEL') {
    refuse(where, {
      prop: `${prop}.${name}`,
      allowed: `must not be set in ${prop}`,
      remedy: 'use flowLevel of DebugConfig, or logLevel of FlowRunJob',
    });
  }
  if (name === 'PREFECT__CLOUD__SEND_FLOW_RUN_LOGS') {
    refuse(where, {
      prop: `${prop}.${name}`,
      allowed: `must not be set in ${prop}`,
      remedy: 'use sendFlowRunLogs of PrefectAgent or FlowRunJob',
    });
  }
}
