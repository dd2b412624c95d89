import type { Size } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import {
  checkAnnotations,
  checkDnsLabel,
  checkDnsSubdomain,
  checkEnvName,
  checkFirst,
  checkLabelKey,
  checkLabels,
  checkLabelValue,
  checkMaxSeconds,
} from './_checks';
import { checkPodAnnotations } from './_pod-annotations';
import { refuse, type Where } from './_refuse';
import type { EnvValue } from './env-value';
import { type PodOptions, TaintEffect, type Toleration } from './pod-options';
import type { ContainerResources } from './resources';
import type { Volume } from './volume';

/** Fields of a pod's spec that have a prop (named here) or that the constructs need for themselves. */
const OWNED_FIELDS: Record<string, string> = {
  affinity: 'use the prop affinity',
  automountServiceAccountToken: 'the token is mounted explicitly',
  containers: 'use the other props, or initContainers with restartPolicy "Always" for a sidecar',
  imagePullSecrets: 'use the prop imagePullSecrets',
  nodeSelector: 'use the prop nodeSelector',
  priorityClassName: 'use the prop priorityClassName',
  restartPolicy: 'it is decided by the kind of workload',
  securityContext: 'it is fixed by Pod Security "restricted"',
  serviceAccount: 'use the prop serviceAccountName',
  serviceAccountName: 'use the prop serviceAccountName',
  tolerations: 'use the prop tolerations',
  volumes: 'use the prop volumes',
};

/** What the pod's options say verbatim, to be added after the L1 classes have rendered the rest: they drop what they do not know. */
export function verbatimPodFields(
  where: Where,
  { affinity, podSpec }: PodOptions,
  owned: Record<string, string> = {},
): Record<string, unknown> {
  const remedies: Record<string, string> = { ...OWNED_FIELDS, ...owned };
  for (const field of Object.keys(podSpec ?? {})) {
    const remedy = remedies[field];
    if (Object.hasOwn(remedies, field) && remedy !== undefined)
      refuse(where, { prop: `podSpec.${field}`, allowed: 'must not be set in podSpec', remedy });
  }
  return { ...podSpec, ...(affinity && { affinity }) };
}

/** What the pod's options say in types. */
export function renderPodOptions(where: Where, options: PodOptions): Omit<k8s.PodSpec, 'containers'> {
  checkLabels(where, 'nodeSelector', options.nodeSelector ?? {});
  const secrets = options.imagePullSecrets ?? [];
  for (const i of secrets.keys()) checkFirst(where, 'imagePullSecrets', secrets, i);
  if (options.priorityClassName !== undefined) checkDnsSubdomain(where, 'priorityClassName', options.priorityClassName);
  return {
    imagePullSecrets: nonEmpty(secrets.map((name, i) => ({ name: checkDnsSubdomain(where, `imagePullSecrets[${i}]`, name) }))),
    nodeSelector: nonEmpty(options.nodeSelector ?? {}),
    priorityClassName: options.priorityClassName,
    tolerations: nonEmpty((options.tolerations ?? []).map((toleration, i) => renderToleration(where, `tolerations[${i}]`, toleration))),
  };
}

/** The pod's labels and annotations: the construct's own win, and may not be given. */
export function renderPodMetadata(
  where: Where,
  options: PodOptions,
  labels: Record<string, string>,
  annotations: Record<string, string>,
  containers: string[],
) {
  const all = { ...options.podAnnotations, ...annotations };
  checkLabels(where, 'podLabels', options.podLabels ?? {});
  checkAnnotations(where, 'podAnnotations', all);
  checkPodAnnotations(where, options.podAnnotations ?? {}, containers);
  refuseOwn(where, 'podLabels', options.podLabels ?? {}, labels);
  refuseOwn(where, 'podAnnotations', options.podAnnotations ?? {}, annotations);
  return { labels: { ...options.podLabels, ...labels }, annotations: nonEmpty(all) };
}

