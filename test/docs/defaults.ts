import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiObject, App, Chart, Duration, Size, Testing } from 'cdk8s';
import { Construct } from 'constructs';
import { parse } from 'yaml';
import * as library from '../../lib';
import {
  AgentRbac,
  BaseJobTemplate,
  ConfigMapKeyRef,
  Cpu,
  DaskWorkerPolicy,
  DebugConfig,
  EnvFrom,
  EnvValue,
  EvictionPolicy,
  Fleet,
  type FleetProps,
  FlowJobTemplate,
  FlowRunJob,
  FlowRunSweeper,
  ImagePullPolicy,
  JobVariable,
  LogLevel,
  Prefect3Api,
  PrefectAgent,
  PrefectApi,
  PrefectWorker,
  SecretKeyRef,
  StockPrefectAgent,
  TaintEffect,
  Volume,
  WorkPool,
} from '../../lib';

// biome-ignore lint/suspicious/noExplicitAny: props of every struct, by name
export type Props = any;

/** What is made of some props, in a chart in namespace `prefect`. */
type Outcome = (props: Props, chart: Chart) => unknown;

const UUID = '11111111-2222-3333-4444-555555555555';
const cloud = (options: object = {}) =>
  PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://prefect.example', ...options });
const api = cloud();
const agent = (chart: Chart, props: object) => new PrefectAgent(chart, 'Agent', { api, ...props });
const job = (chart: Chart, props: object) => new FlowJobTemplate(chart, 'Jobs', props);
const api3 = Prefect3Api.server({ url: 'http://prefect.example:4200/api' });
const baseJobTemplate = (chart: Chart, props: object) => new BaseJobTemplate(chart, 'Template', { api: api3, ...props });
const workPool = (chart: Chart, props: object) =>
  new WorkPool(chart, 'Pool', { name: 'k8s', baseJobTemplate: baseJobTemplate(chart, {}), ...props });
const worker = (chart: Chart, props: object) =>
  new PrefectWorker(chart, 'Worker', {
    workPool: new WorkPool(chart, 'Own', { name: 'k8s', baseJobTemplate: withCredentials(chart) }),
    ...props,
  });
const withCredentials = (chart: Chart) =>
  new BaseJobTemplate(chart, 'Signed', {
    api: Prefect3Api.server({ url: 'http://prefect.example:4200/api', authString: SecretKeyRef.of('prefect', 'auth-string') }),
  });
/** A template with one variable, which has a placeholder. */
const withVariable = (chart: Chart, variable: JobVariable) =>
  workPool(chart, {
    baseJobTemplate: new BaseJobTemplate(chart, 'Own', { api: api3, jobVariables: { own: variable }, podSpec: { own: '{{ own }}' } }),
  });

const sweeper = (chart: Chart, props: object) => new FlowRunSweeper(chart, 'Sweeper', { api, ...props });

/** Fleets with a team `fraud`, in a file. */
const FLEET_FILE = join(mkdtempSync(join(tmpdir(), 'cdk8s-prefect-')), 'teams.yaml');
const OTHER_FLEET_FILE = FLEET_FILE.replace('teams', 'others');
writeFileSync(FLEET_FILE, 'teams: { fraud: {} }\n');
writeFileSync(OTHER_FLEET_FILE, 'teams: { other: {} }\n');

