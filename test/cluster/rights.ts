import type { AuditEvent } from './harness/audit-log';
import type { Cluster } from './harness/cluster';

export interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

/** A right, as one verb on one resource: `list core/pods`. */
const rightOf = (verb: string, group: string, resource: string) => `${verb} ${group || 'core'}/${resource}`;

/** The same rights, a rule for each. */
export const single = (rules: Rule[]): Rule[] =>
  rules.flatMap(({ apiGroups, resources, verbs }) =>
    resources.flatMap((resource) => verbs.map((verb) => ({ apiGroups, resources: [resource], verbs: [verb] }))),
  );

/** The rights that rules grant. */
export const rightsOf = (rules: Rule[]): string[] =>
  single(rules)
    .map(({ apiGroups: [group = ''], resources: [resource = ''], verbs: [verb = ''] }) => rightOf(verb, group, resource))
    .sort();

/** What an account of a namespace has asked for since a mark. */
export async function requestsOf(cluster: Cluster, mark: number, namespace: string, account: string): Promise<AuditEvent[]> {
  const name = `system:serviceaccount:${namespace}:${account}`;
  return (await cluster.auditLog.since(mark)).filter(({ user, resource }) => user === name && resource !== '');
}

/** The right that a request needs. */
export const right = ({ verb, group, resource, subresource }: AuditEvent): string =>
  rightOf(verb, group, subresource ? `${resource}/${subresource}` : resource);

/** The rights that have been used. */
export const used = (requests: AuditEvent[]): string[] => [...new Set(requests.filter(({ code }) => code < 400).map(right))].sort();

/** The requests that were refused for want of a right. */
export const refused = (requests: AuditEvent[]): AuditEvent[] => requests.filter(({ code }) => code === 401 || code === 403);
