import { type Size, SizeRoundingBehavior } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import {
  checkAnnotations,
  checkDnsLabel,
  checkDnsSubdomain,
  checkEnvName,
  checkFirst,
  checkLabelKey,
  checkLabels,
  checkLabelValue,
  checkWholeSeconds,
  showDuration,
} from './_checks';
import type { Plain } from './_manifest';
import { isMap } from './_map';
import { checkPodAnnotations } from './_pod-annotations';
import { POD_FIELDS } from './_props-table';
import { refuse, type Where } from './_refuse';
import { didYouMean } from './_spelling';
import type { EnvFrom } from './env-from';
import type { EnvValue } from './env-value';
import { type PodOptions, TaintEffect, type Toleration } from './pod-options';
import type { ContainerResources, Cpu } from './resources';
import type { Volume } from './volume';

/** Fields of the pod spec that have a prop (named here) or that the constructs set themselves. */
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

/** The verbatim fields of the pod's options, which are added to the rendered ones. */
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
    checkPodField(where, field, podSpec ?? {});
  }
  return {
    ...(plainData(where, 'podSpec', podSpec ?? {}) as Record<string, unknown>),
    ...(affinity && { affinity: plainData(where, 'affinity', affinity) }),
  };
}

/**
 * A copy whose maps have a prototype, as cdk8s needs them. It throws for tokens, which cdk8s would resolve in a Deployment but not in the
 * text of a ConfigMap.
 */
function plainData(where: Where, prop: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item, i) => plainData(where, `${prop}[${i}]`, item));
  if (!isMap(value)) {
    refuse(where, {
      prop,
      allowed: `must be plain data, and not an instance of ${value.constructor.name}`,
      remedy: 'give its plain value; resolvers of the App also see plain data',
    });
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plainData(where, `${prop}.${key}`, item)]));
}

/** Fields that are newer than this library are valid. A likely misspelling of a known field is not: Kubernetes would ignore it. */
function checkPodField(where: Where, field: string, podSpec: Record<string, unknown>): void {
  if (POD_FIELDS.includes(field)) return;
  const meant = didYouMean(
    field,
    POD_FIELDS.filter((name) => !Object.hasOwn(podSpec, name)),
  );
  if (meant !== undefined) {
    refuse(where, {
      prop: `podSpec.${field}`,
      allowed: "is not a field of a pod's spec, and Kubernetes would ignore it",
      remedy: `did you mean ${meant}?`,
    });
  }
}

/** The typed pod options. */
export function renderPodOptions(where: Where, options: PodOptions): Omit<Plain<k8s.PodSpec>, 'containers'> {
  checkLabels(where, 'nodeSelector', options.nodeSelector ?? {});
  const secrets = options.imagePullSecrets ?? [];
  for (const i of secrets.keys()) checkFirst(where, 'imagePullSecrets', secrets, i);
  if (options.priorityClassName !== undefined) checkDnsSubdomain(where, 'priorityClassName', options.priorityClassName);
  return {
    imagePullSecrets: nonEmpty(secrets.map((name, i) => ({ name: checkDnsSubdomain(where, `imagePullSecrets[${i}]`, name) }))),
    nodeSelector: nonEmpty({ ...options.nodeSelector }),
    priorityClassName: options.priorityClassName,
    tolerations: nonEmpty((options.tolerations ?? []).map((toleration, i) => renderToleration(where, `tolerations[${i}]`, toleration))),
  };
}

/** Labels and annotations of the pod. Those of the construct cannot be overridden. */
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

/** The environment variables of the user, in their order. If a name occurs twice, Kubernetes silently uses the second. */
export function renderEnv(where: Where, env: Record<string, EnvValue>, own: Plain<k8s.EnvVar>[]): Plain<k8s.EnvVar>[] {
  for (const { name } of own) {
    if (Object.hasOwn(env, name))
      refuse(where, { prop: `env.${name}`, allowed: 'must not be set in env: the construct sets it', remedy: 'leave it out' });
  }
  return Object.entries(env).map(([name, value]) => ({ name: checkEnvName(where, 'env', name), ...value._source }));
}

/** Every key of Secrets and ConfigMaps. */
export function renderEnvFrom(envFrom: EnvFrom[] | undefined): Plain<k8s.EnvFromSource>[] | undefined {
  return envFrom && envFrom.length > 0 ? envFrom.map(({ _envFrom }) => _envFrom) : undefined;
}

