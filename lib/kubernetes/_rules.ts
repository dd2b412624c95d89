/** The part of a manifest that this module reads. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: manifests are of every kind
  readonly [field: string]: any;
}

/** The same as in Kubernetes: plugin/pkg/auth/authorizer/rbac. */
interface PolicyRule {
  readonly apiGroups?: string[];
  readonly resources?: string[];
  readonly resourceNames?: string[];
  readonly nonResourceURLs?: string[];
  readonly verbs: string[];
}

interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

interface LabelSelector {
  readonly matchLabels?: Record<string, string>;
  readonly matchExpressions?: { readonly key: string; readonly operator: string; readonly values?: string[] }[];
}

/** The items of a `List`, or the manifest itself. */
export function itemsOf(manifest: Manifest): Manifest[] {
  return manifest.kind.endsWith('List') && Array.isArray(manifest.items) ? manifest.items.flatMap(itemsOf) : [manifest];
}

/** The permissions of a service account by the roles and bindings among these manifests, one sorted line for each. */
export function rulesOf(manifests: Manifest[], account: string, namespace: string | undefined): string[] {
  const lines = manifests.filter(isBinding).flatMap((binding) => {
    if (!((binding.subjects ?? []) as Subject[]).some((subject) => isMeant(subject, binding, account, namespace))) return [];
    const where = whereOf(binding);
    const { kind, name } = binding.roleRef;
    const roles = manifests.filter((role) => role.kind === kind && role.metadata.name === name && isReached(role, binding));
    const isWhole = roles.length > 0 && roles.every((role) => role.aggregationRule === undefined);
    const rules = roles.flatMap((role) => rulesOfRole(manifests, role));
    return [...rules.flatMap((rule) => spell(rule, where)), ...(isWhole ? [] : [`${kind} ${name}${where}`])];
  });
  return [...new Set(lines)].sort();
}

function isBinding({ kind }: Manifest): boolean {
  return kind === 'RoleBinding' || kind === 'ClusterRoleBinding';
}

/** A service account also has a user name and three groups. Without a namespace, that of any account of the name. */
function isMeant({ kind, name, namespace: its }: Subject, binding: Manifest, account: string, namespace: string | undefined): boolean {
  if (kind === 'ServiceAccount') return name === account && (namespace ?? its) === (its ?? binding.metadata.namespace);
  const [, system, group, of, user] = /^(system):(serviceaccounts?)(?::([^:]+))?(?::([^:]+))?$/.exec(name) ?? [];
  if (kind === 'User') return group === 'serviceaccount' && user === account && (namespace ?? of) === of;
  if (kind !== 'Group') return false;
  const isGroup = system !== undefined && group === 'serviceaccounts' && user === undefined && (namespace ?? of) === (of ?? namespace);
  return isGroup || name === 'system:authenticated';
}

/** cdk8s adds a namespace to every object, also to a ClusterRoleBinding. */
function whereOf({ kind, metadata }: Manifest): string {
  return kind === 'ClusterRoleBinding' || metadata.namespace === undefined ? '' : ` in ${metadata.namespace}`;
}

function isReached(role: Manifest, binding: Manifest): boolean {
  return role.kind === 'ClusterRole' || role.metadata.namespace === binding.metadata.namespace;
}

/**
 * The rules of a ClusterRole. For an aggregated one, these are the rules that Kubernetes collects in place of its own. If it collects
 * none, its own rules stay: the controller applies an empty list, which changes no field. Roles that collect each other may keep the
 * rules of any of them.
 * @see https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go
 */
function rulesOfRole(manifests: Manifest[], role: Manifest, seen: Manifest[] = []): PolicyRule[] {
  if (role.aggregationRule === undefined) return role.rules ?? [];
  if (seen.includes(role)) return seen.flatMap(({ rules }) => rules ?? []);
  const selectors: LabelSelector[] = role.aggregationRule.clusterRoleSelectors ?? [];
  const collected = manifests
    .filter((other) => other.kind === 'ClusterRole' && other !== role)
    .filter(({ metadata }) => selectors.some((selector) => isSelected(metadata.labels ?? {}, selector)))
    .flatMap((other) => rulesOfRole(manifests, other, [...seen, role]));
  return collected.length > 0 ? collected : (role.rules ?? []);
}

function isSelected(labels: Record<string, string>, { matchLabels = {}, matchExpressions = [] }: LabelSelector): boolean {
  const expressions = [
    ...Object.entries(matchLabels).map(([key, value]) => ({ key, operator: 'In', values: [value] })),
    ...matchExpressions,
  ];
  return expressions.every(({ key, operator, values = [] }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    if (operator === 'Exists') return value !== undefined;
    if (operator === 'DoesNotExist') return value === undefined;
    const isIn = value !== undefined && values.includes(value);
    return operator === 'In' ? isIn : !isIn;
  });
}

/** No resourceNames means all names. Only a ClusterRoleBinding grants nonResourceURLs. */
function spell(rule: PolicyRule, where: string): string[] {
  const { apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [], verbs } = rule;
  const kinds = apiGroups.flatMap((group) => resources.map((resource) => (group === '' ? resource : `${resource}.${group}`)));
  const objects = kinds.flatMap((kind) => (resourceNames.length > 0 ? resourceNames.map((name) => `${kind}/${name}`) : [kind]));
  return verbs.flatMap((verb) => [...objects, ...(where === '' ? nonResourceURLs : [])].map((object) => `${verb} ${object}${where}`));
}