/** What a fleet writes, by its path. */
function fleet(props: FleetProps): object {
  const output = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
  const before = process.env.CDK8S_OUTDIR;
  process.env.CDK8S_OUTDIR = output;
  try {
    new Fleet(props).synth();
    const files = readdirSync(output, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.yaml'));
    return Object.fromEntries(files.map((file) => [file, readFileSync(join(output, file), 'utf8')]));
  } finally {
    if (before === undefined) delete process.env.CDK8S_OUTDIR;
    else process.env.CDK8S_OUTDIR = before;
    rmSync(output, { recursive: true });
  }
}

/** The template whose values a run config replaces. */
const TEMPLATE = {
  image: 'registry.example/flows:42',
  imagePullPolicy: ImagePullPolicy.ALWAYS,
  imagePullSecrets: ['registry'],
  serviceAccountName: 'flows',
  env: { A: EnvValue.of('1') },
  resources: { cpuRequest: Cpu.units(1), cpuLimit: Cpu.units(2), memoryRequest: Size.gibibytes(1), memoryLimit: Size.gibibytes(2) },
};

/** How the props of each struct, or one that is not seen otherwise, come to be seen. */
export const outcomes: Record<string, Outcome> = {
  AgentRbacProps: (props, chart) => new AgentRbac(chart, 'Rbac', props),
  AgentSettings: (props, chart) => agent(chart, props),
  BaseJobTemplateProps: (props, chart) => workPool(chart, { baseJobTemplate: new BaseJobTemplate(chart, 'Own', { api: api3, ...props }) }),
  'BaseJobTemplateProps.resourceName': (props, chart) => new BaseJobTemplate(chart, 'Own', { api: api3, ...props }).toJson(),
  BooleanJobVariableOptions: (options, chart) => withVariable(chart, JobVariable.boolean(options)),
  ChoiceJobVariableOptions: (options, chart) => withVariable(chart, JobVariable.choice(['other', 'more'], options)),
  IntegerJobVariableOptions: (options, chart) => withVariable(chart, JobVariable.integer(options)),
  JobVariableOptions: (options, chart) => withVariable(chart, JobVariable.string(options)),
  Prefect3ApiOptions: (options, chart) =>
    baseJobTemplate(chart, { api: Prefect3Api.server({ url: 'http://prefect.example:4200/api', ...options }) }).toJson(),
  Prefect3CloudOptions: (options, chart) =>
    baseJobTemplate(chart, {
      api: Prefect3Api.cloud({ accountId: UUID, workspaceId: UUID, apiKey: SecretKeyRef.of('prefect', 'key'), ...options }),
    }).effectiveJob(),
  Prefect3ServerOptions: (options, chart) =>
    baseJobTemplate(chart, { api: Prefect3Api.server({ url: 'http://prefect.example:4200/api', ...options }) }).effectiveJob(),
  StringJobVariableOptions: (options, chart) => withVariable(chart, JobVariable.string(options)),
  WorkerFlowRun: (run, chart) => baseJobTemplate(chart, {}).effectiveJob(run),
  WorkPoolProps: (props, chart) => workPool(chart, props),
  PrefectWorkerProps: (props, chart) => worker(chart, props),
  ContainerOptions: (props, chart) => agent(chart, props),
  ContainerResources: (resources, chart) => job(chart, { resources }),
  DaskPodOptions: (worker, chart) => job(chart, { dask: new DaskWorkerPolicy(chart, 'Dask', { worker }) }),
  DaskWorkerPolicyProps: (props, chart) =>
    job(chart, { dask: new DaskWorkerPolicy(chart, 'Dask', props), flowNamespace: props.flowNamespace }),
  // It decides what is refused, and nothing else.
  'DaskWorkerPolicyProps.daskKubernetesVersion': (props, chart) => {
    try {
      return new DaskWorkerPolicy(chart, 'Dask', props);
    } catch (error) {
      return new ApiObject(chart, 'Refused', { apiVersion: 'v1', kind: 'Refused', error: String(error) });
    }
  },
  DebugConfigProps: (props, chart) => new DebugConfig(chart, 'Debug', props),
  'DebugConfigProps.flowLevel': (props, chart) => agent(chart, { debug: new DebugConfig(chart, 'Debug', props) }).effectiveJob(),
  DataVolumeOptions: (options, chart) =>
    job(chart, { volumes: { files: Volume.fromSecret('files', { mountPath: '/files', ...options }) } }),
  EgressRule: (rule, chart) => agent(chart, { egress: [{ cidr: '10.0.0.0/8', ...rule }] }),
  EmptyDirOptions: (options, chart) => job(chart, { volumes: { cache: Volume.emptyDir({ mountPath: '/cache', ...options }) } }),
  EnvFromOptions: (options, chart) => job(chart, { envFrom: [EnvFrom.secret('settings', options)] }),
  FleetProps: (props) => fleet({ teams: { fraud: {} }, defaults: { api }, ...props }),
  'FleetProps.defaults': (props) => fleet({ teams: { fraud: { api } }, ...props }),
  'FleetProps.teams': (props) => fleet({ file: FLEET_FILE, defaults: { api }, ...props }),
  FleetTeamProps: (team) => fleet({ teams: { fraud: team }, defaults: { api } }),
  FlowRunSweeperProps: (props, chart) => sweeper(chart, props),
  SweeperMetrics: (metrics, chart) => sweeper(chart, { metrics }),
  'SweeperMetrics.labels': (metrics, chart) => sweeper(chart, { metrics: { serviceMonitor: true, ...metrics } }),
  SweeperRule: (finishedJobs, chart) => sweeper(chart, { finishedJobs }),
  FlowJobOptions: (props, chart) => [job(chart, props), new FlowRunJob(chart, 'Run', { api, flowRunId: UUID, ...props })],
  FlowJobProps: (props, chart) => [job(chart, props), new FlowRunJob(chart, 'Run', { api, flowRunId: UUID, ...props })],
  FlowJobTemplateProps: (props, chart) => job(chart, props),
  'FlowJobTemplateProps.flowNamespace': (props, chart) => job(chart, { onEviction: EvictionPolicy.PROTECT, ...props }),
  FlowRun: (run, chart) => agent(chart, {}).effectiveJob(run),
  FlowRunJobProps: (props, chart) => new FlowRunJob(chart, 'Run', { api, flowRunId: UUID, ...props }),
  HttpProxy: (proxy, chart) => agent(chart, { proxy: { url: 'http://proxy.example:3128', ...proxy } }),
  InitContainer: (container, chart) =>
    job(chart, {
      volumes: { cache: Volume.emptyDir({ mountPath: '/cache' }) },
      initContainers: [{ name: 'init', image: 'registry.example/init:1', ...container }],
    }),
  'InitContainer.startupProbe': (container, chart) =>
    job(chart, { sidecars: [{ name: 'proxy', image: 'registry.example/proxy:1', ...container }] }),
  KubernetesRun: (runConfig, chart) => agent(chart, { jobTemplate: job(chart, TEMPLATE) }).effectiveJob({ runConfig }),
  PodOptions: (props, chart) => [agent(chart, props), new FlowRunJob(chart, 'Run', { api, flowRunId: UUID, ...props })],
  PrefectAgentOptions: (props, chart) => agent(chart, props),
  PrefectAgentProps: (props, chart) => agent(chart, props),
  'PrefectAgentProps.debug': (props, chart) => agent(chart, props).effectiveJob(),
  'PrefectAgentOptions.prefectVersion': (props, chart) => agent(chart, props).effectiveJob(),
  PrefectCloudOptions: (options, chart) => agent(chart, { api: cloud(options) }),
  PrefectServerOptions: (options, chart) => agent(chart, { api: PrefectApi.server({ url: 'http://prefect.example:4200', ...options }) }),
  StockPrefectAgentProps: (props, chart) => new StockPrefectAgent(chart, 'Agent', props),
  Toleration: (toleration, chart) => agent(chart, { tolerations: [{ key: 'pool', effect: TaintEffect.NO_EXECUTE, ...toleration }] }),
  'Toleration.key': (toleration, chart) => agent(chart, { tolerations: [toleration] }),
  'Toleration.effect': (toleration, chart) => agent(chart, { tolerations: [{ key: 'pool', ...toleration }] }),
  VolumeMountOptions: (options, chart) =>
    job(chart, { volumes: { files: Volume.fromSecret('files', { mountPath: '/files', ...options }) } }),
};

/**
 * All that can be seen of some props: the manifests of the chart, or what the outcome tells if it is no construct.
 * An empty list or map and one that is left out are the same to Kubernetes.
 */
export function see(outcome: Outcome, props: (chart: Chart) => Props): unknown {
  const chart = new Chart(new App(), 'chart', { namespace: 'prefect' });
  const told = outcome(props(chart), chart);
  if (![told].flat().some(Construct.isConstruct)) return withoutEmpty(told);
  const manifests = Testing.synth(chart).map((manifest) => [identity(manifest), withoutEmpty(readFiles(manifest))]);
  return Object.fromEntries(manifests);
}

function identity({ kind, metadata }: Props): string {
  return `${kind} ${metadata.namespace}/${metadata.name}`;
}

/** A manifest whose ConfigMap files are read, where they are YAML. */
function readFiles({ data = {}, ...rest }: Props): object {
  const files = Object.entries<string>(data).map(([file, text]) => [file, file.endsWith('.yaml') ? parse(text) : text]);
  return { ...rest, data: Object.fromEntries(files) };
}

function withoutEmpty(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value)
    .map(([key, part]) => [key, withoutEmpty(part)])
    .filter(([, part]) => part !== undefined);
  if (entries.length === 0) return undefined;
  return Array.isArray(value) ? entries.map(([, part]) => part) : Object.fromEntries(entries);
}

