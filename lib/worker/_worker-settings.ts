import { Chart } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import type { Construct } from 'constructs';
import { checkFirst, checkText } from '../kubernetes/_checks';
import type { Plain } from '../kubernetes/_manifest';
import { refuse, type Where } from '../kubernetes/_refuse';
import type { SecretKeyRef } from '../kubernetes/key-ref';
import { credentialsOf } from './_worker-pod';
import type { Prefect3Api } from './prefect3-api';
import type { WorkPool } from './work-pool';

/** Settings that have a prop, or that need permissions that the worker does not have. */
const OWNED: Record<string, string> = {
  PREFECT_API_URL: 'use the prop api of the BaseJobTemplate',
  PREFECT_API_KEY: 'use the prop api of the BaseJobTemplate: the key is never in a manifest',
  PREFECT_API_AUTH_STRING: 'use the prop api of the BaseJobTemplate: the auth string is never in a manifest',
  PREFECT_API_SSL_CERT_FILE: 'use certificateAuthorities of the prop api of the BaseJobTemplate',
  PREFECT_HOME: 'the home folder is /home/prefect, and in Jobs there may be another',
  PREFECT_LOGGING_LEVEL: 'for flow runs set it in env of the BaseJobTemplate; for the worker alone write PREFECT_WORKER_DEBUG_MODE',
};

/** Settings of prefect-kubernetes that stay in the worker or the observer, and that no permission depends on. */
const FREE =
  /^PREFECT_INTEGRATIONS_KUBERNETES_(WORKER_(ADD_TCP_KEEPALIVE|CREATE_JOB_RETRY_\w+)|OBSERVER_(STARTUP_EVENT_CONCURRENCY|FORWARD_CRASHED_RUN_LOGS_TAIL_LINES))$/;

/** Such a setting goes into Jobs as well, where nothing reads it. */
const OF_WORKERS = /^PREFECT_WORKER_(QUERY_SECONDS|PREFETCH_SECONDS|HEARTBEAT_SECONDS|CANCELLATION_POLL_SECONDS|DEBUG_MODE)$/;

/** Throws for settings that the worker would write in clear into its Jobs: all Prefect settings except those of the worker itself. */
export function checkWorkerEnv(where: Where, names: string[]): void {
  for (const name of names) {
    // Prefect ignores the case of the names of its settings.
    const setting = /^prefect_/i.test(name) ? name.toUpperCase() : name;
    if (!setting.startsWith('PREFECT_') || FREE.test(setting) || OF_WORKERS.test(setting)) continue;
    if (setting.startsWith('PREFECT_INTEGRATIONS_KUBERNETES_') || setting.startsWith('PREFECT_KUBERNETES_')) {
      refuse(where, {
        prop: `env.${name}`,
        allowed: 'must not be set in env: permissions, secrets and the observer of the worker depend on it',
        remedy: 'leave it out',
      });
    }
    refuse(where, {
      prop: `env.${name}`,
      allowed: 'must not be set in env: the worker writes such settings in clear into every Job',
      remedy: OWNED[setting] ?? 'for flow runs set it in env of the BaseJobTemplate',
    });
  }
}

/** The worker replaces its own credentials in Jobs by a reference. */
export function renderFlowRunCredentials(
  worker: Construct,
  api: Prefect3Api,
  flowRunCredentials: SecretKeyRef | undefined,
): Plain<k8s.EnvVar>[] {
  const own = credentialsOf(api);
  if (own === undefined) {
    if (flowRunCredentials === undefined) return [];
    refuse(worker, {
      prop: 'flowRunCredentials',
      given: `of the Secret ${flowRunCredentials.name}`,
      allowed: 'must not be set for an API without credentials: the worker has none that it could replace',
      remedy: 'give Prefect3Api.server an authString, or leave it out',
    });
  }
  const { name, key } = flowRunCredentials ?? own;
  const setting = `PREFECT_INTEGRATIONS_KUBERNETES_WORKER_${own.variable.replace('PREFECT_', '')}_SECRET`;
  return [
    { name: `${setting}_NAME`, value: name },
    { name: `${setting}_KEY`, value: key },
  ];
}

export function checkNamespace(worker: Construct, pool: WorkPool, namespace: string): void {
  const ofPool = Chart.of(pool).namespace;
  if (ofPool !== namespace) {
    refuse(worker, {
      prop: 'workPool',
      given: `in namespace ${ofPool}`,
      allowed: `must be in the namespace of the worker, ${namespace}, which mounts its ConfigMap`,
      remedy: "make it in the chart of the worker: new WorkPool(chart, 'Pool', { name: 'k8s', baseJobTemplate })",
    });
  }
}

export function checkQueues(worker: Construct, queues: string[]): string[] {
  for (const [i, queue] of queues.entries()) {
    checkText(worker, `workQueues[${i}]`, queue);
    checkFirst(worker, 'workQueues', queues, i);
  }
  return queues;
}

export function checkReplicas(worker: Construct, replicas: number): number {
  if (!Number.isInteger(replicas) || replicas < 1) {
    refuse(worker, {
      prop: 'replicas',
      value: replicas,
      allowed: 'must be a whole number, at least 1',
      remedy: 'write for example 2; to take no flow runs for a while, pause the work pool',
    });
  }
  return replicas;
}