/** Volume sources that Pod Security forbids at its level "restricted", or at both levels. */
const NOT_RESTRICTED = new Set(
  (
    'awsElasticBlockStore azureDisk azureFile cephfs cinder fc flexVolume flocker gcePersistentDisk gitRepo glusterfs hostPath iscsi nfs ' +
    'photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos vsphereVolume'
  ).split(' '),
);
const NOT_BASELINE = new Set(['hostPath']);

function checkSource(where: Where, name: string, source: object, level: 'restricted' | 'baseline'): void {
  const forbidden = Object.keys(source).find((field) => (level === 'restricted' ? NOT_RESTRICTED : NOT_BASELINE).has(field));
  if (forbidden === undefined) return;
  refuse(where, {
    prop: `volumes.${name}`,
    given: `of ${forbidden}`,
    allowed: `must have a source that Pod Security "${level}" allows: a namespace that enforces it refuses the pod`,
    remedy: `make it a PersistentVolume and write Volume.fromPersistentVolumeClaim('${name}', { mountPath: '/mnt/${name}' })${
      NOT_BASELINE.has(forbidden) || typeof where === 'string' ? '' : ', or for flow runs podSecurity: PodSecurity.BASELINE'
    }`,
  });
}

/** The volumes of the construct, by name, followed by those of the user. No mount may hide another one, but one may be inside a writable one. */
export function renderVolumes(
  where: Where,
  own: Record<string, MountedVolume>,
  volumes: Record<string, Volume>,
  level: 'restricted' | 'baseline',
) {
  const all: Record<string, MountedVolume> = { ...own };
  const mounted = Object.entries(own).flatMap(([name, { mounts }]) =>
    mounts.map(({ mountPath, readOnly }) => ({ name, path: mountPath, isOurs: true, isWritable: !readOnly })),
  );
  for (const [name, { _source: source, _mount: mount }] of Object.entries(volumes)) {
    checkDnsLabel(where, 'volumes', name);
    if (Object.hasOwn(own, name)) {
      refuse(where, {
        prop: 'volumes',
        value: name,
        allowed: `must not be one of ${Object.keys(own).join(', ')}`,
        remedy: `write for example team-${name}`,
      });
    }
    checkSource(where, name, source, level);
    const isWritable = !mount.readOnly;
    for (const { path, name: other, isOurs, isWritable: intoOther } of mounted) {
      const lies = `${mount.mountPath}/`.startsWith(`${path}/`) && (path === mount.mountPath || !intoOther);
      // Kubernetes mounts the outer volume first and creates the folder of the inner one in it.
      const hides = `${path}/`.startsWith(`${mount.mountPath}/`) && (isOurs || !isWritable);
      if (lies || hides) {
        refuse(where, {
          prop: `volumes.${name}.mountPath`,
          value: mount.mountPath,
          allowed: `must not hide, or be inside the read-only mount at, ${path}, where the volume "${other}" is mounted`,
          remedy: `write for example mountPath: '/mnt/${name}'`,
        });
      }
    }
    mounted.push({ name, path: mount.mountPath, isOurs: false, isWritable });
    all[name] = { source, mounts: [mount] };
  }
  return {
    volumes: Object.entries(all).map(([name, { source }]) => ({ name, ...source })),
    volumeMounts: Object.entries(all).flatMap(([name, { mounts }]) => mounts.map((mount) => ({ name, ...mount }))),
  };
}

/** A volume and its mount paths in the container. */
export interface MountedVolume {
  readonly source: Omit<Plain<k8s.Volume>, 'name'>;
  readonly mounts: Omit<Plain<k8s.VolumeMount>, 'name'>[];
}