/** What a default in prose means, where a prop can say it: by its words, or by the prop where the same words mean several things. */
export const meanings: Record<string, (chart: Chart) => unknown> = {
  'the namespace of the chart': () => 'prefect',
  'nothing is asked for': () => ({}),
  'BaseJobTemplateProps.jobVariables': () => ({ image: JobVariable.string() }),
  "the Secret with the name and key of the worker's, which must also exist in the flow namespace": () =>
    SecretKeyRef.of('prefect', 'auth-string'),
  'requests 100m CPU, 256Mi memory, 64Mi disk; limits 512Mi memory, 256Mi disk': () => ({
    cpuRequest: Cpu.millis(100),
    memoryRequest: Size.mebibytes(256),
    memoryLimit: Size.mebibytes(512),
    ephemeralStorageRequest: Size.mebibytes(64),
    ephemeralStorageLimit: Size.mebibytes(256),
  }),
  'requests 100m CPU, 128Mi memory; limit 512Mi memory': () => ({
    cpuRequest: Cpu.millis(100),
    memoryRequest: Size.mebibytes(128),
    memoryLimit: Size.mebibytes(512),
  }),
  zeros: () => '00000000-0000-0000-0000-000000000000',
  empty: () => '',
  'no key': () => '',
  'not written: LogLevel.INFO': () => LogLevel.INFO,
  'LogLevel.INFO for both': (chart) => new DebugConfig(chart, 'Debug', { level: LogLevel.INFO, flowLevel: LogLevel.INFO }),
  'if `serviceAccountName` or a policy for Dask is given': () => false,
  "as the flow run's pod, without its resources": () => ({}),
  "'flow-run-' and the first part of the id": () => 'flow-run-11111111',
  "that of the tag of prefecthq/prefect, else '1.4.1'": () => '1.4.1',
  'a `FlowJobTemplate` without props is made': (chart) => job(chart, { resourceName: 'prefect-agent-job-template' }),
  'requests 100m CPU, 256Mi memory, 64Mi disk; limits 512Mi memory, 256Mi disk; no CPU limit (PrefectHQ/prefect#3942)': () => ({
    cpuRequest: Cpu.millis(100),
    memoryRequest: Size.mebibytes(256),
    ephemeralStorageRequest: Size.mebibytes(64),
    memoryLimit: Size.mebibytes(512),
    ephemeralStorageLimit: Size.mebibytes(256),
  }),
  'true for Secrets and ConfigMaps, false otherwise': () => true,
  'the output itself': () => '.',
  'the name of the team': () => 'fraud',
  "that of the fleet's defaults": () => api,
  'a `PrefectAgent` without options': () => ({}),
  'a `FlowJobTemplate` without props': () => ({}),
  'FleetProps.defaults': () => ({}),
  'FlowRunSweeperProps.namespaces': () => ['prefect'],
  'after 3 minutes': () => ({ after: Duration.minutes(3) }),
  'FlowRunSweeperProps.cancellingRuns': () => ({ after: Duration.minutes(5) }),
  'after 10 minutes': () => ({ after: Duration.minutes(10) }),
  'after 90 seconds': () => ({ after: Duration.seconds(90) }),
  'at once': () => ({ after: Duration.seconds(0) }),
  'after 1 minute': () => ({ after: Duration.minutes(1) }),
  'requests 50m CPU, 128Mi memory, 64Mi disk; limits 512Mi memory, 256Mi disk; no CPU limit': () => ({
    cpuRequest: Cpu.millis(50),
    memoryRequest: Size.mebibytes(128),
    ephemeralStorageRequest: Size.mebibytes(64),
    memoryLimit: Size.mebibytes(512),
    ephemeralStorageLimit: Size.mebibytes(256),
  }),
  // That of the rule in outcomes.SweeperRule.
  'see the prop of the rule': () => Duration.minutes(3),
  'FlowRun.runConfig': () => ({}),
  'KubernetesRun.image': () => TEMPLATE.image,
  'KubernetesRun.imagePullPolicy': () => TEMPLATE.imagePullPolicy,
  'KubernetesRun.imagePullSecrets': () => TEMPLATE.imagePullSecrets,
  'KubernetesRun.serviceAccountName': () => TEMPLATE.serviceAccountName,
  'KubernetesRun.cpuRequest': () => '1000m',
  'KubernetesRun.cpuLimit': () => '2000m',
  'KubernetesRun.memoryRequest': () => '1Gi',
  'KubernetesRun.memoryLimit': () => '2Gi',
};

