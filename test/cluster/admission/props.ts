// Sets of props for each construct. A new prop does not compile until it is generated here; only the hatch is excepted.

import {
  type AgentRbacProps,
  type ContainerOptions,
  DaskDeployMode,
  type DaskPodOptions,
  type DaskWorkerPolicyProps,
  type DebugConfigProps,
  EvictionPolicy,
  type FlowJobProps,
  type FlowJobTemplateProps,
  type FlowRun,
  type FlowRunJobProps,
  type FlowRunSweeperProps,
  ImagePullPolicy,
  type InitContainer,
  LogLevel,
  type PodOptions,
  PodSecurity,
  type PrefectAgentProps,
  PrefectApi,
  PrefectBackend,
  type PrefectCloudOptions,
  type PrefectServerOptions,
  type StockPrefectAgentProps,
  type SweeperMetrics,
  type SweeperRule,
  TaintEffect,
  type Toleration,
} from '../../../lib';
import fc from '../../fast-check';
import * as prefect from '../../oracle/generate';
import * as values from './values';
import { made, optional, type Spec, seldom } from './values';

/** An arbitrary for each prop of P: with one missing, it does not compile. */
type Each<P> = { [K in keyof Required<P>]: fc.Arbitrary<Spec<P[K]>> };

/** Each prop half of the time, but for those that are required. */
function some<P>(each: Each<P>, requiredKeys: (keyof P)[] = []): fc.Arbitrary<Spec<P>> {
  const present = (Object.keys(each) as (keyof P)[]).map((key) => [key, requiredKeys.includes(key) ? each[key] : optional(each[key])]);
  return fc
    .record(Object.fromEntries(present))
    .map((props) => Object.fromEntries(Object.entries(props).filter(([, value]) => value !== undefined)) as Spec<P>);
}

const of = fc.constantFrom;
const levels = of(...Object.values(LogLevel));
const MAX_SECONDS = 2 ** 31 - 1;

/** Few, since each is made: a pod is refused unless its class exists. */
const priorityClasses = ['cdk8s-prefect.test', `cdk8s-prefect.${'p.'.repeat(119)}p`];

const toleration: fc.Arbitrary<Spec<Toleration>> = fc.oneof(
  fc.record({ key: optional(values.labelKey), effect: optional(of(...Object.values(TaintEffect))) }),
  fc.record({ key: values.labelKey, value: values.labelValue }),
  fc.record({ key: optional(values.labelKey), effect: of(TaintEffect.NO_EXECUTE), tolerationSeconds: values.duration(0, MAX_SECONDS) }),
);

const podOptions = (container: string): Each<Omit<PodOptions, 'affinity' | 'podSpec'>> => ({
  podLabels: values.labels,
  podAnnotations: values.annotationsOf(container),
  nodeSelector: seldom(values.labels, of<Record<string, string>>({ 'beta.kubernetes.io/arch': 'amd64' })),
  tolerations: fc.oneof(
    { weight: 9, arbitrary: fc.array(toleration, { maxLength: 4 }) },
    { weight: 1, arbitrary: fc.array(toleration, { minLength: 20, maxLength: 20 }) },
  ),
  priorityClassName: of(...priorityClasses, 'system-node-critical'),
  imagePullSecrets: seldom(fc.uniqueArray(values.dnsSubdomain, { maxLength: 3 }), of(['a', 'a'])),
  omitRunAsUser: fc.boolean(),
});

const url = seldom(
  fc.oneof(prefect.url, of('http://[::1]', `https://${'a.'.repeat(100)}a/${'p'.repeat(3_000)}`, 'https://größe.example')),
  of('HTTPS://example.com', 'https://a/?b', 'https://a:0/'),
);
export const api: fc.Arbitrary<Spec<PrefectApi>> = fc.oneof(
  fc
    .record({ apiKey: values.secretKeyRef, url, tenantId: optional(fc.uuid()) })
    .map(
      (options) =>
        new values.Call(`PrefectApi.cloud(${fc.stringify(options)})`, () => PrefectApi.cloud(made<PrefectCloudOptions>(options))),
    ),
  fc
    .record({ apiKey: optional(values.secretKeyRef), url, tenantId: optional(fc.uuid()) })
    .map(
      (options) =>
        new values.Call(`PrefectApi.server(${fc.stringify(options)})`, () => PrefectApi.server(made<PrefectServerOptions>(options))),
    ),
);