/** `resources` as in a manifest, or undefined if they are empty. */
export function renderResources(where: Where, resources: ContainerResources): Plain<k8s.ResourceRequirements> | undefined {
  const { cpuRequest, cpuLimit, memoryRequest, memoryLimit, ephemeralStorageRequest, ephemeralStorageLimit } = resources;
  for (const prop of ['memoryRequest', 'memoryLimit', 'ephemeralStorageRequest', 'ephemeralStorageLimit'] as const) {
    const size = resources[prop];
    if (size !== undefined && !Number.isSafeInteger(kibibytesOf(size) * 1024)) {
      refuse(where, {
        prop: `resources.${prop}`,
        given: renderSize(size),
        allowed: 'must be a whole number of bytes below 8Pi',
        remedy: 'write for example Size.gibibytes(2)',
      });
    }
  }
  checkOrder(where, 'cpuRequest', cpuRequest, cpuLimit, ({ millicores }) => millicores, showCpu);
  checkOrder(where, 'memoryRequest', memoryRequest, memoryLimit, kibibytesOf, renderSize);
  checkOrder(where, 'ephemeralStorageRequest', ephemeralStorageRequest, ephemeralStorageLimit, kibibytesOf, renderSize);
  const extended = Object.entries(resources.extendedResources ?? {}).map(([name, amount]) => {
    checkExtendedResource(where, name, amount);
    return [name, amount];
  });
  const quantities = (cpu: string | undefined, memory?: Size, ephemeralStorage?: Size) =>
    nonEmpty({
      ...(cpu && { cpu }),
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
    refuse(where, { prop, value: amount, allowed: 'must be a whole number, at least 1', remedy: 'write for example 1' });
  }
}

function checkOrder<Amount>(
  where: Where,
  field: string,
  request: Amount | undefined,
  limit: Amount | undefined,
  size: (amount: Amount) => number,
  show: (amount: Amount) => string,
): void {
  if (request !== undefined && limit !== undefined && size(request) > size(limit)) {
    refuse(where, {
      prop: `resources.${field}`,
      given: show(request),
      allowed: `must be at most the limit, ${show(limit)}`,
      remedy: `raise the limit to ${show(request)}, or lower the request to ${show(limit)}`,
    });
  }
}

function showCpu({ millicores }: Cpu): string {
  return millicores % 100 === 0 ? `${millicores / 1000} CPU` : `${millicores}m CPU`;
}

/** Any size, even if it is not a whole number of KiB. */
export function kibibytesOf(size: Size): number {
  return size.toKibibytes({ rounding: SizeRoundingBehavior.NONE });
}

/** In the largest unit without a fraction. */
function renderSize(size: Size): string {
  let amount = kibibytesOf(size);
  const units = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi'];
  while (amount % 1024 === 0 && amount > 0 && units.length > 1) {
    amount /= 1024;
    units.shift();
  }
  return `${amount}${units[0]}`;
}

function renderToleration(where: Where, prop: string, { key, value, effect, tolerationSeconds }: Toleration): Plain<k8s.Toleration> {
  if (key !== undefined) checkLabelKey(where, `${prop}.key`, key);
  if (value !== undefined) {
    checkLabelValue(where, `${prop}.value`, value);
    if (key === undefined) {
      refuse(where, {
        prop: `${prop}.value`,
        value,
        allowed: 'must not be set without a key',
        remedy: "write for example key: 'dedicated', the key of the taint",
      });
    }
  }
  if (tolerationSeconds !== undefined && effect !== TaintEffect.NO_EXECUTE) {
    refuse(where, {
      prop: `${prop}.tolerationSeconds`,
      given: showDuration(tolerationSeconds),
      allowed: 'must not be set without effect: TaintEffect.NO_EXECUTE',
      remedy: 'write effect: TaintEffect.NO_EXECUTE too',
    });
  }
  return {
    key,
    operator: value === undefined ? 'Exists' : 'Equal',
    value,
    effect,
    tolerationSeconds: tolerationSeconds && checkWholeSeconds(where, `${prop}.tolerationSeconds`, tolerationSeconds, 0),
  };
}

/** Throws for labels or annotations that the construct would silently overwrite. */
export function refuseOwn(where: Where, prop: string, given: Record<string, string>, own: Record<string, string>): void {
  const key = Object.keys(given).find((name) => Object.hasOwn(own, name));
  if (key !== undefined) {
    refuse(where, { prop, value: key, allowed: 'must not be one of the names that the construct sets', remedy: 'leave it out' });
  }
}

/** Leaves out empty lists and objects, so that reviewers do not have to read them. */
function nonEmpty<T extends object>(value: T): T | undefined {
  return Object.values(value).some((item) => item !== undefined) ? value : undefined;
}
