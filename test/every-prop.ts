import { type Chart, Duration, Size } from 'cdk8s';
import {
  BaseJobTemplate,
  type BaseJobTemplateProps,
  ConfigMapKeyRef,
  type ContainerOptions,
  Cpu,
  DaskDeployMode,
  type DaskWorkerPolicy,
  type DaskWorkerPolicyProps,
  DebugConfig,
  EnvFrom,
  EnvValue,
  EvictionPolicy,
  type FlowJobOptions,
  type FlowJobProps,
  FlowJobTemplate,
  type FlowRunSweeperProps,
  ImagePullPolicy,
  JobVariable,
  type PodOptions,
  PodSecurity,
  Prefect3Api,
  type PrefectAgentProps,
  PrefectApi,
  PrefectBackend,
  type PrefectWorkerProps,
  SecretKeyRef,
  type StockPrefectAgentProps,
  TaintEffect,
  Volume,
  WorkPool,
  type WorkPoolProps,
} from '../lib';

// Every prop at once: a prop that is added does not compile until it is here, and so in a snapshot.

export const everyDaskProp: Required<Omit<DaskWorkerPolicyProps, 'flowNamespace'>> = {
  deployMode: DaskDeployMode.REMOTE,
  worker: { resources: { cpuRequest: Cpu.units(1), memoryLimit: Size.gibibytes(4) }, env: { OMP_NUM_THREADS: EnvValue.of('1') } },
  scheduler: { nodeSelector: { pool: 'stable' }, podAnnotations: { 'example.com/team': 'platform' } },
  threads: 2,
  deathTimeout: Duration.minutes(2),
  clientTimeout: Duration.seconds(30),
  idleTimeout: Duration.hours(1),
  networkPolicy: true,
  daskKubernetesVersion: '2024.4.2',
  resourceName: 'team-dask',
};

const everyFlowJobOption: Required<FlowJobOptions> = {
  image: 'registry.example/flows:42',
  imagePullPolicy: ImagePullPolicy.ALWAYS,
  resources: { cpuRequest: Cpu.units(1), memoryRequest: Size.gibibytes(2), memoryLimit: Size.gibibytes(2) },
  envFrom: [EnvFrom.secret('settings', { prefix: 'TEAM_', optional: true }), EnvFrom.configMap('more')],
  omitRunAsUser: false,
  env: { REGION: EnvValue.of('north'), PASSWORD: EnvValue.fromSecret(SecretKeyRef.of('db', 'password')) },
  volumes: {
    cache: Volume.fromPersistentVolumeClaim('cache', { mountPath: '/cache' }),
    ssh: Volume.fromSecret('git-ssh', { mountPath: '/home/prefect/.ssh', defaultMode: 0o440, items: { key: 'id_rsa' }, optional: true }),
    store: Volume.fromSource({ csi: { driver: 'secrets-store.csi.k8s.io' } }, { mountPath: '/store', readOnly: true }),
  },
  serviceAccountName: 'flows',
  automountServiceAccountToken: true,
  jobLabels: { team: 'data' },
  jobAnnotations: { 'example.com/owner': 'data' },
  initContainers: [
    {
      name: 'fetch',
      image: 'registry.example/fetch:1',
      command: ['fetch'],
      args: ['--all'],
      volumeMounts: { cache: '/out' },
      env: { A: EnvValue.of('1') },
    },
  ],
  sidecars: [
    {
      name: 'proxy',
      image: 'registry.example/proxy:1',
      resources: { cpuRequest: Cpu.millis(10) },
      envFrom: [EnvFrom.secret('db')],
      startupProbe: { tcpSocket: { port: 5432 }, periodSeconds: 1 },
    },
  ],
  terminationGracePeriod: Duration.seconds(90),
  podSecurity: PodSecurity.RESTRICTED,
  podLabels: { stage: 'test' },
  podAnnotations: { 'example.com/team': 'data' },
  nodeSelector: { pool: 'gpu' },
  tolerations: [{ key: 'gpu', effect: TaintEffect.NO_SCHEDULE }],
  affinity: { podAntiAffinity: {} },
  priorityClassName: 'batch',
  imagePullSecrets: ['registry'],
  podSpec: { runtimeClassName: 'nvidia' },
};

export const everyFlowJobProp = (dask: DaskWorkerPolicy): Required<FlowJobProps> => ({
  ...everyFlowJobOption,
  dask,
  ttlAfterFinished: Duration.minutes(5),
  activeDeadline: Duration.hours(12),
  terminationMessageFromLog: false,
  extraPipPackages: ['pandas>=1.5,<2', 's3fs'],
  pipIndexUrl: SecretKeyRef.of('pip', 'index-url'),
});

export const everyBaseJobTemplateProp: Required<BaseJobTemplateProps> = {
  ...everyFlowJobOption,
  api: Prefect3Api.server({
    url: 'https://prefect.example/api',
    authString: SecretKeyRef.of('prefect', 'auth-string'),
    certificateAuthorities: ConfigMapKeyRef.of('team-ca', 'bundle.pem'),
    proxy: { url: 'http://proxy.example:3128', noProxy: ['.example.com'] },
  }),
  nodeSelector: { pool: 'gpu', team: '{{ team }}' },
  flowNamespace: 'flows',
  jobVariables: {
    image: JobVariable.string({ pattern: '^registry\\.example/' }),
    memory_limit: JobVariable.choice(['2Gi', '8Gi'], { description: 'Memory of the flow run.' }),
    team: JobVariable.choice(['fraud', 'risk'], { required: true }),
    env: JobVariable.map(),
  },
  ttlAfterFinished: Duration.hours(2),
  activeDeadline: Duration.hours(12),
  onEviction: EvictionPolicy.PROTECT,
  resourceName: 'team-jobs',
};