/** The user's environment variables, in the order given. Kubernetes would let the second of two win, in silence. */
export function renderEnv(where: Where, env: Record<string, EnvValue>, own: k8s.EnvVar[]): k8s.EnvVar[] {
  for (const { name } of own) {
    if (Object.hasOwn(env, name))
      refuse(where, { prop: `env.${name}`, allowed: 'must not be set in env: the construct sets it', remedy: 'leave it out' });
  }
  return Object.entries(env).map(([name, value]) => ({ name: checkEnvName(where, 'env', name), ...value._source }));
}

/** A construct's own volumes, by name, and the user's after them. No mount may hide another. */
export function renderVolumes(where: Where, own: Record<string, MountedVolume>, volumes: Record<string, Volume>) {
  const all: Record<string, MountedVolume> = { ...own };
  const paths = new Map(Object.entries(own).flatMap(([name, { mounts }]) => mounts.map(({ mountPath }) => [mountPath, name])));
  for (const [name, { _source: source, _mount: mount }] of Object.entries(volumes)) {
    checkDnsLabel(where, 'volumes', name);
    if (Object.hasOwn(own, name)) {
      refuse(where, {
        prop: 'volumes',
        value: name,
        allowed: `must not be one of ${Object.keys(own).join(', ')}`,
        remedy: 'rename the volume',
      });
    }
    for (const [path, other] of paths) {
      if (`${path}/`.startsWith(`${mount.mountPath}/`) || `${mount.mountPath}/`.startsWith(`${path}/`)) {
        refuse(where, {
          prop: `volumes.${name}.mountPath`,
          value: mount.mountPath,
          allowed: `must not lie in, or hide, ${path}, where the volume "${other}" is mounted`,
          remedy: 'mount it elsewhere',
        });
      }
    }
    paths.set(mount.mountPath, name);
    all[name] = { source, mounts: [mount] };
  }
  return {
    volumes: Object.entries(all).map(([name, { source }]) => ({ name, ...source })),
    volumeMounts: Object.entries(all).flatMap(([name, { mounts }]) => mounts.map((mount) => ({ name, ...mount }))),
  };
}

/** A volume and each place where its container sees it. */
export interface MountedVolume {
  readonly source: Omit<k8s.Volume, 'name'>;
  readonly mounts: Omit<k8s.VolumeMount, 'name'>[];
}

/** The Kubernetes form of `resources`, or undefined if they say nothing. */
export function renderResources(where: Where, resources: ContainerResources): k8s.ResourceRequirements | undefined {
  const { cpuRequest, cpuLimit, memoryRequest, memoryLimit, ephemeralStorageRequest, ephemeralStorageLimit } = resources;
  for (const prop of ['memoryRequest', 'memoryLimit', 'ephemeralStorageRequest', 'ephemeralStorageLimit'] as const) {
    const kibibytes = resources[prop]?.toKibibytes() ?? 0;
    if (!Number.isSafeInteger(kibibytes * 1024)) {
      refuse(where, {
        prop: `resources.${prop}`,
        value: `${kibibytes}Ki`,
        allowed: 'must be a whole number of bytes below 8Pi',
        remedy: 'choose such a size',
      });
    }
  }
  checkOrder(where, 'cpuRequest', cpuRequest?.millicores, cpuLimit?.millicores, 'm');
  checkOrder(where, 'memoryRequest', memoryRequest?.toKibibytes(), memoryLimit?.toKibibytes(), 'Ki');
  checkOrder(where, 'ephemeralStorageRequest', ephemeralStorageRequest?.toKibibytes(), ephemeralStorageLimit?.toKibibytes(), 'Ki');
  const extended = Object.entries(resources.extendedResources ?? {}).map(([name, amount]) => {
    checkExtendedResource(where, name, amount);
    return [name, k8s.Quantity.fromNumber(amount)];
  });
  const quantities = (cpu: string | undefined, memory?: Size, ephemeralStorage?: Size) =>
    nonEmpty({
      ...(cpu && { cpu: k8s.Quantity.fromString(cpu) }),
      ...(memory && { memory: renderSize(memory) }),
      ...(ephemeralStorage && { 'ephemeral-storage': renderSize(ephemeralStorage) }),
      ...Object.fromEntries(extended),
    });
  return nonEmpty({
    requests: quantities(cpuRequest && `${cpuRequest.millicores}m`, memoryRequest, ephemeralStorageRequest),
    limits: quantities(cpuLimit && `${cpuLimit.millicores}m`, memoryLimit, ephemeralStorageLimit),
  });
}

