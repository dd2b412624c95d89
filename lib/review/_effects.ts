// Effects beyond the changed object: missing objects, objects that stay, agents that run, readable secrets.

import { someOf } from '../kubernetes/_describe';
import { identity, identityOf } from '../kubernetes/_identity';
import { type Rule, uncovered } from '../kubernetes/_permissions';
import { type Reference, referenceId } from '../kubernetes/_references';
import { type Fields, fieldsOf, isFields, listOf, same } from '../kubernetes/_stored';
import { changesOf } from './_changes';
import { cannotTell, type Finding, finding, quoted, targetOf } from './_finding';
import { permissionEffects } from './_permission-effects';
import { secretsOf } from './_secrets';
import { podsOfBoth, Side } from './_side';
import { UpgradeClass } from './upgrade-finding';

/**
 * The kinds that `kubectl apply --prune` deletes without `--prune-allowlist`.
 * @see kubectl pkg/util/prune
 */
const PRUNED =
  /^(ConfigMap|Namespace|PersistentVolumeClaim|Pod|Secret|Service|Job|CronJob|Ingress|DaemonSet|Deployment|ReplicaSet|StatefulSet)$/;

/** All findings of a review. */
export interface Effects {
  readonly findings: Finding[];
  readonly changed: number;
  readonly added: number;
  readonly removed: number;
  readonly harmless: number;
  /** Secrets in clear that OLD has too. */
  readonly knownSecrets: number;
}

export function effectsOf(oldManifests: readonly Fields[], newManifests: readonly Fields[]): Effects {
  const [old, next] = [new Side('old', oldManifests), new Side('current', newManifests)];
  const findings: Finding[] = [];
  let [changed, harmless, knownSecrets] = [0, 0, 0];
  for (const [key, manifest] of next.objects) {
    const was = old.objects.get(key);
    const isSame = was === manifest || same(was, manifest);
    const found = newSecrets(isSame ? manifest : was, manifest);
    knownSecrets += found.known;
    findings.push(...found.findings);
    if (was === undefined || isSame) continue;
    changed += 1;
    const effects = [...changesOf(was, manifest, next.flowNamespaceOf(manifest)), ...agentEffects(old, next, key, manifest)];
    const isGrant = grantsDiffer(was, manifest);
    if (isGrant && !manifest.kind.endsWith('Binding') && !isBound(manifest, old) && !isBound(manifest, next)) {
      effects.push(cannotTell(manifest, 'its rules differ, and its bindings are not among these manifests'));
    }
    findings.push(...effects);
    if (effects.length === 0 && !isGrant) harmless += 1;
  }
  const removed = [...old.objects].filter(([key]) => !next.objects.has(key)).map(([, manifest]) => manifest);
  findings.push(...permissionEffects(old, next), ...needs(old, next), ...leftBehind(old, next, removed));
  const added = [...next.objects.keys()].filter((key) => !old.objects.has(key)).length;
  return { findings, changed, added, removed: removed.length, harmless, knownSecrets };
}

/** Whether the permissions of a Role or binding have changed. The findings are per subject. */
function grantsDiffer(was: Fields, is: Fields): boolean {
  if (/^(Cluster)?Role$/.test(is.kind)) {
    const [had, has] = [was, is].map(({ rules }) => listOf(rules)) as [Rule[], Rule[]];
    return uncovered(had, has).length + uncovered(has, had).length > 0;
  }
  return /^(Cluster)?RoleBinding$/.test(is.kind) && !same(was.subjects, is.subjects);
}

function isBound({ kind, metadata }: Fields, side: Side): boolean {
  return side.references.has(referenceId({ kind, namespace: kind === 'Role' ? (metadata.namespace ?? '') : '', name: metadata.name }));
}

