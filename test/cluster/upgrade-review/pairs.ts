// Pairs of manifests, as an upgrade would have them: the same constructs with a few props changed, and then, by hand as it were, what
// generated props do not reach.

import {
  DaskWorkerPolicy,
  DebugConfig,
  type DebugConfigProps,
  FlowJobTemplate,
  FlowRunJob,
  FlowRunSweeper,
  PrefectAgent,
  PrefectApi,
  SecretKeyRef,
  StockPrefectAgent,
} from '../../../lib';
import fc from '../../fast-check';
import { type Manifest, synth } from '../../support';
import {
  type AgentProps,
  agentProps,
  type DaskProps,
  daskProps,
  debugProps,
  type RunJobProps,
  runJobProps,
  type StockProps,
  type SweeperProps,
  stockProps,
  sweeperProps,
  type TemplateProps,
  templateProps,
} from '../admission/props';
import { made, type Spec } from '../admission/values';

/** Stands for the namespace until a pair is stored. */
export const NAMESPACE = 'zz-namespace-of-the-pair';

export interface Pair {
  readonly name: string;
  readonly old: Manifest[];
  readonly next: Manifest[];
}

/** The names that an object keeps, or the pair would be of two objects. */
const IDENTITY = ['resourceName', 'flowRunId'];

/** Two sets of props of which the second differs from the first in some. */
function twoOf<P>(props: fc.Arbitrary<Spec<P>>): fc.Arbitrary<[Spec<P>, Spec<P>]> {
  return fc.tuple(props, props, fc.infiniteStream(fc.integer({ min: 0, max: 3 })), fc.boolean()).map(([old, other, dice, keeps]) => {
    const keys = [...new Set([...Object.keys(old as object), ...Object.keys(other as object)])].sort();
    const entries = keys.map((key) => {
      const { value } = dice.next();
      const from = (value === 0 && !(keeps && IDENTITY.includes(key)) ? other : old) as Record<string, unknown>;
      return [key, from[key]];
    });
    return [old, Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as Spec<P>];
  });
}

type Builder = { name: string; two: fc.Arbitrary<[unknown, unknown]>; build: (props: unknown) => Manifest[] };
const builder = <P>(name: string, props: fc.Arbitrary<Spec<P>>, build: (props: P) => Manifest[]): Builder => ({
  name,
  two: twoOf<P>(props),
  build: (given) => build(made<P>(given as Spec<P>)),
});

const api = PrefectApi.server({ url: 'http://prefect:4200' });
const key = SecretKeyRef.of('prefect-api-key', 'key');

const builders: Builder[] = [
  builder<{ agent: AgentProps; debug?: DebugConfigProps }>(
    'PrefectAgent',
    fc.record({ agent: agentProps, debug: fc.option(debugProps, { nil: undefined }) }) as never,
    ({ agent, debug }) =>
      synth((chart) => {
        new PrefectAgent(chart, 'Agent', { ...agent, debug: debug && new DebugConfig(chart, 'Debug', debug) });
      }, NAMESPACE),
  ),
  builder<TemplateProps>('FlowJobTemplate', templateProps, (props) =>
    synth((chart) => {
      new PrefectAgent(chart, 'Agent', { api, jobTemplate: new FlowJobTemplate(chart, 'Jobs', props) });
    }, NAMESPACE),
  ),
  builder<DaskProps>('DaskWorkerPolicy', daskProps, (props) =>
    synth((chart) => {
      new FlowJobTemplate(chart, 'Jobs', { dask: new DaskWorkerPolicy(chart, 'Dask', props) });
    }, NAMESPACE),
  ),
  builder<SweeperProps>('FlowRunSweeper', sweeperProps, (props) =>
    synth((chart) => new FlowRunSweeper(chart, 'Sweeper', props), NAMESPACE),
  ),
  builder<RunJobProps>('FlowRunJob', runJobProps, (props) => synth((chart) => new FlowRunJob(chart, 'Run', props), NAMESPACE)),
  builder<StockProps>('StockPrefectAgent', stockProps, (props) =>
    synth((chart) => new StockPrefectAgent(chart, 'Agent', { ...props, namespace: NAMESPACE }), NAMESPACE),
  ),
];

