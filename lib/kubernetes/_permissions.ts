// Compares the permissions of each subject in each namespace, before and after, by coverage. The API server uses the same comparison to
// refuse privilege escalation.
import { type Fields, fieldsOf, listOf } from './_stored';

export interface Rule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly verbs?: readonly string[];
}

/** One permission: a verb on one resource or URL, optionally for one name. */
interface Right {
  readonly verb: string;
  readonly url?: string;
  readonly group?: string;
  readonly resource?: string;
  readonly name?: string;
}

const list = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

function rightsOf(rule: Rule): Right[] {
  const names = list(rule.resourceNames);
  const objects = list(rule.apiGroups).flatMap((group) =>
    list(rule.resources).flatMap((resource) => (names.length > 0 ? names : [undefined]).map((name) => ({ group, resource, name }))),
  );
  return list(rule.verbs).flatMap((verb) =>
    [...objects, ...list(rule.nonResourceURLs).map((url) => ({ url }))].map((object) => ({ verb, ...object })),
  );
}

/** @see https://github.com/kubernetes/component-helpers/blob/v0.37.2/auth/rbac/validation/policy_comparator.go */
function grants(rule: Rule, { verb, url, group, resource, name }: Right): boolean {
  const has = (all: unknown, one: string) => list(all).includes(one);
  if (!has(rule.verbs, '*') && !has(rule.verbs, verb)) return false;
  if (url !== undefined) {
    // A rule with resourceNames grants nothing for URLs.
    const covers = (path: string) => path === url || (path.endsWith('*') && url.startsWith(path.replace(/\*+$/, '')));
    return list(rule.resourceNames).length === 0 && list(rule.nonResourceURLs).some(covers);
  }
  const subresource = resource?.includes('/') ? `*${resource.slice(resource.indexOf('/'))}` : '*';
  return (
    (has(rule.apiGroups, '*') || has(rule.apiGroups, group ?? '')) &&
    (has(rule.resources, '*') || has(rule.resources, resource ?? '') || has(rule.resources, subresource)) &&
    (list(rule.resourceNames).length === 0 || (name !== undefined && has(rule.resourceNames, name)))
  );
}

/** The permissions in `rules` that no single rule of `owner` covers. */
export function uncovered(owner: readonly Rule[], rules: readonly Rule[]): Right[] {
  return rules.flatMap(rightsOf).filter((right) => !owner.some((rule) => grants(rule, right)));
}

/** Permissions in words: `list pods, events; create jobs.batch`. Long lists are cut. */
export function spellRights(rights: readonly Right[]): string {
  const byObject = new Map<string, Set<string>>();
  for (const { verb, url, group, resource, name } of rights) {
    const kind =
      group === ROLE ? `all of ${resource}` : `${resource}${group === '' ? '' : `.${group}`}${name === undefined ? '' : `/${name}`}`;
    const object = url ?? kind;
    byObject.set(object, (byObject.get(object) ?? new Set()).add(verb));
  }
  const byVerbs = new Map<string, string[]>();
  for (const [object, verbs] of byObject) {
    const key = object.startsWith('all of ') ? '' : `${[...verbs].join(', ')} `;
    byVerbs.set(key, [...(byVerbs.get(key) ?? []), object]);
  }
  const text = [...byVerbs].map(([verbs, objects]) => `${verbs}${objects.join(', ')}`).join('; ');
  return text.length <= 500 ? text : `${text.slice(0, 500)} ... (${rights.length} rights)`;
}

/**
 * The reason why permissions reach further than they seem to, if they do.
 * @see https://kubernetes.io/docs/concepts/security/rbac-good-practices/
 */
export function dangerOf(rights: readonly Right[]): string {
  const some = (test: (right: Right) => boolean) => rights.some(test);
  const reads = ['get', 'list', 'watch', '*'];
  const makers = 'pods deployments daemonsets statefulsets replicasets jobs cronjobs'.split(' ');
  return [
    some(({ verb, resource, group }) => [verb, resource, group].includes('*')) && '"*" includes what later versions bring',
    some(({ verb }) => ['escalate', 'bind', 'impersonate'].includes(verb)) && 'it can give itself any right',
    some(({ verb, resource }) => resource === 'secrets' && reads.includes(verb)) && 'it can read Secrets',
    some(({ verb, resource }) => verb === 'create' && makers.includes(resource ?? '')) &&
      'whoever creates pods can read every Secret of their namespace',
    some(({ resource }) => resource === 'pods/exec' || resource === 'serviceaccounts/token') && 'it can act as other accounts',
  ]
    .filter((reason) => reason !== false)
    .join('; ');
}

