// The effects of a change of one object: an update that is refused, a restart, or an immediate change. Effects that depend on a second
// object are in _effects.ts.
import { isTemplate, podsOf, templateOf } from '../flow-job/_pods-of';
import { type Applied, applied, differences, duplicateIn, type Way } from '../kubernetes/_apply';
import { describe, someOf } from '../kubernetes/_describe';
import { refusalOf } from '../kubernetes/_refusals';
import { type Fields, fieldsOf, isFields, listOf, normalObject, same, withDefaults } from '../kubernetes/_stored';
import { weaknessesOf } from '../kubernetes/_weaknesses';
import { cannotTell, type Finding, finding, targetOf } from './_finding';
import { ApplyMode, UpgradeClass } from './upgrade-finding';

/** The kinds and versions that the review knows. */
const KINDS: Readonly<Record<string, string>> = {
  'apps/v1': 'Deployment',
  'batch/v1': 'Job',
  v1: 'ConfigMap Secret ServiceAccount Service Namespace',
  'rbac.authorization.k8s.io/v1': 'Role RoleBinding ClusterRole ClusterRoleBinding',
  'networking.k8s.io/v1': 'NetworkPolicy',
  'policy/v1': 'PodDisruptionBudget',
  'monitoring.coreos.com/v1': 'ServiceMonitor PrometheusRule',
};
const isKnown = ({ apiVersion, kind }: Fields): boolean =>
  Object.hasOwn(KINDS, apiVersion) && KINDS[apiVersion]?.split(' ').includes(kind) === true;

/** The effects of one object that is in both sets and differs. An empty list means harmless, or a matter of permissions only. */
export function changesOf(old: Fields, next: Fields, flowNamespace?: string): Finding[] {
  if (!isKnown(next) || next.apiVersion !== old.apiVersion) {
    const paths = differences(normalObject(old), normalObject(next));
    return [cannotTell(next, `differs in ${someOf(paths)}, and this review does not know ${next.apiVersion} ${next.kind}`)];
  }
  try {
    return effectsOf(old, next, flowNamespace);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return [cannotTell(next, 'has fields of a type that Kubernetes does not have')];
  }
}

function effectsOf(old: Fields, next: Fields, flowNamespace?: string): Finding[] {
  const change = applied(old, next);
  return [
    ...byWay((way) => refusalOf(change.before, change.after[way], way, next)).map(({ value: reason, applyMode }) => ({
      ...finding(UpgradeClass.REFUSED, next, reason, reason.split(' ')[0], remedyFor(reason, next)),
      ...applyMode,
    })),
    ...(next.kind === 'Deployment' ? deploymentEffects(change, next) : []),
    ...(next.kind === 'ConfigMap' && change.before.immutable !== true ? templateEffects(change, next) : []),
    ...liveEffects(change, next),
    ...metadataEffects(change, next),
    ...weaknesses(change, old, next, flowNamespace),
  ];
}

/** The effects of both ways of applying, or of one of them. */
function byWay(happens: (way: Way) => string | undefined): { value: string; applyMode: { applyMode?: ApplyMode } }[] {
  const [client, server] = [happens('client'), happens('server')];
  const value = client ?? server;
  if (value === undefined) return [];
  const one = client === undefined ? ApplyMode.SERVER_SIDE : ApplyMode.CLIENT_SIDE;
  return [{ value, applyMode: client !== undefined && server !== undefined ? {} : { applyMode: one } }];
}

function remedyFor(reason: string, next: Fields): string {
  if (reason.startsWith('spec.strategy')) {
    return `kubectl patch ${targetOf(next)} --type=json -p '[{"op":"replace","path":"/spec/strategy","value":{"type":"Recreate"}}]', then apply`;
  }
  if (next.kind === 'ConfigMap' || next.kind === 'Secret') return 'give it another name, and use that name in the objects that refer to it';
  const how = { Deployment: ' --cascade=foreground', Job: ', which ends its run' }[next.kind as string] ?? '';
  return reason.includes('immutable') ? `kubectl delete ${targetOf(next)}${how}, then apply` : 'change that in the manifest';
}