/** Effects on agents: changed settings, no agent, or a second agent. */
function agentEffects(old: Side, next: Side, key: string, manifest: Fields): Finding[] {
  const [was, is] = [old.agents.get(key), next.agents.get(key)];
  if (was === undefined) return [];
  if (is === undefined)
    return [finding(UpgradeClass.AGENT_STOPS, manifest, 'it no longer starts an agent', 'spec.template.spec.containers')];
  const found: Finding[] = [];
  const add = (...[upgradeClass, reason, path, remedy]: [UpgradeClass, string, string, string?]) =>
    found.push(finding(upgradeClass, manifest, reason, path, remedy));
  const [oldCount, count] = [was.replicas, is.replicas];
  if (count > 1 && count > oldCount) add(UpgradeClass.SECOND_AGENT, `${count} agents`, 'spec.replicas', 'set it to 1');
  if (is.overlaps && !was.overlaps) {
    add(UpgradeClass.SECOND_AGENT, 'at each restart the new pod starts before the old one ends', 'spec.strategy', 'keep Recreate');
  }
  if (count === 0 && oldCount > 0) add(UpgradeClass.AGENT_STOPS, 'no replicas: flow runs stay Scheduled', 'spec.replicas');
  if (was.namespace !== is.namespace) {
    const reason = `runs get their Jobs in ${is.namespace}, and no agent manages those in ${was.namespace}`;
    add(UpgradeClass.RUNNING_FLOWS, reason, 'env[NAMESPACE]', 'wait until no flow run is active, then apply');
  }
  if (was.labels === undefined || is.labels === undefined) {
    if (was.rawLabels !== is.rawLabels) found.push(cannotTell(manifest, 'the labels of the agent cannot be read'));
  } else if (!same(was.labels, is.labels)) {
    const [olds, news] = [was.labels, is.labels];
    const [gone, come] = [olds.filter((label) => !news.includes(label)), news.filter((label) => !olds.includes(label))];
    const parts = [gone.length > 0 ? `no longer has ${spellLabels(gone)}` : '', come.length > 0 ? `now has ${spellLabels(come)}` : ''];
    const remedy = 'make sure that the labels of each flow match an agent';
    add(UpgradeClass.NEXT_RUN, `it takes other runs: it ${parts.filter((part) => part !== '').join(' and ')}`, 'labels', remedy);
  }
  const apis = [...new Set([...Object.keys(was.api), ...Object.keys(is.api)])].filter((name) => was.api[name] !== is.api[name]);
  if (apis.length > 0) add(UpgradeClass.NEXT_RUN, `it uses another API or tenant: ${apis.join(', ')}`, 'env');
  return found;
}

const spellLabels = (labels: readonly string[]): string =>
  labels.every((label) => /^[\w./ -]{1,40}$/.test(label)) ? someOf(labels.map((label) => `"${label}"`)) : `others (${labels.length})`;

const BUILT_IN =
  /^ConfigMap .*\/kube-root-ca\.crt$|^ServiceAccount .*\/default$|^ClusterRole \/(cluster-admin|admin|edit|view|system:.*)$/s;

/** Objects that are used and not among the manifests. */
function needs(old: Side, next: Side): Finding[] {
  return [...next.references].flatMap(([id, { reference, keys, users }]) => {
    if (BUILT_IN.test(id)) return [];
    const { kind, namespace, name } = reference;
    const key = identity(kind.endsWith('Role') ? 'rbac.authorization.k8s.io' : '', kind, namespace === '' ? undefined : namespace, name);
    const [wasThere, there, known] = [old.objects.get(key), next.objects.get(key), old.references.get(id)];
    const lacks = (object: Fields | undefined) => (one: string) =>
      !['data', 'binaryData', 'stringData'].some((field) => Object.hasOwn(fieldsOf(object?.[field]), one));
    const missing = [...keys]
      .filter(lacks(there))
      .filter((one) => known?.keys.has(one) !== true || (wasThere !== undefined && !lacks(wasThere)(one)));
    const isThere = there !== undefined || (known !== undefined && wasThere === undefined);
    if (isThere && missing.length === 0) return [];
    const where = namespace === '' ? '' : `${namespace}/`;
    const what = `${kind} ${where}${name}${missing.length > 0 ? `, key ${someOf(missing.map((one) => `"${one}"`))}` : ''}`;
    const gone = wasThere ? 'is no longer among the manifests: it must not be deleted' : 'is not among the manifests';
    const others = users.size > 1 ? ` (used by ${users.size} objects)` : '';
    const reason = `${what}: ${there ? 'is among the manifests without it' : gone}${others}`;
    const [user] = users;
    return [finding(UpgradeClass.NEEDS, user as Fields, reason, undefined, remedyFor(reference, missing))];
  });
}

