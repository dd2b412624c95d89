// Labels and variables that the worker or the template sets, so that nobody else can.
import type { Construct } from 'constructs';
import { refuse } from '../kubernetes/_refuse';

/** Labels of every Job that the worker sets, over any other. */
export const LABELS_OF_PREFECT = [
  'prefect.io/flow-run-id',
  'prefect.io/flow-run-name',
  'prefect.io/version',
  'prefect.io/work-pool-name',
  'prefect.io/work-pool-id',
  'prefect.io/worker-name',
  'prefect.io/flow-id',
  'prefect.io/flow-name',
  'prefect.io/deployment-id',
  'prefect.io/deployment-name',
  'prefect.io/deployment-updated',
  'app.kubernetes.io/managed-by',
  'app.kubernetes.io/part-of',
  'app.kubernetes.io/version',
  'app.kubernetes.io/name',
];

export const SIGTERM_BEHAVIOR = 'PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR';

/** Variables that have a prop or that the worker sets, each with what to do instead. */
export const OWNED_ENV: Record<string, string> = {
  PREFECT_API_URL: 'use the prop api',
  PREFECT_API_KEY: 'use the prop api: the key is never in a manifest',
  PREFECT_API_AUTH_STRING: 'use the prop api: the auth string is never in a manifest',
  PREFECT_API_SSL_CERT_FILE: 'use certificateAuthorities of the prop api',
  [SIGTERM_BEHAVIOR]: 'use the prop onEviction',
};

/** Refuses variables that have a prop, or that the worker sets. */
export function checkEnvNames(where: Construct, names: string[]): void {
  for (const name of names) {
    // Prefect ignores the case of the names of its settings.
    const setting = /^prefect_/i.test(name) ? name.toUpperCase() : name;
    if (setting.startsWith('PREFECT__')) {
      refuse(where, {
        prop: `env.${name}`,
        allowed: 'must not be set: the worker sets such variables in every Job',
        remedy: 'leave it out',
      });
    }
    const remedy = Object.hasOwn(OWNED_ENV, setting) ? OWNED_ENV[setting] : undefined;
    if (remedy !== undefined) refuse(where, { prop: `env.${name}`, allowed: 'must not be set in env', remedy });
  }
}