const stock = () =>
  synth(
    (chart) => new StockPrefectAgent(chart, 'Agent', { key: 'in-clear', labels: ['kube'], rbac: true, namespace: NAMESPACE }),
    NAMESPACE,
  );
/** With a name twice in its environment, as API servers let it pass. */
const twice = () => {
  const objects = stock();
  const env = objects.find(({ kind }) => kind === 'Deployment')?.spec.template.spec.containers[0].env;
  env.push({ ...env[0] });
  return objects;
};
const hardened = () =>
  synth((chart) => {
    new PrefectAgent(chart, 'Agent', { api: PrefectApi.cloud({ apiKey: key, url: 'https://api.prefect.example' }), labels: ['kube'] });
  }, NAMESPACE);

/** Changes of one manifest that props do not make, by the kind that they are for. */
const mutations: Record<string, ((object: Manifest) => void)[]> = {
  Deployment: [
    ({ spec }) => Object.assign(spec, { replicas: 2 }),
    ({ spec }) => Object.assign(spec, { replicas: 0 }),
    ({ spec }) => delete spec.replicas,
    ({ spec }) => Object.assign(spec, { strategy: { type: 'RollingUpdate' } }),
    ({ spec }) => Object.assign(spec, { strategy: { type: 'Recreate' } }),
    ({ spec }) => Object.assign(spec, { strategy: {} }),
    ({ spec }) => delete spec.strategy,
    ({ spec }) => Object.assign(spec, { revisionHistoryLimit: 10, progressDeadlineSeconds: 600 }),
    ({ spec }) => Object.assign(spec, { minReadySeconds: 0, paused: false }),
    ({ spec }) => Object.assign(spec, { minReadySeconds: 5 }),
    ({ spec }) => Object.assign(spec, { paused: true }),
    ({ spec }) => {
      spec.selector = { matchLabels: { other: 'x' } };
      spec.template.metadata.labels.other = 'x';
    },
    ({ spec }) => Object.assign(spec.selector, { matchExpressions: [] }),
    ({ spec }) => delete spec.template.metadata.labels[Object.keys(spec.selector.matchLabels)[0] as string],
    ({ spec }) => Object.assign(spec.template.metadata.labels, { added: 'x' }),
    ({ spec }) => Object.assign(spec.template.metadata, { creationTimestamp: null }),
  ],
  Job: [
    ({ spec }) => Object.assign(spec, { backoffLimit: 3 }),
    ({ spec }) => Object.assign(spec, { ttlSecondsAfterFinished: 0 }),
    ({ spec }) => Object.assign(spec, { parallelism: 2 }),
    ({ spec }) => Object.assign(spec, { completions: 2 }),
    ({ spec }) => Object.assign(spec, { suspend: true }),
    ({ spec }) => Object.assign(spec, { suspend: false, completionMode: 'NonIndexed' }),
    ({ spec }) => Object.assign(spec, { completionMode: 'Indexed' }),
    ({ spec }) => Object.assign(spec, { activeDeadlineSeconds: 77 }),
  ],
  ConfigMap: [
    ({ data }) => Object.assign(data, { [Object.keys(data)[0] as string]: 'other' }),
    ({ data }) => Object.assign(data, { more: '' }),
    (object) => delete object.immutable,
    (object) => Object.assign(object, { immutable: true }),
    (object) => Object.assign(object, { immutable: false }),
    (object) => Object.assign(object, { binaryData: {} }),
  ],
  Role: [
    ({ rules }) => rules[0].verbs.push('watch'),
    ({ rules }) => rules[0].verbs.reverse(),
    ({ rules }) => rules[0].verbs.pop(),
    ({ rules }) => rules.reverse(),
    ({ rules }) => rules.push({ apiGroups: [''], resources: ['pods/log'], verbs: ['get'] }),
    ({ rules }) => rules.push({ apiGroups: [''], resources: ['secrets'], verbs: ['get'], resourceNames: ['a'] }),
    ({ rules }) => rules.push({ ...rules[0], resourceNames: ['a', 'b'] }),
    ({ rules }) => Object.assign(rules[0], { resourceNames: ['a'] }),
    ({ rules }) => Object.assign(rules[0], { verbs: ['*'] }),
    ({ rules }) => rules.push(...rules[0].verbs.map((verb: string) => ({ ...rules[0], verbs: [verb] }))),
    ({ rules }) => rules.push({ nonResourceURLs: ['/version'], verbs: ['get'] }),
    (object) => Object.assign(object, { rules: [] }),
  ],
  RoleBinding: [
    ({ roleRef }) => Object.assign(roleRef, { name: 'other' }),
    ({ roleRef }) => delete roleRef.apiGroup,
    ({ subjects }) => subjects.push({ kind: 'ServiceAccount', name: 'another', namespace: NAMESPACE }),
    ({ subjects }) => subjects.push({ kind: 'User', name: 'somebody' }),
    ({ subjects }) => delete subjects[0].namespace,
    ({ subjects }) => Object.assign(subjects[0], { name: 'another', namespace: NAMESPACE }),
    (object) => Object.assign(object, { subjects: [] }),
  ],
  ServiceAccount: [
    (object) => Object.assign(object, { automountServiceAccountToken: true }),
    (object) => delete object.automountServiceAccountToken,
    (object) => Object.assign(object, { imagePullSecrets: [{ name: 'registry' }] }),
    (object) => Object.assign(object, { imagePullSecrets: [] }),
  ],
  NetworkPolicy: [
    ({ spec }) => delete spec.policyTypes,
    ({ spec }) => Object.assign(spec, { ingress: [] }),
    ({ spec }) => Object.assign(spec, { ingress: [{}] }),
    ({ spec }) => Object.assign(spec, { egress: [{ ports: [{ port: 53 }] }] }),
    ({ spec }) => Object.assign(spec, { ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 80, protocol: 'TCP' }] }] }),
    ({ spec }) => Object.assign(spec, { podSelector: { matchLabels: { a: 'b' } } }),
    ({ spec }) => Object.assign(spec, { podSelector: {} }),
  ],
  PodDisruptionBudget: [
    ({ spec }) => Object.assign(spec, { minAvailable: 7 }),
    ({ spec }) => Object.assign(spec, { unhealthyPodEvictionPolicy: 'IfHealthyBudget' }),
    ({ spec }) => delete spec.unhealthyPodEvictionPolicy,
  ],
  Service: [
    ({ spec }) => Object.assign(spec, { type: 'ClusterIP', sessionAffinity: 'None' }),
    ({ spec }) => Object.assign(spec.ports[0], { protocol: 'TCP', targetPort: spec.ports[0].targetPort ?? spec.ports[0].port }),
    ({ spec }) => Object.assign(spec.ports[0], { port: 1234 }),
    ({ spec }) => Object.assign(spec.selector, { a: 'b' }),
    ({ spec }) => Object.assign(spec, { publishNotReadyAddresses: false }),
    ({ spec }) => Object.assign(spec, { clusterIP: 'None' }),
  ],
  '*': [
    ({ metadata }) => Object.assign(metadata, { labels: { ...metadata.labels, added: '' } }),
    ({ metadata }) => Object.assign(metadata, { annotations: { ...metadata.annotations, added: 'x' } }),
    ({ metadata }) => Object.assign(metadata, { creationTimestamp: null }),
  ],
};