function remedyFor({ kind, namespace, name }: Reference, keys: readonly string[]): string {
  const target = `${quoted(name)}${namespace === '' ? '' : ` -n ${quoted(namespace)}`}`;
  const literals = (keys.length > 0 ? keys : ['KEY']).map((key) => ` --from-literal=${quoted(key)}="$VALUE"`).join('');
  if (kind === 'Secret') return `kubectl create secret generic ${target}${literals}`;
  if (kind === 'ConfigMap') return `kubectl create configmap ${target}${literals}`;
  return kind === 'ServiceAccount'
    ? `kubectl create serviceaccount ${target}`
    : `create it first: kubectl get ${kind.toLowerCase()} ${target}`;
}

/** New or changed secrets in clear. */
function newSecrets(was: Fields | undefined, is: Fields): { findings: Finding[]; known: number } {
  const all = secretsOf(is);
  if (was === is) return { findings: [], known: all.length };
  const earlier = new Map((was ? secretsOf(was) : []).map(({ path, value }) => [path, value]));
  const news = all.filter(({ path, value }) => earlier.get(path) !== value);
  const remedy = 'refer to a Secret instead, and rotate the value, because everyone with access to the manifests has seen it';
  const findings = news.map(({ path }) =>
    finding(UpgradeClass.SECRET_IN_CLEAR, is, earlier.has(path) ? '(hidden, differs)' : '(hidden)', path, remedy),
  );
  return { findings, known: all.length - news.length };
}

/** The effects of deleting an object, or of leaving it in the cluster. */
const CONSEQUENCES: Readonly<Record<string, string>> = {
  ServiceAccount: 'after deletion, the tokens of its running pods are invalid',
  RoleBinding: 'its subjects keep their permissions until it is deleted',
  ClusterRoleBinding: 'its subjects keep their permissions until it is deleted',
  NetworkPolicy: 'after deletion, the traffic of its pods is not limited unless another policy selects them',
  PodDisruptionBudget: 'after deletion, its pods can be evicted at any time',
  Namespace: 'its deletion deletes everything in it',
  Job: 'its deletion ends its flow run',
};

/** Objects that are no longer among the manifests. */
function leftBehind(old: Side, next: Side, removed: readonly Fields[]): Finding[] {
  const isReplaced = [...next.agents.keys()].some((key) => !old.agents.has(key));
  const successors = successorsOf(old, next);
  return removed.flatMap((manifest) => {
    const { kind, metadata } = manifest;
    const deletion = `kubectl delete ${targetOf(manifest)}`;
    const isAgent = old.agents.has(identityOf(manifest));
    if (isAgent && isReplaced) {
      const reason = 'is no longer among the manifests, and runs beside the new one until it is deleted';
      return [finding(UpgradeClass.SECOND_AGENT, manifest, reason, undefined, `${deletion}, before you apply`)];
    }
    const successor = successors.get(identityOf(manifest));
    const reasons = [
      successor === undefined ? '' : `replaced by ConfigMap ${successor}`,
      isAgent ? 'the agent takes flow runs until it is deleted' : Object.hasOwn(CONSEQUENCES, kind) ? CONSEQUENCES[kind] : '',
      PRUNED.test(kind) ? 'kubectl apply --prune deletes it' : `kubectl apply --prune leaves it, unless --prune-allowlist names ${kind}`,
    ].filter((reason) => reason !== '');
    const remedy = successor === undefined ? deletion : `${deletion}, after the rollout`;
    const found = [finding(UpgradeClass.LEFT_BEHIND, manifest, reasons.join('; '), undefined, remedy)];
    const account = `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
    const isFlows = kind === 'ServiceAccount' && old.flowAccounts.has(account);
    return isFlows
      ? [...found, finding(UpgradeClass.RUNNING_FLOWS, manifest, 'flow runs may use it: keep it until they have ended')]
      : found;
  });
}

/** ConfigMaps whose name depends on their content, paired by the volume that mounts them. */
function successorsOf(old: Side, next: Side): Map<string, string> {
  const found = new Map<string, string>();
  for (const [was, { spec, namespace }] of podsOfBoth(old, next)) {
    const volumes = new Map(listOf(was.spec.volumes).map(({ name, configMap }) => [name, configMap?.name]));
    for (const { name, configMap } of listOf(spec.volumes)) {
      const earlier = volumes.get(name);
      if (!isFields(configMap) || earlier === undefined || earlier === configMap.name) continue;
      found.set(identity('', 'ConfigMap', namespace === '' ? undefined : namespace, earlier), String(configMap.name));
    }
  }
  return found;
}