/** Defaults that are Prefect's own, and not written: by their place in its config.toml. */
export const prefects: Record<string, string> = {
  'AgentSettings.logFormat': 'logging.format',
  'AgentSettings.name': 'cloud.agent.name',
  'AgentSettings.requestTimeout': 'cloud.request_timeout',
};

/** Defaults that no value of the prop could say: the manifest then lacks something, and somebody else decides. */
export const unsayable: Record<string, string> = {
  'AgentRbacProps.serviceAccountName': 'another object is made instead',
  'AgentSettings.agentConfigId': 'nothing is written',
  'BaseJobTemplateProps.activeDeadline': 'nothing is written, and Kubernetes waits for ever',
  'BooleanJobVariableOptions.default': 'nothing is written',
  'ChoiceJobVariableOptions.default': 'nothing is written',
  'IntegerJobVariableOptions.default': 'nothing is written',
  'IntegerJobVariableOptions.maximum': 'nothing is written',
  'IntegerJobVariableOptions.minimum': 'nothing is written',
  'JobVariableOptions.description': 'nothing is written',
  'Prefect3ApiOptions.certificateAuthorities': 'nothing is written, and the image decides',
  'Prefect3ApiOptions.proxy': 'nothing is written',
  'Prefect3ServerOptions.authString': 'nothing is written',
  'StringJobVariableOptions.default': 'nothing is written',
  'StringJobVariableOptions.pattern': 'nothing is written',
  'ContainerOptions.certificateAuthorities': 'nothing is written, and the image decides',
  'ContainerOptions.proxy': 'nothing is written',
  'ContainerResources.cpuLimit': 'nothing is written, and nothing is limited',
  'ContainerResources.cpuRequest': 'nothing is written, and Kubernetes takes the limit',
  'ContainerResources.ephemeralStorageLimit': 'nothing is written, and nothing is limited',
  'ContainerResources.ephemeralStorageRequest': 'nothing is written, and Kubernetes takes the limit',
  'ContainerResources.memoryLimit': 'nothing is written, and nothing is limited',
  'ContainerResources.memoryRequest': 'nothing is written, and Kubernetes takes the limit',
  'DaskWorkerPolicyProps.idleTimeout': 'nothing is written, and Dask waits for ever',
  'DataVolumeOptions.defaultMode': 'nothing is written, and Kubernetes decides',
  'EnvFromOptions.prefix': 'nothing is written',
  'InitContainer.startupProbe': 'nothing is written, and Kubernetes waits for nothing',
  'DataVolumeOptions.items': 'nothing is written: no keys at all would be none',
  'EgressRule.ports': 'nothing is written: no ports at all are none, not all',
  'FleetProps.file': 'nothing is read',
  'FleetTeamProps.dask': 'another object is made with it',
  'FleetTeamProps.debug': 'another object is made with it',
  'FleetTeamProps.resourceName': 'each construct has another',
  'FlowRunSweeperProps.egress': 'nothing is written: an empty list is nowhere, not anywhere',
  'FlowRunSweeperProps.metrics': 'nothing is served',
  'SweeperMetrics.scraperNamespace': 'nothing is written, and Kubernetes takes every one',
  'FlowJobProps.activeDeadline': 'nothing is written, and Kubernetes waits for ever',
  'FlowJobProps.dask': 'nothing is written',
  'FlowJobOptions.image': 'nothing is written, and the agent decides',
  'FlowJobOptions.imagePullPolicy': 'nothing is written, and Kubernetes decides',
  'FlowJobProps.pipIndexUrl': 'nothing is written, and pip decides',
  'FlowJobOptions.serviceAccountName': 'nothing is written, and Kubernetes decides',
  'FlowJobOptions.terminationGracePeriod': 'nothing is written, and Kubernetes decides',
  'FlowJobTemplateProps.onEviction': 'nothing is written',
  'FlowRun.flowName': 'nothing is written',
  'FlowRun.name': 'nothing is written',
  'FlowRun.dockerStorageImage': 'of another storage nothing is known',
  'KubernetesRun.jobTemplate': "the agent's is not a value of the run",
  'PodOptions.priorityClassName': 'nothing is written, and Kubernetes decides',
  'PrefectWorkerProps.egress': 'nothing is written: an empty list is nowhere, not anywhere',
  'PrefectWorkerProps.workQueues': 'nothing is written',
  'PrefectAgentOptions.flowNamespace': 'the agent asks for the namespace of its pod',
  'PrefectAgentOptions.sweeper': 'the app decides',
  'PrefectAgentOptions.egress': 'nothing is written: an empty list is nowhere, not anywhere',
  'PrefectAgentOptions.serviceAccountName': 'another object is made instead',
  'PrefectCloudOptions.tenantId': 'nothing is written, and Prefect decides',
  'PrefectServerOptions.apiKey': 'nothing is written',
  'PrefectServerOptions.tenantId': 'nothing is written, and Prefect decides',
  'StockPrefectAgentProps.agentConfigId': 'nothing is written',
  'StockPrefectAgentProps.imagePullSecrets': 'nothing is written',
  'StockPrefectAgentProps.serviceAccountName': 'an empty name is written, which is no name',
  'StockPrefectAgentProps.tenantId': 'nothing is written, and Prefect decides',
  'Toleration.effect': 'nothing is written, and Kubernetes takes every one',
  'Toleration.key': 'nothing is written, and Kubernetes takes every one',
  'Toleration.tolerationSeconds': 'nothing is written, and Kubernetes waits for ever',
  'Toleration.value': 'nothing is written, and Kubernetes takes every one',
  'VolumeMountOptions.subPath': 'nothing is written',
};

