import { duplicateIn, type Way } from './_apply';
import { describe } from './_describe';
import { type Fields, fieldsOf, isFields, listOf, same } from './_stored';

/** The reason why a server refuses an update, if it does. */
export const refusalOf = (was: Fields, is: Fields, way: Way, next: Fields): string | undefined =>
  tooLarge(next, way) ?? REFUSALS[next.kind]?.(was, is, way, next);

const MOST_ANNOTATIONS = 262_144;

/** Client-side apply stores the manifest in an annotation. The annotations of an object may have 262,144 bytes in total. */
function tooLarge(next: Fields, way: Way): string | undefined {
  const annotations = Object.entries(fieldsOf(fieldsOf(next.metadata).annotations))
    .flat()
    .join('');
  const size = Buffer.byteLength(annotations + (way === 'client' ? JSON.stringify(next) : ''));
  return size > MOST_ANNOTATIONS
    ? 'metadata.annotations exceed 262144 bytes, with the copy that a client-side apply keeps in them'
    : undefined;
}

/** The reasons why a server refuses to update an object. */
const REFUSALS: Readonly<Record<string, (was: Fields, is: Fields, way: Way, next: Fields) => string | undefined>> = {
  Deployment: ({ spec: was }, { spec: is }, way) => {
    if (!same(is.selector, was.selector)) return 'spec.selector is immutable';
    const labels = fieldsOf(is.template.metadata?.labels);
    const selected = Object.entries(fieldsOf(is.selector?.matchLabels)).every(([key, value]) => labels[key] === value);
    if (!selected) return 'spec.template.metadata.labels lacks a label of spec.selector';
    const twofold = is.strategy.type === 'Recreate' && is.strategy.rollingUpdate;
    return twofold ? 'spec.strategy keeps rollingUpdate, which the server filled in, beside Recreate' : podRefusal(is.template.spec, way);
  },
  Job: ({ spec: was }, { spec: is }, way) => {
    // Some fields of a suspended Job may change (see liveEffects).
    if (!same(is.template, was.template) && was.suspend !== true)
      return `spec.template is immutable: ${describe(was.template, is.template)}`;
    const fields = ['completionMode', 'completions', 'podFailurePolicy', 'backoffLimitPerIndex', 'managedBy', 'successPolicy', 'selector'];
    const field = fields.find((name) => !same(is[name], was[name]));
    return field === undefined ? podRefusal(is.template.spec, way) : `spec.${field} is immutable`;
  },
  ConfigMap: immutableData,
  Secret: (was, is, way, next) => (was.type === is.type ? immutableData(was, is, way, next) : 'type is immutable'),
  RoleBinding: (was, is) => (same(was.roleRef, is.roleRef) ? undefined : 'roleRef is immutable'),
  ClusterRoleBinding: (was, is) => (same(was.roleRef, is.roleRef) ? undefined : 'roleRef is immutable'),
  Role: refusedRules,
  ClusterRole: refusedRules,
  Service: ({ spec: was }, { spec: is }) =>
    is.clusterIP !== undefined && is.clusterIP !== was.clusterIP ? 'spec.clusterIP is immutable' : undefined,
};

function refusedRules(_: Fields, { kind, rules }: Fields): string | undefined {
  const isWhole = ({ verbs, apiGroups, resources, nonResourceURLs }: Fields) =>
    verbs !== undefined && (nonResourceURLs === undefined ? apiGroups !== undefined && resources !== undefined : kind === 'ClusterRole');
  return listOf(rules).every(isWhole) ? undefined : 'rules lack verbs, apiGroups or resources, or have URLs outside of a ClusterRole';
}

function immutableData(was: Fields, is: Fields, _: Way, next: Fields): string | undefined {
  if (was.immutable !== true) return undefined;
  // Only here, an empty map differs from a missing one.
  const isWritten = isFields(next.binaryData) && Object.keys(next.binaryData).length === 0;
  const field = ['immutable', 'data', 'binaryData', 'stringData'].find((name) => !same(was[name], is[name]));
  return field === undefined && !isWritten ? undefined : `${field ?? 'binaryData'} is immutable`;
}

/** The invalid pods that merging can produce. */
function podRefusal(pod: Fields, way: Way): string | undefined {
  const duplicate = way === 'server' ? duplicateIn(pod, way) : undefined;
  if (duplicate !== undefined) return `${duplicate} has two entries of one key`;
  const twofold = listOf(pod.volumes).find((volume) => Object.keys(volume).length > 2);
  return twofold && `spec.template.spec.volumes[${twofold.name}] would have two sources`;
}