const cidr = seldom(
  of(
    '0.0.0.0/0',
    '10.0.0.0/8',
    '192.0.2.7/32',
    '255.255.255.255/32',
    '0.0.0.0/32',
    '::/0',
    '2001:db8::/32',
    '::1/128',
    'fe80::/10',
    '64:ff9b::/96',
  ),
  fc.oneof(
    of(
      '10.0.0.1/8',
      '2001:db8::1/32',
      '2001:DB8::/32',
      '2001:db8:0:0::/32',
      '::ffff:10.0.0.0/104',
      '::10.0.0.0/104',
      'fe80::%eth0/10',
      'fe80::1%1/128',
    ),
    of('10.0.0.0', '10.0.0.0/33', '::/129', '010.0.0.0/8', '10.0.0.0/08', '10.0.0.0/+8', '10.0.0/8', '::/-1'),
    fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })).map((parts) => parts.join('/')),
  ),
);
const port = seldom(fc.oneof(of(1, 443, 65_535), fc.integer({ min: 1, max: 65_535 })), of(0, -0, 65_536, 0.5, Number.NaN));
/** Names of which others are made; an agent without a `jobTemplate` leaves 50 characters. */
const resourceName = fc.oneof(
  { weight: 9, arbitrary: values.dnsLabel.filter((name) => name.length <= 50) },
  { weight: 1, arbitrary: values.dnsLabel },
);

const proxy = fc.record({ url, noProxy: optional(fc.array(of('.svc', '10.0.0.0/8', '[::1]:80', '*', 'A.example:1'), { maxLength: 3 })) });
const egress = fc.array(fc.record({ cidr, ports: optional(fc.array(port, { maxLength: 4 })) }), { maxLength: 4 });

const containerOptions: Each<ContainerOptions> = {
  image: values.image,
  imagePullPolicy: of(...Object.values(ImagePullPolicy)),
  env: values.env,
  envFrom: values.envFrom,
  volumes: values.volumes,
  proxy,
  certificateAuthorities: values.configMapKeyRef,
};

// Left out is what only a test can say: namespaces, and what other constructs make.
export type AgentProps = Omit<PrefectAgentProps, 'affinity' | 'podSpec' | 'flowNamespace' | 'debug' | 'jobTemplate'>;
export const agentProps: fc.Arbitrary<Spec<AgentProps>> = some<AgentProps>(
  {
    ...podOptions('agent'),
    ...containerOptions,
    api,
    labels: prefect.labels,
    name: prefect.label,
    agentConfigId: fc.uuid(),
    flowEnvVars: prefect.envVars,
    deleteFinishedJobs: fc.boolean(),
    sendFlowRunLogs: fc.boolean(),
    sweeper: fc.boolean(),
    kubernetesKeepAlive: fc.boolean(),
    requestTimeout: values.duration(1, 30),
    logFormat: of('%(message)s', '{"größe": "%(message)s"}\n'),
    resourceName,
    prefectVersion: seldom(of('1.0.0', '1.4.1'), of('0.15.0', '2.0.0', '')),
    serviceAccountName: values.dnsSubdomain,
    resources: values.resources,
    egress,
  },
  ['api'],
);

const rule = (least: number, most = MAX_SECONDS) =>
  some<SweeperRule>({ enabled: fc.boolean(), after: values.duration(least, most) }) as fc.Arbitrary<Spec<SweeperRule>>;