/** Of the pod of a Deployment or Job, and its first container. */
const podMutations: ((pod: Manifest, container: Manifest) => void)[] = [
  (_, container) => container.env?.reverse(),
  (pod) => pod.volumes?.reverse(),
  (_, container) => container.volumeMounts?.reverse(),
  (_, container) => Object.assign(container, { resources: respelled(container.resources) }),
  (_, container) => Object.assign(container, { resources: { requests: { cpu: '0.1234567', memory: '1e3' } } }),
  (_, container) => delete container.resources,
  (_, container) => Object.assign(container, { terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'File' }),
  (pod) => Object.assign(pod, { dnsPolicy: 'ClusterFirst', schedulerName: 'default-scheduler', terminationGracePeriodSeconds: 30 }),
  (pod) => Object.assign(pod, { hostNetwork: false, hostPID: false, nodeSelector: {}, tolerations: [] }),
  (pod) => Object.assign(pod, { affinity: {} }),
  (pod) => Object.assign(pod, { enableServiceLinks: true }),
  (pod) => Object.assign(pod, { shareProcessNamespace: false }),
  (pod) => Object.assign(pod, { securityContext: pod.securityContext ?? {} }),
  (pod) => delete pod.securityContext,
  (pod) => Object.assign(pod, { serviceAccount: pod.serviceAccountName }),
  (pod) => delete pod.serviceAccountName,
  (pod) => Object.assign(pod, { serviceAccountName: 'another' }),
  (_, container) => Object.assign(container, { securityContext: { ...container.securityContext, privileged: false } }),
  (_, container) => Object.assign(container, { securityContext: container.securityContext ?? {} }),
  (_, container) => delete container.securityContext,
  (_, container) => Object.assign(container, { lifecycle: {} }),
  (_, container) => Object.assign(container, { stdin: false, tty: false }),
  (_, container) => Object.assign(container, { image: 'registry.example:5000/prefect' }),
  (_, container) => Object.assign(container, { image: 'registry.example:5000/prefect:latest' }),
  (_, container) => delete container.imagePullPolicy,
  (_, container) => delete container.livenessProbe,
  (_, container) => container.livenessProbe && Object.assign(container.livenessProbe, { failureThreshold: 3, initialDelaySeconds: 0 }),
  (_, container) => Object.assign(container, { livenessProbe: { httpGet: { port: 80 } } }),
  (_, container) => Object.assign(container, { livenessProbe: { httpGet: { port: 80, path: '/', scheme: 'HTTP' }, timeoutSeconds: 1 } }),
  (_, container) => Object.assign(container, { ports: [{ containerPort: 53 }, { containerPort: 53, protocol: 'UDP' }] }),
  (_, container) => Object.assign(container, { ports: [{ containerPort: 80 }] }),
  (_, container) => Object.assign(container, { args: [...(container.args ?? []), ''] }),
  (_, container) => Object.assign(container, { env: [...(container.env ?? []), { name: 'LAST', value: '' }] }),
  (_, container) => container.env?.push({ ...container.env[0] }),
  (_, container) => {
    for (const entry of container.env ?? []) if (entry.value === '') delete entry.value;
  },
  (_, container) => container.env?.push({ name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }),
  (pod) => Object.assign(pod, { initContainers: [{ name: 'first', image: 'a' }, ...(pod.initContainers ?? [])] }),
  (pod) => eachVolume(pod, 'configMap', { defaultMode: 420 }),
  (pod) => eachVolume(pod, 'secret', { defaultMode: 256, optional: false }),
  (pod) => Object.assign(pod, { volumes: [...(pod.volumes ?? []), { name: 'more' }] }),
  (pod) => Object.assign(pod, { volumes: [...(pod.volumes ?? []), { name: 'more', emptyDir: { sizeLimit: '1024Mi' } }] }),
  (pod) => Object.assign(pod, { volumes: [...(pod.volumes ?? []), { name: 'more', emptyDir: { sizeLimit: '1Gi' } }] }),
  (pod) => Object.assign(pod, { volumes: [...(pod.volumes ?? []), { name: 'more', configMap: { name: 'a' } }] }),
  (pod) => Object.assign(pod, { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' }] }),
  (pod) => Object.assign(pod, { tolerations: [{ key: 'a', operator: 'Exists', tolerationSeconds: 0, effect: 'NoExecute' }] }),
];

function eachVolume(pod: Manifest, source: string, fields: object): void {
  for (const volume of pod.volumes ?? []) if (volume[source]) Object.assign(volume[source], fields);
}

/** The same amounts, in other words. */
function respelled(resources: Manifest): Manifest {
  const spell = (amounts: Record<string, string> = {}) =>
    Object.fromEntries(
      Object.entries(amounts).map(([name, amount]) => {
        const [, count, unit] = /^(\d+)([KMG]i|m)?$/.exec(String(amount)) ?? [];
        if (unit === 'm') return [name, String(Number(count) / 1000)];
        return [name, unit === 'Gi' ? `${Number(count) * 1024}Mi` : unit === 'Mi' ? `${Number(count) * 1024}Ki` : amount];
      }),
    );
  return (
    resources && {
      ...(resources.limits && { limits: spell(resources.limits) }),
      ...(resources.requests && { requests: spell(resources.requests) }),
    }
  );
}

/** Which objects are changed how, as numbers without meaning. */
const changes = fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat(1)), { maxLength: 4 });