function deploymentEffects({ before, after }: Applied, next: Fields): Finding[] {
  const was = before.spec.template;
  const restarts = byWay((way) => (same(after[way].spec.template, was) ? undefined : describe(was, after[way].spec.template)));
  const found: Finding[] = restarts.map(({ value, applyMode }) => ({
    ...finding(UpgradeClass.RESTARTS, next, value, 'spec.template'),
    ...applyMode,
  }));
  const duplicate = duplicateIn(after.client.spec.template.spec, 'client') ?? duplicateIn(was.spec, 'client');
  if (duplicate !== undefined) {
    const reason = `${duplicate} has two entries with the same key, which client-side apply merges wrongly`;
    found.push({ ...cannotTell(next, reason), applyMode: ApplyMode.CLIENT_SIDE });
  }
  const account = after.client.spec.template.spec.serviceAccountName;
  if (account !== undefined && next.spec?.template?.spec?.serviceAccountName === undefined) {
    const reason = `pods still run as ${account}: the server keeps the old field serviceAccount if serviceAccountName is only removed`;
    found.push(
      finding(UpgradeClass.AGENT_STOPS, next, reason, 'spec.template.spec.serviceAccountName', 'write serviceAccountName: default'),
    );
  }
  return found;
}

/** Jobs and pods in a ConfigMap: the templates of later flow runs. */
function templateEffects({ before, after }: Applied, next: Fields): Finding[] {
  return filesThatDiffer(before, after.client)
    .filter((file) => isTemplate(file))
    .flatMap((file) => {
      const texts = [before, after.client].map(({ data }) => fieldsOf(data)[file]);
      const [was, is] = texts.map(templateOf);
      const [wasThere, isThere] = texts.map((text) => text !== undefined);
      if ((wasThere && !was) || (isThere && !is)) return [cannotTell(next, `data[${file}] is not a Job or a Pod`)];
      if (!was || !is) {
        const what = isThere ? 'new: later runs have pods of it' : 'no longer there: later runs have no pods of it';
        return [finding(UpgradeClass.NEXT_RUN, next, what, `data[${file}]`)];
      }
      const [old, now] = [was, is].map((template) => withDefaults(normalObject(asManifest(template)))) as [Fields, Fields];
      if (same(old, now)) return [];
      const rest = differences({ ...old, spec: omit(old.spec, ['template']) }, { ...now, spec: omit(now.spec, ['template']) });
      const what = [describe(old.spec.template, now.spec.template), someOf(rest)].filter((text) => text !== '').join('; ');
      return [finding(UpgradeClass.NEXT_RUN, next, what, `data[${file}]`)];
    });
}

function asManifest({ metadata, spec }: Fields): Fields {
  const { template = { metadata, spec }, ...job } = isFields(spec.template) ? spec : {};
  // Prefect sets the image of the first container, and the default depends on the image.
  const containers = listOf(template.spec?.containers).map((one) => ({ imagePullPolicy: '(by the image)', ...one }));
  return { kind: 'Job', metadata, spec: { ...job, template: { ...template, spec: { ...fieldsOf(template.spec), containers } } } };
}

const omit = (fields: unknown, names: string[]): Fields =>
  Object.fromEntries(Object.entries(fieldsOf(fields)).filter(([name]) => !names.includes(name)));

function filesThatDiffer(was: Fields, is: Fields): string[] {
  return ['data', 'binaryData', 'stringData'].flatMap((field) => {
    const [olds, news] = [fieldsOf(was[field]), fieldsOf(is[field])];
    return Object.keys({ ...olds, ...news }).filter((file) => olds[file] !== news[file]);
  });
}

/** Kinds with a template and a selector. */
const told = new Set(['Deployment', 'Job']);