export type SweeperProps = Omit<FlowRunSweeperProps, 'affinity' | 'podSpec' | 'namespaces'>;
export const sweeperProps: fc.Arbitrary<Spec<SweeperProps>> = some<SweeperProps>(
  {
    ...podOptions('sweeper'),
    ...containerOptions,
    api,
    interval: values.duration(1, 300),
    dryRun: fc.boolean(),
    finishedJobs: rule(0),
    cancellingRuns: rule(0),
    unstartableJobs: rule(60, 12 * 3600),
    lostRuns: rule(60, 12 * 3600),
    runAgainLimit: fc.integer({ min: 1, max: 100 }),
    finishedDaskWorkers: rule(0),
    orphanedDaskClusters: rule(0),
    metrics: some<SweeperMetrics>({
      scraperNamespace: values.dnsLabel,
      serviceMonitor: fc.boolean(),
      prometheusRule: fc.boolean(),
      labels: values.labels,
    }) as fc.Arbitrary<Spec<SweeperMetrics>>,
    resourceName,
    resources: values.resources,
    egress,
  },
  ['api'],
);

export const debugProps = some<DebugConfigProps>({ level: levels, flowLevel: levels, resourceName: values.dnsLabel });
export const rbacProps = some<AgentRbacProps>({
  flowNamespace: values.dnsLabel,
  resourceName: values.dnsLabel,
  serviceAccountName: values.dnsSubdomain,
  deleteFinishedJobs: fc.boolean(),
});

const word = fc.oneof(of('', ' ', '$HOME', '1Gi'), fc.string({ unit: 'grapheme' }));
export type StockProps = Omit<StockPrefectAgentProps, 'namespace'>;
export const stockProps = some<StockProps>({
  key: prefect.apiKey,
  tenantId: fc.uuid(),
  labels: fc.uniqueArray(
    prefect.label.filter((label) => /^[ -~]*$/.test(label)),
    { maxLength: 3 },
  ),
  env: prefect.envVars,
  agentConfigId: fc.uuid(),
  api: url,
  imagePullSecrets: values.dnsSubdomain,
  rbac: fc.boolean(),
  latest: fc.boolean(),
  memRequest: word,
  memLimit: word,
  cpuRequest: word,
  cpuLimit: word,
  imagePullPolicy: word,
  serviceAccountName: values.dnsSubdomain,
  backend: of(...Object.values(PrefectBackend)),
});

/** The paths at which a container sees the volumes of its pod, one after the other. */
type Container = Omit<InitContainer, 'volumeMounts' | 'startupProbe'> & { readonly mountPaths?: string[] };
const containers = fc.uniqueArray(
  some<Container>(
    {
      name: values.dnsLabel,
      image: values.image,
      command: fc.array(word, { maxLength: 2 }),
      args: fc.array(word, { maxLength: 2 }),
      env: values.env,
      envFrom: values.envFrom,
      resources: values.resources,
      mountPaths: fc.array(values.mountPath, { maxLength: 3 }),
    },
    ['name', 'image'],
  ) as fc.Arbitrary<Container>,
  { maxLength: 2, selector: ({ name }) => name },
);

type JobProps = Omit<FlowJobProps, 'affinity' | 'podSpec' | 'dask'>;
const jobProps: Each<JobProps> = {
  ...podOptions('flow'),
  image: values.image,
  imagePullPolicy: of(...Object.values(ImagePullPolicy)),
  resources: values.resources,
  env: values.env,
  envFrom: values.envFrom,
  volumes: values.volumes,
  serviceAccountName: values.dnsSubdomain,
  automountServiceAccountToken: fc.boolean(),
  jobLabels: values.labels,
  jobAnnotations: values.annotations,
  initContainers: containers as fc.Arbitrary<Spec<InitContainer[]>>,
  sidecars: containers as fc.Arbitrary<Spec<InitContainer[]>>,
  ttlAfterFinished: values.duration(120, MAX_SECONDS),
  activeDeadline: values.duration(1, MAX_SECONDS),
  terminationGracePeriod: values.duration(1, MAX_SECONDS),
  terminationMessageFromLog: fc.boolean(),
  extraPipPackages: fc.array(of('pandas>=1.5,<2', 'b[c,d]==1.0.*', `${'p'.repeat(2_000)}`), { maxLength: 3 }),
  pipIndexUrl: values.secretKeyRef,
  podSecurity: of(...Object.values(PodSecurity)),
};

