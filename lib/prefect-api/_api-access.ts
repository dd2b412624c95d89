import type { k8s } from 'cdk8s-plus-27';
import type { IConstruct } from 'constructs';
import type { PodFiles } from '../kubernetes/_hardened-pod';
import type { Plain } from '../kubernetes/_manifest';
import { warn } from '../kubernetes/_warnings';
import type { PrefectApi } from './prefect-api';

/** Environment variables that `api` sets, each with what to do instead. */
export const OWNED_API_ENV: Record<string, string> = {
  PREFECT__BACKEND: 'use the prop api',
  PREFECT__CLOUD__API: 'use the prop api',
  PREFECT__CLOUD__API_KEY: 'use the prop api: the key is never in a manifest',
  PREFECT__CLOUD__AUTH_TOKEN: 'use the prop api: the key is never in a manifest',
  PREFECT__CLOUD__TENANT_ID: 'use the prop api',
};

/** Environment variables that tell a program about Prefect's API, without the key. */
export function renderApiEnv({ backend, url, tenantId }: PrefectApi): Plain<k8s.EnvVar>[] {
  return [
    { name: 'PREFECT__BACKEND', value: backend },
    { name: 'PREFECT__CLOUD__API', value: url },
    ...(tenantId === undefined ? [] : [{ name: 'PREFECT__CLOUD__TENANT_ID', value: tenantId }]),
  ];
}

/** A key that is equal for agents that take the same flow runs: API, tenant (if known) and labels. */
export function describeAgent({ url, tenantId, apiKey }: Pick<PrefectApi, 'url' | 'tenantId' | 'apiKey'>, labels: string[]): string {
  const tenant = tenantId ?? (apiKey && `of the key ${apiKey.name}/${apiKey.key}`);
  const said = labels.length > 0 ? `labels ${[...new Set(labels)].sort().join(', ')}` : 'no labels';
  return `${said} on ${url.replace(/\/+$/, '')}${tenant === undefined ? '' : `, tenant ${tenant}`}`;
}

/** Whether the API is on localhost: the machine of the user, unless a sidecar forwards to it. */
export function warnOfApi(scope: IConstruct, { url }: Pick<PrefectApi, 'url'>): void {
  const { hostname } = new URL(url);
  if (/^(localhost|.*\.localhost|127\.[\d.]+|\[::1\]|0\.0\.0\.0|\[::\])$/.test(hostname)) {
    warn(scope, 'localhost', `api has the URL ${url}, and in a pod ${hostname} is the pod itself; give a URL that pods can reach`);
  }
}

/**
 * The argument with the path of the key. Not an environment variable, because Prefect would expand `$` in it and read a key of digits
 * as a number.
 */
export function renderApiKeyArgs({ apiKey }: PrefectApi): string[] {
  return apiKey ? ['--api-key-file=/etc/prefect/api-key/key'] : [];
}

/** The key as a file, among those of `renderHardenedPod`. */
export function renderApiKeyFile({ apiKey }: PrefectApi): PodFiles {
  if (!apiKey) return {};
  const secret: Plain<k8s.SecretVolumeSource> = { secretName: apiKey.name, items: [{ key: apiKey.key, path: 'key' }] };
  return { 'api-key': { mountPath: '/etc/prefect/api-key', source: { secret } } };
}
