import { refuse, type Where } from './_refuse';

const APP_ARMOR = 'container.apparmor.security.beta.kubernetes.io/';

/** Annotations that Kubernetes once read as fields, and now ignores or refuses: what to do instead. */
const REPLACED: [RegExp, string][] = [
  [/^kubernetes\.io\/config\.mirror$/, 'leave it to the kubelet'],
  [/^scheduler\.alpha\.kubernetes\.io\/tolerations$/, 'use the prop tolerations'],
  [/^scheduler\.alpha\.kubernetes\.io\/critical-pod$/, 'use the prop priorityClassName'],
  [/^(container\.)?seccomp\.security\.alpha\.kubernetes\.io\//, 'leave it out: the seccomp profile is a field of the pod'],
  [/^security\.alpha\.kubernetes\.io\/(unsafe-)?sysctls$/, 'leave it out: sysctls are a field of the pod'],
];

/** Refuses those that Kubernetes reads itself, where it would refuse or ignore them. */
export function checkPodAnnotations(where: Where, annotations: Record<string, string>, containers: string[]): void {
  for (const [key, value] of Object.entries(annotations)) {
    const prop = `podAnnotations[${JSON.stringify(key)}]`;
    const [, remedy] = REPLACED.find(([pattern]) => pattern.test(key)) ?? [];
    if (remedy !== undefined) refuse(where, { prop, allowed: 'must not be set: Kubernetes no longer reads it', remedy });
    if (key === 'controller.kubernetes.io/pod-deletion-cost' && !isInt32(value)) {
      refuse(where, { prop, value, allowed: 'must be a whole number of 32 bits', remedy: 'write for example 100' });
    }
    if (!key.startsWith(APP_ARMOR)) continue;
    const container = key.slice(APP_ARMOR.length);
    if (!containers.includes(container)) {
      refuse(where, { prop, allowed: `must name a container of the pod: ${containers.join(', ')}`, remedy: 'name one of them' });
    }
    if (!/^$|^runtime\/default$|^localhost\//.test(value)) {
      refuse(where, {
        prop,
        value,
        allowed: 'must be runtime/default or localhost/PROFILE: Pod Security refuses others',
        remedy: 'choose such a profile',
      });
    }
  }
}

function isInt32(value: string): boolean {
  return /^(0|-\d+|[1-9]\d*)$/.test(value) && Number(value) >= -(2 ** 31) && Number(value) < 2 ** 31;
}