export const everyStockFlag: Required<StockPrefectAgentProps> = {
  key: 's3cret',
  tenantId: '11111111-2222-3333-4444-555555555555',
  labels: ['kube', "it's"],
  env: { TEAM: 'données' },
  agentConfigId: '99999999-8888-7777-6666-555555555555',
  api: 'http://prefect:4200',
  namespace: 'flows',
  imagePullSecrets: 'registry',
  rbac: true,
  latest: true,
  memRequest: '1G',
  memLimit: '2G',
  cpuRequest: '1',
  cpuLimit: '2',
  imagePullPolicy: 'Never',
  serviceAccountName: 'flow',
  backend: PrefectBackend.SERVER,
};

export const everyContainerProp: Required<ContainerOptions & PodOptions> = {
  image: 'registry.example:5000/prefect:42@sha256:0000000000000000000000000000000000000000000000000000000000000000',
  imagePullPolicy: ImagePullPolicy.IF_NOT_PRESENT,
  env: { REGION: EnvValue.of('north') },
  envFrom: [EnvFrom.configMap('settings')],
  omitRunAsUser: true,
  volumes: { team: Volume.fromConfigMap('team-files', { mountPath: '/etc/team' }) },
  proxy: { url: 'http://proxy.example:3128', noProxy: ['.example.com'] },
  certificateAuthorities: ConfigMapKeyRef.of('team-ca', 'bundle.pem'),
  podLabels: { team: 'data' },
  podAnnotations: { 'example.com/owner': 'data' },
  nodeSelector: { 'kubernetes.io/arch': 'amd64' },
  tolerations: [{ key: 'dedicated', value: 'prefect', effect: TaintEffect.NO_EXECUTE, tolerationSeconds: Duration.minutes(5) }],
  affinity: { nodeAffinity: {} },
  priorityClassName: 'high',
  imagePullSecrets: ['registry'],
  podSpec: { hostAliases: [{ ip: '192.0.2.1', hostnames: ['prefect.example'] }] },
};

export function everyAgentProp(chart: Chart): Required<PrefectAgentProps> {
  return {
    ...everyContainerProp,
    api: PrefectApi.cloud({
      apiKey: SecretKeyRef.of('team-key', 'token'),
      tenantId: '11111111-2222-3333-4444-555555555555',
      url: 'https://prefect.example/api',
    }),
    labels: ['kube', 'gpu'],
    name: 'team agent',
    agentConfigId: '99999999-8888-7777-6666-555555555555',
    flowEnvVars: { TEAM: 'data', PRICE: '$5' },
    flowNamespace: 'flows',
    deleteFinishedJobs: false,
    sendFlowRunLogs: false,
    kubernetesKeepAlive: false,
    requestTimeout: Duration.seconds(20),
    jobTemplate: new FlowJobTemplate(chart, 'Jobs', { flowNamespace: 'flows' }),
    sweeper: true,
    debug: new DebugConfig(chart, 'Debug'),
    logFormat: '%(levelname)s %(message)s',
    resourceName: 'team-agent',
    prefectVersion: '1.2.4',
    serviceAccountName: 'team-account',
    resources: { cpuLimit: Cpu.units(0.5), memoryLimit: Size.gibibytes(1) },
    egress: [{ cidr: '10.0.0.0/8', ports: [443] }],
  };
}

export const everySweeperProp: Required<FlowRunSweeperProps> = {
  ...everyContainerProp,
  api: PrefectApi.server({ url: 'http://prefect.example:4200', tenantId: '11111111-2222-3333-4444-555555555555' }),
  namespaces: ['flows', 'prefect'],
  interval: Duration.minutes(1),
  dryRun: true,
  finishedJobs: { after: Duration.minutes(10) },
  cancellingRuns: { enabled: true },
  unstartableJobs: { after: Duration.minutes(20) },
  lostRuns: { after: Duration.minutes(2) },
  runAgainLimit: 3,
  finishedDaskWorkers: { enabled: false },
  orphanedDaskClusters: { enabled: true, after: Duration.seconds(0) },
  metrics: { scraperNamespace: 'monitoring', serviceMonitor: true, prometheusRule: true, labels: { release: 'kube-prometheus' } },
  resourceName: 'team-sweeper',
  resources: { cpuLimit: Cpu.units(0.5), memoryLimit: Size.gibibytes(1) },
  egress: [{ cidr: '10.0.0.0/8', ports: [443] }],
};

export function everyWorkPoolProp(chart: Chart): Required<WorkPoolProps> {
  const { volumes: _, envFrom: _envFrom, proxy: _proxy, certificateAuthorities: _ca, ...every } = everyContainerProp;
  return {
    ...every,
    name: 'team pool',
    baseJobTemplate: new BaseJobTemplate(chart, 'Template', everyBaseJobTemplateProp),
    lock: false,
    resources: { cpuLimit: Cpu.units(0.5), memoryLimit: Size.gibibytes(1) },
    resourceName: 'team-pool',
  };
}

export function everyWorkerProp(chart: Chart): Required<PrefectWorkerProps> {
  const { volumes: _, envFrom: _envFrom, proxy: _proxy, certificateAuthorities: _ca, ...every } = everyContainerProp;
  return {
    ...every,
    workPool: new WorkPool(chart, 'Pool', everyWorkPoolProp(chart)),
    workQueues: ['high', 'default'],
    replicas: 2,
    flowRunCredentials: SecretKeyRef.of('prefect-flows', 'key'),
    resources: { cpuLimit: Cpu.units(0.5), memoryLimit: Size.gibibytes(1) },
    observerResources: { memoryLimit: Size.gibibytes(1) },
    egress: [{ cidr: '10.0.0.0/8', ports: [443, 4200] }],
    resourceName: 'team-worker',
  };
}