/** The API group that stands for the unknown permissions of a role that is not among the manifests. */
const ROLE = '(role)';
const ALL: Rule[] = [
  { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
  { nonResourceURLs: ['*'], verbs: ['*'] },
];

/** Namespace, or '' for the whole cluster. */
type Scope = string;

/** The rules of each subject in each scope, from the manifests. */
export class Permissions {
  private readonly rules = new Map<string, Map<Scope, Rule[]>>();

  public constructor(manifests: readonly Fields[]) {
    const roles = new Map<string, Fields>();
    for (const role of manifests) {
      if (role.kind === 'Role' || role.kind === 'ClusterRole')
        roles.set(roleKey(role.kind, role.metadata.name, role.metadata.namespace), role);
    }
    for (const { kind, metadata, roleRef, subjects } of manifests) {
      if (kind !== 'RoleBinding' && kind !== 'ClusterRoleBinding') continue;
      const scope: Scope = kind === 'RoleBinding' ? (metadata.namespace ?? '(none)') : '';
      const { kind: roleKind, name } = fieldsOf(roleRef);
      const rules = rulesOf(roles.get(roleKey(roleKind, name, metadata.namespace)), `${roleKind} ${name}`);
      for (const subject of listOf(subjects)) {
        const key = subjectKey(subject, metadata.namespace);
        const scopes = this.rules.get(key) ?? new Map<Scope, Rule[]>();
        this.rules.set(key, scopes.set(scope, [...(scopes.get(scope) ?? []), ...rules]));
      }
    }
  }

  public get subjects(): string[] {
    return [...this.rules.keys()];
  }

  public scopesOf(subject: string): Scope[] {
    return [...(this.rules.get(subject)?.keys() ?? [])];
  }

  /** The rules of the subject itself in one scope. */
  public rulesOf(subject: string, scope: Scope): Rule[] {
    return this.rules.get(subject)?.get(scope) ?? [];
  }

  /** All rules for a subject in a scope, including cluster-wide rules and those of the groups of service accounts. */
  public effective(subject: string, scope: Scope): Rule[] {
    const namespace = /^ServiceAccount ([^/]+)\//.exec(subject)?.[1];
    const groups = namespace === undefined ? [] : [`Group system:serviceaccounts`, `Group system:serviceaccounts:${namespace}`];
    return [subject, ...groups, 'Group system:authenticated'].flatMap((one) =>
      [...new Set([scope, ''])].flatMap((where) => this.rulesOf(one, where)),
    );
  }
}

const roleKey = (kind: string, name: string, namespace: unknown) => `${kind} ${kind === 'Role' ? `${namespace}/` : ''}${name}`;

/** `ServiceAccount NAMESPACE/NAME`, or `KIND NAME` of users and groups. */
export function subjectKey({ kind, name, namespace }: Fields, bindingNamespace: unknown): string {
  return kind === 'ServiceAccount' ? `ServiceAccount ${namespace ?? bindingNamespace ?? '(none)'}/${name}` : `${kind} ${name}`;
}

function rulesOf(role: Fields | undefined, name: string): Rule[] {
  if (role === undefined) return name === 'ClusterRole cluster-admin' ? ALL : [{ apiGroups: [ROLE], resources: [name], verbs: ['use'] }];
  // A controller writes the rules of an aggregated role. The aggregated roles need not be among the manifests.
  const selectors = listOf(role.aggregationRule?.clusterRoleSelectors);
  const opaque = selectors.map((selector) => ({
    apiGroups: [ROLE],
    resources: [`roles aggregated by ${JSON.stringify(selector)}`],
    verbs: ['use'],
  }));
  return [...listOf(role.rules), ...opaque];
}