/** Names in `volumeMounts` are those of volumes that there are. */
function mounted<P extends JobProps>(props: Spec<P>): Spec<P> {
  const { volumes = {}, podSecurity, initContainers, sidecars } = props as JobProps;
  const names = [...(podSecurity === PodSecurity.BASELINE ? [] : ['home']), ...Object.keys(volumes)];
  const mount = ({ mountPaths, ...container }: Container) => {
    const volumeMounts = Object.fromEntries((mountPaths ?? []).slice(0, names.length).map((path, i) => [names[i], path]));
    return { ...container, ...(mountPaths && { volumeMounts }) };
  };
  const mountAll = (given: InitContainer[] | undefined) => given && (given as Container[]).map(mount);
  // Probes are verbatim: of those that Kubernetes takes.
  const probed = (given: InitContainer[] | undefined) =>
    mountAll(given)?.map((container, i) =>
      i === 0 ? { ...container, startupProbe: { tcpSocket: { port: 5432 }, periodSeconds: 1 } } : container,
    );
  const containers = {
    ...(initContainers && { initContainers: mountAll(initContainers) }),
    ...(sidecars && { sidecars: probed(sidecars) }),
  };
  return { ...(props as object), ...containers } as Spec<P>;
}

export type TemplateProps = Omit<FlowJobTemplateProps, 'affinity' | 'podSpec' | 'dask' | 'flowNamespace'>;
export const templateProps = some<TemplateProps>({
  ...jobProps,
  onEviction: seldom(of(EvictionPolicy.PROTECT), of(...Object.values(EvictionPolicy))),
  resourceName: values.dnsLabel,
}).map(mounted);

type DaskPodProps = Omit<DaskPodOptions, 'affinity' | 'podSpec'>;
const daskPod = some<DaskPodProps>({ ...podOptions('flow'), resources: values.resources, env: values.env });

export type DaskProps = Omit<DaskWorkerPolicyProps, 'flowNamespace'>;
export const daskProps = some<DaskProps>({
  deployMode: of(...Object.values(DaskDeployMode)),
  worker: daskPod as fc.Arbitrary<Spec<DaskPodOptions>>,
  scheduler: daskPod as fc.Arbitrary<Spec<DaskPodOptions>>,
  threads: seldom(fc.integer({ min: 1, max: 1024 }), of(0, 1.5, Number.NaN)),
  deathTimeout: values.duration(1, MAX_SECONDS),
  clientTimeout: values.duration(1, MAX_SECONDS),
  idleTimeout: values.duration(1, MAX_SECONDS),
  networkPolicy: fc.boolean(),
  daskKubernetesVersion: seldom(of('2022.9.0', '2024.4.2'), of('2022.7.0', '2024.5.0', '')),
  resourceName: values.dnsLabel,
});

export type RunJobProps = Omit<FlowRunJobProps, 'affinity' | 'podSpec' | 'dask'>;
export const runJobProps = some<RunJobProps>(
  { ...jobProps, api, flowRunId: fc.uuid(), logLevel: levels, sendFlowRunLogs: fc.boolean(), resourceName: values.dnsLabel },
  ['api', 'flowRunId'],
).map(mounted);

/** A flow run that asks for what Kubernetes can do: what a flow says itself no construct refuses. */
export const flowRun: fc.Arbitrary<FlowRun> = fc.record(
  {
    id: fc.uuid(),
    flowId: fc.uuid(),
    coreVersion: of('0.12.6', '0.15.13', '1.4.1', '1.4.1+2.g0'),
    dockerStorageImage: of('registry.example:5000/flow:2020'),
    runConfig: fc.record(
      {
        image: of('a', 'a:latest'),
        env: prefect.envVars,
        serviceAccountName: of('', 'a.b'),
        imagePullSecrets: of([], ['a', 'b']),
        imagePullPolicy: of('Always', 'Never'),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);