/** Immediate changes: everything that is not refused and has no other effect. */
function liveEffects({ before, after }: Applied, next: Fields): Finding[] {
  const { kind } = next;
  if (kind === 'ConfigMap' || kind === 'Secret') {
    if (before.immutable === true) return [];
    const files = filesThatDiffer(before, after.client).filter((file) => kind === 'Secret' || !isTemplate(file));
    const frozen = before.immutable === after.client.immutable ? [] : [live(next, 'immutable: its data cannot change any more')];
    const reason = `${someOf(files)}: mounted files follow in about a minute, variables at the next start`;
    return files.length > 0 ? [...frozen, live(next, reason)] : frozen;
  }
  if (kind === 'Namespace') return same(before.spec, after.client.spec) ? [] : [cannotTell(next, 'spec differs')];
  // _effects.ts compares the permissions of each subject.
  if (/^(Cluster)?Role/.test(kind)) {
    return same(before.aggregationRule, after.client.aggregationRule)
      ? []
      : [cannotTell(next, 'aggregationRule collects roles that are not among the manifests')];
  }
  if (kind === 'Job' && before.spec.suspend === true && !same(before.spec.template, after.client.spec.template)) {
    return [cannotTell(next, 'spec.template of a suspended Job: some of its fields may change')];
  }
  // Templates and selectors have their own findings.
  const rest = ({ metadata: _, spec, ...others }: Fields) => ({
    ...others,
    spec: told.has(kind) ? omit(spec, ['template', 'selector']) : spec,
  });
  const paths = [after.client, after.server].flatMap((object) => differences(rest(before), rest(object)));
  const suspended = kind === 'Job' && after.client.spec.suspend === true && before.spec.suspend !== true;
  return [
    ...(paths.length > 0 ? [live(next, someOf(paths))] : []),
    ...(suspended ? [finding(UpgradeClass.RUNNING_FLOWS, next, 'its pods end: it is suspended', 'spec.suspend')] : []),
  ];
}

const live = (object: Fields, reason: string): Finding => finding(UpgradeClass.LIVE_CHANGE, object, reason);

/** Effects of metadata on other objects. Most labels and annotations are only for people. */
function metadataEffects({ before, after }: Applied, next: Fields): Finding[] {
  const [was, is] = [fieldsOf(before.metadata), fieldsOf(after.client.metadata)];
  const differs = (field: string) => !same(was[field], is[field]);
  const found = ['finalizers', 'ownerReferences']
    .filter(differs)
    .map((field) => cannotTell(next, `metadata.${field} differs: the object may be kept, or deleted with another`));
  if (next.kind === 'ServiceAccount' && differs('annotations')) {
    found.push(cannotTell(next, 'metadata.annotations of an account can give it permissions outside Kubernetes, and they differ'));
  }
  // Prometheus and its monitors select by labels. The labels of a namespace set its Pod Security level.
  if (/^(Service|ServiceMonitor|PrometheusRule|Namespace)$/.test(next.kind) && differs('labels')) {
    found.push(live(next, `metadata.labels: ${someOf(differences(fieldsOf(was.labels), fieldsOf(is.labels)))}`));
  }
  return found;
}

/** Pods that become less secure. */
function weaknesses({ before, after }: Applied, old: Fields, next: Fields, flowNamespace?: string): Finding[] {
  const [was, is] = /^(Deployment|Job)$/.test(next.kind)
    ? [
        { ...before, metadata: old.metadata },
        { ...after.client, metadata: next.metadata },
      ]
    : [old, next];
  const olds = podsOf(was, flowNamespace);
  return podsOf(is, flowNamespace).flatMap(({ path, spec }) => {
    const earlier = olds.find((pod) => pod.path === path);
    const known = earlier && weaknessesOf(earlier.spec);
    const news = [...weaknessesOf(spec)].filter(([weakness]) => known?.has(weakness) === false);
    return news.map(([weakness, where]) => finding(UpgradeClass.POD_SECURITY_WEAKENED, next, weakness, `${path}.${where}`));
  });
}
