import { refuse, type Where } from './_refuse';

const APP_ARMOR = 'container.apparmor.security.beta.kubernetes.io/';

/** Annotations that Kubernetes no longer reads, or rejects, each with what to do instead. */
const REPLACED: [RegExp, string][] = [
  [/^kubernetes\.io\/config\.mirror$/, 'leave it to the kubelet'],
  [/^scheduler\.alpha\.kubernetes\.io\/tolerations$/, 'use the prop tolerations'],
  [/^scheduler\.alpha\.kubernetes\.io\/critical-pod$/, 'use the prop priorityClassName'],
  [/^(container\.)?seccomp\.security\.alpha\.kubernetes\.io\//, 'leave it out: the seccomp profile is a field of the pod'],
  [/^security\.alpha\.kubernetes\.io\/(unsafe-)?sysctls$/, 'leave it out: sysctls are a field of the pod'],
];

/** Throws for annotations of Kubernetes that it would reject or ignore. */
export function checkPodAnnotations(
  where: Where,
  annotations: Record<string, string>,
  containers: string[],
  given = 'podAnnotations',
): void {
  for (const [key, value] of Object.entries(annotations)) {
    const prop = `${given}[${JSON.stringify(key)}]`;
    const [, remedy] = REPLACED.find(([pattern]) => pattern.test(key)) ?? [];
    if (remedy !== undefined) refuse(where, { prop, allowed: 'must not be set: Kubernetes no longer reads it', remedy });
    if (key === 'controller.kubernetes.io/pod-deletion-cost' && !isInt32(value)) {
      refuse(where, { prop, value, allowed: 'must be a whole number from -2147483648 to 2147483647', remedy: 'write for example 100' });
    }
    if (!key.startsWith(APP_ARMOR)) continue;
    const container = key.slice(APP_ARMOR.length);
    if (!containers.includes(container)) {
      refuse(where, {
        prop,
        allowed: `must name a container of the pod: ${containers.join(', ')}`,
        remedy: `write for example ${APP_ARMOR}${containers[0]}`,
      });
    }
    if (!/^$|^runtime\/default$|^localhost\//.test(value)) {
      refuse(where, {
        prop,
        value,
        allowed: 'must be runtime/default or localhost/PROFILE: Pod Security refuses others',
        remedy: 'write for example runtime/default',
      });
    }
  }
}

function isInt32(value: string): boolean {
  return /^(0|-\d+|[1-9]\d*)$/.test(value) && Number(value) >= -(2 ** 31) && Number(value) < 2 ** 31;
}