function checkExtendedResource(where: Where, name: string, amount: number): void {
  const prop = `resources.extendedResources[${JSON.stringify(name)}]`;
  checkLabelKey(where, prop, name);
  if (!name.includes('/') || /(^|\.)kubernetes\.io\//.test(name) || name.startsWith('requests.')) {
    refuse(where, { prop, allowed: 'must have the domain of a vendor before "/"', remedy: 'write for example nvidia.com/gpu' });
  }
  if (!Number.isInteger(amount) || amount < 1) {
    refuse(where, { prop, value: amount, allowed: 'must be a whole number, at least 1', remedy: 'choose such a number' });
  }
}

function checkOrder(where: Where, field: string, request: number | undefined, limit: number | undefined, unit: string): void {
  if (request !== undefined && limit !== undefined && request > limit) {
    refuse(where, {
      prop: `resources.${field}`,
      value: `${request}${unit}`,
      allowed: `must be at most the limit, ${limit}${unit}`,
      remedy: 'raise the limit or lower the request',
    });
  }
}

/** In the largest unit that needs no fraction. */
function renderSize(size: Size): k8s.Quantity {
  let amount = size.toKibibytes();
  const units = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi'];
  while (amount % 1024 === 0 && amount > 0 && units.length > 1) {
    amount /= 1024;
    units.shift();
  }
  return k8s.Quantity.fromString(`${amount}${units[0]}`);
}

function renderToleration(where: Where, prop: string, { key, value, effect, tolerationSeconds }: Toleration): k8s.Toleration {
  if (key !== undefined) checkLabelKey(where, `${prop}.key`, key);
  if (value !== undefined) {
    checkLabelValue(where, `${prop}.value`, value);
    if (key === undefined) {
      refuse(where, { prop: `${prop}.value`, value, allowed: 'must not be set without a key', remedy: 'give the key of the taint' });
    }
  }
  if (tolerationSeconds !== undefined && effect !== TaintEffect.NO_EXECUTE) {
    refuse(where, {
      prop: `${prop}.tolerationSeconds`,
      value: tolerationSeconds.toSeconds(),
      allowed: 'must not be set without effect: TaintEffect.NO_EXECUTE',
      remedy: 'give that effect',
    });
  }
  return {
    key,
    operator: value === undefined ? 'Exists' : 'Equal',
    value,
    effect,
    tolerationSeconds: tolerationSeconds && checkMaxSeconds(where, `${prop}.tolerationSeconds`, tolerationSeconds.toSeconds()),
  };
}

/** Refuses labels and the like that the construct's own would silently replace. */
export function refuseOwn(where: Where, prop: string, given: Record<string, string>, own: Record<string, string>): void {
  const key = Object.keys(given).find((name) => Object.hasOwn(own, name));
  if (key !== undefined) {
    refuse(where, { prop, value: key, allowed: 'must not be one that the construct sets itself', remedy: 'leave it out' });
  }
}

/** Kubernetes keeps empty lists and maps as they are written; reviewers need not read them. */
function nonEmpty<T extends object>(value: T): T | undefined {
  return Object.values(value).some((item) => item !== undefined) ? value : undefined;
}