function mutate(objects: Manifest[], which: [number, number, number][]): Manifest[] {
  const copy = structuredClone(objects);
  for (const [index, change, deep] of which) {
    const object = copy[index % Math.max(copy.length, 1)];
    const pod = object?.spec?.template?.spec;
    if (pod && deep === 1) podMutations[change % podMutations.length]?.(pod, pod.containers[0]);
    else if (object) {
      const own = [...(mutations[object.kind] ?? []), ...(mutations['*'] ?? [])];
      own[change % own.length]?.(object);
    }
  }
  return copy;
}

type Make = () => Pair;

/** Pairs of props, with changes by hand or without. */
const ofProps = (byHand: fc.Arbitrary<[number, number, number][]>): fc.Arbitrary<Make>[] =>
  builders.map((one) =>
    fc.tuple(one.two, byHand, byHand).map(([[first, second], before, after]) => () => {
      const old = mutate(one.build(first), before.slice(2));
      return { name: one.name, old, next: mutate(mutate(one.build(second), before.slice(2)), after) };
    }),
  );

/** Pairs that props alone make: what users of the library review. */
export const pairsOfProps = (count: number): Pair[] => collect(fc.oneof(...ofProps(fc.constant([]))), count);

/** Pairs of props that the constructs accept, changed by hand. */
export function pairsOf(count: number): Pair[] {
  const generated = fc.oneof(
    ...ofProps(changes),
    fc.tuple(fc.boolean(), changes).map(([back, after]) => () => {
      const [old, next] = back ? [hardened(), stock()] : [stock(), hardened()];
      return { name: back ? 'hardened to stock' : 'stock to hardened', old, next: mutate(next, after.slice(2)) };
    }),
    // What stays the same but for what is changed by hand: small differences, of which some mean nothing.
    fc
      .tuple(fc.constantFrom(stock, hardened), fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat(1)), { minLength: 4, maxLength: 12 }))
      .map(([build, after]) => () => ({ name: 'by hand', old: build(), next: mutate(build(), after) })),
  );
  return collect(generated, count, [
    { name: 'stock to hardened', old: stock(), next: hardened() },
    { name: 'hardened to stock', old: hardened(), next: stock() },
    // kubectl makes no patch of this one, and asks no server.
    { name: 'hardened to a name twice', old: hardened(), next: twice() },
  ]);
}

function collect(generated: fc.Arbitrary<Make>, count: number, first: readonly Pair[] = []): Pair[] {
  const pairs = [...first];
  for (const make of fc.sample(generated, { numRuns: count * 3 })) {
    if (pairs.length >= count) break;
    try {
      pairs.push(make());
    } catch {
      // Props that the constructs refuse: other tests hold those.
    }
  }
  return pairs;
}