/** A value that is not the default, by the prop or its type, to see that the outcome depends on it at all. */
export const others: Record<string, (chart: Chart) => unknown> = {
  boolean: () => true,
  number: () => 7,
  string: () => 'other',
  'string[]': () => ['other'],
  'number[]': () => [8443],
  'map of string': () => ({ other: 'other' }),
  'map of any': () => ({}),
  'map of number': () => ({ 'example.com/device': 2 }),
  'map of EnvValue': () => ({ OTHER: EnvValue.of('other') }),
  'map of Volume': () => ({ other: Volume.emptyDir({ mountPath: '/other' }) }),
  'DataVolumeOptions.defaultMode': () => 0o400,
  'EgressRule[]': () => [{ cidr: '192.0.2.0/24' }],
  'EnvFrom[]': () => [EnvFrom.secret('other')],
  'InitContainer[]': () => [{ name: 'other', image: 'registry.example/other:1' }],
  'Toleration[]': () => [{ key: 'other' }],
  Duration: () => Duration.seconds(29),
  Size: () => Size.gibibytes(3),
  Cpu: () => Cpu.units(3),
  SecretKeyRef: () => SecretKeyRef.of('other', 'key'),
  ConfigMapKeyRef: () => ConfigMapKeyRef.of('other', 'key'),
  HttpProxy: () => ({ url: 'http://proxy.example:3128' }),
  ContainerResources: () => ({ memoryLimit: Size.gibibytes(3) }),
  DaskPodOptions: () => ({ nodeSelector: { other: 'other' } }),
  DaskWorkerPolicy: (chart) => new DaskWorkerPolicy(chart, 'Dask'),
  DebugConfig: (chart) => new DebugConfig(chart, 'Debug', { flowLevel: LogLevel.ERROR }),
  FlowJobTemplate: (chart) => job(chart, { image: 'registry.example/other:1' }),
  KubernetesRun: () => ({ image: 'registry.example/other:1' }),
  'AgentSettings.agentConfigId': () => UUID,
  'AgentSettings.logFormat': () => '%(message)s',
  'BaseJobTemplateProps.onEviction': () => EvictionPolicy.FAIL,
  'BaseJobTemplateProps.ttlAfterFinished': () => Duration.hours(2),
  'BooleanJobVariableOptions.default': () => false,
  'PrefectWorkerProps.image': () => 'registry.example/worker:1',
  'WorkPoolProps.image': () => 'registry.example/worker:1',
  'WorkPoolProps.lock': () => false,
  'map of JobVariable': () => ({ memory_limit: JobVariable.string() }),
  ...Object.fromEntries(['id', 'flowId', 'deploymentId', 'workPoolId', 'workerId'].map((id) => [`WorkerFlowRun.${id}`, () => UUID])),
  'ContainerOptions.image': () => 'registry.example/other:1',
  'DaskWorkerPolicyProps.daskKubernetesVersion': () => '2024.5.0',
  SweeperRule: () => ({ after: Duration.minutes(7) }),
  SweeperMetrics: () => ({}),
  PrefectApi: () => PrefectApi.server({ url: 'http://prefect.example:4200' }),
  PrefectAgentOptions: () => ({ labels: ['other'] }),
  FlowJobTemplateProps: () => ({ image: 'registry.example/other:1' }),
  DaskWorkerPolicyProps: () => ({}),
  DebugConfigProps: () => ({}),
  FleetTeamProps: () => ({ namespace: 'other' }),
  'map of FleetTeamProps': () => ({ other: {} }),
  'FleetProps.file': () => OTHER_FLEET_FILE,
  'FleetProps.defaults': () => ({ namespace: 'other' }),
  'FlowJobOptions.image': () => 'registry.example/other:1',
  'FlowJobProps.ttlAfterFinished': () => Duration.hours(1),
  'FlowJobTemplateProps.onEviction': () => EvictionPolicy.PROTECT,
  'FlowRun.coreVersion': () => '0.12.0',
  'FlowRun.flowId': () => UUID,
  'FlowRun.id': () => UUID,
  'InitContainer.startupProbe': () => ({ tcpSocket: { port: 5432 } }),
  'InitContainer.volumeMounts': () => ({ cache: '/out' }),
  'KubernetesRun.jobTemplate': () => ({ spec: { template: { spec: { containers: [{ name: 'flow' }] } } } }),
  'PodOptions.affinity': () => ({ podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone' }] } }),
  'PodOptions.podSpec': () => ({ runtimeClassName: 'other' }),
  'PrefectAgentOptions.prefectVersion': () => '1.2.4',
  'PrefectCloudOptions.tenantId': () => UUID,
  'PrefectCloudOptions.url': () => 'https://prefect.example',
  'PrefectServerOptions.tenantId': () => UUID,
  'StockPrefectAgentProps.agentConfigId': () => UUID,
  'StockPrefectAgentProps.api': () => 'https://prefect.example',
  'StockPrefectAgentProps.tenantId': () => UUID,
};

/** The value of a default that is written as an expression. */
export function evaluate(expression: string): unknown {
  const names = { Duration, Size, ...library };
  return new Function(...Object.keys(names), `return ${expression}`)(...Object.values(names));
}
