import { type Fields, fieldsOf, listOf } from './_stored';

export const containersOf = (pod: Fields): Fields[] => [...listOf(pod.initContainers), ...listOf(pod.containers)];

/** The security weaknesses of a pod with their positions, as far as the pod alone shows them. */
export function weaknessesOf(pod: Fields): Map<string, string> {
  const found = new Map<string, string>();
  const note = (weakness: string, where: string) => found.set(weakness, found.get(weakness) ?? where);
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) if (pod[field] === true) note(field, field);
  if (pod.automountServiceAccountToken !== false) note('the token of its account is mounted', 'automountServiceAccountToken');
  for (const container of containersOf(pod)) {
    const context = fieldsOf(container.securityContext);
    const where = `containers[${container.name}].securityContext`;
    const user = context.runAsUser ?? pod.securityContext?.runAsUser;
    const nonRoot = context.runAsNonRoot ?? pod.securityContext?.runAsNonRoot;
    if (context.privileged === true) note('privileged', `${where}.privileged`);
    if (user === 0) note('runs as root', `${where}.runAsUser`);
    else if (nonRoot !== true && user === undefined) note('may run as root', `${where}.runAsNonRoot`);
    if (context.readOnlyRootFilesystem !== true) note('root filesystem can be written', `${where}.readOnlyRootFilesystem`);
    if (context.allowPrivilegeEscalation !== false) note('may gain privileges', `${where}.allowPrivilegeEscalation`);
    const { add, drop } = fieldsOf(context.capabilities);
    if (!Array.isArray(drop) || !drop.includes('ALL')) note("keeps the runtime's capabilities", `${where}.capabilities.drop`);
    for (const capability of Array.isArray(add) ? add : []) note(`capability ${capability}`, `${where}.capabilities.add`);
  }
  return found;
}
