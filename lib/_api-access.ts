import type { k8s } from 'cdk8s-plus-27';
import type { PodFiles } from './_hardened-pod';
import type { PrefectApi } from './prefect-api';

/** Names that `api` says, each with what to do instead. */
export const OWNED_API_ENV: Record<string, string> = {
  PREFECT__BACKEND: 'use the prop api',
  PREFECT__CLOUD__API: 'use the prop api',
  PREFECT__CLOUD__API_KEY: 'use the prop api: the key is never in a manifest',
  PREFECT__CLOUD__AUTH_TOKEN: 'use the prop api: the key is never in a manifest',
  PREFECT__CLOUD__TENANT_ID: 'use the prop api',
};

/** What a program of ours is told of Prefect's API, but for the key. */
export function renderApiEnv({ backend, url, tenantId }: PrefectApi): k8s.EnvVar[] {
  return [
    { name: 'PREFECT__BACKEND', value: backend },
    { name: 'PREFECT__CLOUD__API', value: url },
    ...(tenantId === undefined ? [] : [{ name: 'PREFECT__CLOUD__TENANT_ID', value: tenantId }]),
  ];
}

/** The argument that says where the key is. Not by environment: Prefect would expand `$` in it, and read a key of digits as a number. */
export function renderApiKeyArgs({ apiKey }: PrefectApi): string[] {
  return apiKey ? ['--api-key-file=/etc/prefect/api-key/key'] : [];
}

/** The key as a file, among those of `renderHardenedPod`. */
export function renderApiKeyFile({ apiKey }: PrefectApi): PodFiles {
  if (!apiKey) return {};
  const secret: k8s.SecretVolumeSource = { secretName: apiKey.name, items: [{ key: apiKey.key, path: 'key' }] };
  return { 'api-key': { mountPath: '/etc/prefect/api-key', source: { secret } } };
}
