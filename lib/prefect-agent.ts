import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ApiObject, Size } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { checkAgentEnv, renderAgentArgs, renderAgentEnv } from './_agent-settings';
import { renderApiKeyArgs, renderApiKeyFile } from './_api-access';
import { checkDnsLabel, checkDnsSubdomain } from './_checks';
import { type AgentView, effectiveJob } from './_effective-job';
import { renderHardenedPod } from './_hardened-pod';
import { renderEgress } from './_network';
import { addObject, namespaceOf, recommendedLabels } from './_object';
import { verbatimPodFields } from './_pod';
import { refuse } from './_refuse';
import { AgentRbac } from './agent-rbac';
import type { AgentSettings } from './agent-settings';
import type { ContainerOptions } from './container-options';
import { DebugConfig, LogLevel } from './debug-config';
import { FlowJobTemplate } from './flow-job-template';
import type { FlowRun } from './flow-run';
import type { EgressRule } from './network';
import type { PodOptions } from './pod-options';
import type { PrefectApi } from './prefect-api';
import { type ContainerResources, Cpu } from './resources';

/** What may be said of an agent without another construct: a row of a `Fleet` says it too. */
export interface PrefectAgentOptions extends AgentSettings, ContainerOptions, PodOptions {
  /**
   * Namespace of the flow runs' Jobs. Whoever may create Jobs in a namespace can read its Secrets, so one for flows alone is
   * advised. It must exist.
   *
   * @default - the namespace of the chart
   */
  readonly flowNamespace?: string;
  /**
   * Name of the Deployment, the service account and the NetworkPolicy, beginning of the other names, and value of the pods' label
   * `app`. The default is that of `prefect agent kubernetes install`, so that this agent replaces that one.
   *
   * @default 'prefect-agent'
   */
  readonly resourceName?: string;
  /**
   * Version of Prefect in `image`, on which `effectiveJob` depends.
   *
   * @default - that of the tag of prefecthq/prefect, else '1.4.1'
   */
  readonly prefectVersion?: string;
  /**
   * An existing service account in the chart's namespace. Its rights are then yours to grant: see `AgentRbac`.
   *
   * @default - an `AgentRbac` is made
   */
  readonly serviceAccountName?: string;
  /**
   * What the agent asks for and may use at most. Replaces the default as a whole: nodes that do not isolate local storage, such as
   * those of a rootless kind, offer no disk to ask for.
   *
   * @default - requests 100m CPU, 256Mi memory, 64Mi disk; limits 512Mi memory, 256Mi disk; no CPU limit (PrefectHQ/prefect#3942)
   */
  readonly resources?: ContainerResources;
  /**
   * Where the agent may connect to, beside DNS: it needs the Kubernetes API and Prefect's. (Nothing may ever connect to it.)
   *
   * @default - anywhere
   */
  readonly egress?: EgressRule[];
}

/** Properties of `PrefectAgent`. */
export interface PrefectAgentProps extends PrefectAgentOptions {
  /** Where Prefect's API is, and how to authenticate. */
  readonly api: PrefectApi;
  /**
   * The Job of every flow run. Must be of the agent's namespace and flow namespace.
   *
   * @default - a `FlowJobTemplate` without props is made
   */
  readonly jobTemplate?: FlowJobTemplate;
  /**
   * Log levels of the agent and its flow runs.
   *
   * @default - LogLevel.INFO for both
   */
  readonly debug?: DebugConfig;
}

const LAUNCHER = readFileSync(join(__dirname, 'python', 'launcher.py'), 'utf8');
const DEFAULT_RESOURCES: ContainerResources = {
  cpuRequest: Cpu.millis(100),
  memoryRequest: Size.mebibytes(256),
  memoryLimit: Size.mebibytes(512),
  ephemeralStorageRequest: Size.mebibytes(64),
  ephemeralStorageLimit: Size.mebibytes(256),
};

/**
 * A Prefect 1 Kubernetes agent, hardened: the API key is read from a mounted Secret, the account may do what the agent does and
 * nothing more, the pod meets Pod Security "restricted", nothing can connect to it, and an agent whose loop is stuck is restarted.
 *
 * Applied over the objects of `prefect agent kubernetes install` in the same namespace, it replaces that agent in place.
 *
 * @example
 * const chart = new Chart(app, 'prefect', { namespace: 'prefect' });
 * const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key') });
 * new PrefectAgent(chart, 'Agent', { api, labels: ['kube'] });
 *
 * @see https://docs-v1.prefect.io/orchestration/agents/kubernetes.html
 */
export class PrefectAgent extends Construct {
  /** The Deployment, child `Resource`. */
  public readonly deployment: ApiObject;
  /** The ConfigMap of the program that starts the agent, child `Launcher`. */
  public readonly launcher: ApiObject;
  /** The NetworkPolicy, child `NetworkPolicy`. */
  public readonly networkPolicy: ApiObject;
  /** The Job of every flow run, child `Jobs` unless one was given. */
  public readonly jobTemplate: FlowJobTemplate;
  /** Account, Role and RoleBinding, child `Rbac`, unless an existing account was given. */
  public readonly rbac?: AgentRbac;
  /** Name of the Deployment. */
  public readonly resourceName: string;
  /** Name of the agent's service account. */
  public readonly serviceAccountName: string;
  /** Namespace of the flow runs' Jobs. */
  public readonly flowNamespace: string;

  private readonly view: AgentView;

  public constructor(scope: Construct, id: string, props: PrefectAgentProps) {
    super(scope, id);
    const namespace = namespaceOf(this);
    this.flowNamespace = checkDnsLabel(this, 'flowNamespace', props.flowNamespace ?? namespace);
    this.resourceName = checkDnsLabel(this, 'resourceName', props.resourceName ?? 'prefect-agent');
    this.serviceAccountName = checkDnsSubdomain(this, 'serviceAccountName', props.serviceAccountName ?? this.resourceName);
    const selector = { app: this.resourceName };
    const labels = { ...recommendedLabels('prefect-agent', this.resourceName), ...selector };
    const launcherName = `${this.resourceName}-launcher-${createHash('sha256').update(LAUNCHER).digest('hex').slice(0, 8)}`;

    const jobTemplateName = props.jobTemplate?.configMapName ?? `${this.resourceName}-job-template`;
    if (props.jobTemplate) checkJobTemplate(this, props.jobTemplate, namespace);
    // Rendered before any object is added: a prop that is refused leaves none behind.
    const template = this.renderPodTemplate(props, namespace, labels, launcherName, jobTemplateName);
    const verbatim = verbatimPodFields(this, props);
    const egress = props.egress && renderEgress(this, props.egress);

    if (props.serviceAccountName === undefined) {
      this.rbac = new AgentRbac(this, 'Rbac', {
        flowNamespace: this.flowNamespace,
        resourceName: this.resourceName,
        deleteFinishedJobs: props.deleteFinishedJobs,
      });
    }
    this.view = {
      api: props.api,
      labels: props.labels ?? [],
      flowEnvVars: props.flowEnvVars ?? {},
      flowLevel: props.debug?.flowLevel ?? LogLevel.INFO,
      sendFlowRunLogs: props.sendFlowRunLogs ?? true,
      deleteFinishedJobs: props.deleteFinishedJobs ?? true,
      version: parseVersion(this, props),
    };
    this.jobTemplate =
      props.jobTemplate ?? new FlowJobTemplate(this, 'Jobs', { flowNamespace: this.flowNamespace, resourceName: jobTemplateName });
    checkFlowEnvVars(this, this.jobTemplate, props.flowEnvVars ?? {});
    this.launcher = addObject(
      this,
      'Launcher',
      k8s.KubeConfigMap.manifest({ metadata: { name: launcherName, labels }, immutable: true, data: { 'launcher.py': LAUNCHER } }),
    );
    this.networkPolicy = addObject(
      this,
      'NetworkPolicy',
      k8s.KubeNetworkPolicy.manifest({
        metadata: { name: this.resourceName, labels },
        spec: { podSelector: { matchLabels: selector }, policyTypes: ['Ingress', ...(egress ? ['Egress'] : [])], egress },
      }),
    );
    const deployment = k8s.KubeDeployment.manifest({
      metadata: { name: this.resourceName, labels },
      spec: {
        replicas: 1,
        // Two agents of one kind at once may submit a flow run twice.
        strategy: { type: 'Recreate' },
        selector: { matchLabels: selector },
        template,
      },
    });
    Object.assign(deployment.spec.template.spec, verbatim);
    this.deployment = addObject(this, 'Resource', deployment);
  }

  /**
   * The Job that a flow run gets from this agent: what Prefect and the launcher make of the template, for reviews and snapshots. The
   * random part of its name is eight zeros. A default tenant is not known here, and left blank.
   */
  public effectiveJob(run: FlowRun = {}): { [key: string]: unknown } {
    return effectiveJob(this.jobTemplate._job, run, this.view);
  }

  private renderPodTemplate(
    props: PrefectAgentProps,
    namespace: string,
    labels: Record<string, string>,
    launcherName: string,
    jobTemplateName: string,
  ): k8s.PodTemplateSpec {
    const { api, debug } = props;
    if (debug !== undefined && debug.namespace !== namespace) {
      refuse(this, {
        prop: 'debug',
        value: `of namespace ${debug.namespace}`,
        allowed: `must be in the agent's namespace, ${namespace}`,
        remedy: "make it in the agent's chart",
      });
    }
    checkAgentEnv(this, Object.keys(props.env ?? {}));
    return renderHardenedPod(this, props, {
      name: 'agent',
      serviceAccountName: this.serviceAccountName,
      labels,
      annotations: debug ? { 'checksum/config-toml': debug.checksum } : {},
      args: [
        'python3',
        '/etc/prefect/launcher/launcher.py',
        '--signs=/tmp',
        ...renderApiKeyArgs(api),
        ...(api.apiKey ? [`--api-key-secret=${api.apiKey.name}/${api.apiKey.key}`] : []),
        'agent',
        'kubernetes',
        'start',
        `--job-template=/etc/prefect/job-template/${FlowJobTemplate._FILE}`,
        ...renderAgentArgs(this, props),
      ],
      env: [
        ...renderAgentEnv(this, props, api, this.flowNamespace),
        ...(debug ? [{ name: 'PREFECT__USER_CONFIG_PATH', value: `/etc/prefect/config/${DebugConfig._FILE}` }] : []),
      ],
      files: {
        launcher: { mountPath: '/etc/prefect/launcher', source: { configMap: { name: launcherName } } },
        'job-template': { mountPath: '/etc/prefect/job-template', source: { configMap: { name: jobTemplateName } } },
        ...renderApiKeyFile(api),
        ...(debug && { config: { mountPath: '/etc/prefect/config', source: { configMap: { name: debug.configMapName } } } }),
      },
      resources: props.resources ?? DEFAULT_RESOURCES,
      // A poll's requests last up to 5 minutes when the API does not answer; see launcher.py for the signs.
      livenessProbe: { exec: { command: newerThanFiveMinutes('/tmp/alive') }, periodSeconds: 30, timeoutSeconds: 10 },
      readinessProbe: { exec: { command: newerThanFiveMinutes('/tmp/polled') }, periodSeconds: 10, timeoutSeconds: 10 },
    });
  }
}

function checkJobTemplate(agent: PrefectAgent, template: FlowJobTemplate, namespace: string): void {
  if (template.namespace !== namespace || template.flowNamespace !== agent.flowNamespace) {
    refuse(agent, {
      prop: 'jobTemplate',
      value: `of namespace ${template.namespace} for flows in ${template.flowNamespace}`,
      allowed: `must be of the agent's namespace, ${namespace}, for flows in ${agent.flowNamespace}`,
      remedy: "make it in the agent's chart, with the agent's flowNamespace",
    });
  }
}

function checkFlowEnvVars(agent: PrefectAgent, template: FlowJobTemplate, flowEnvVars: Record<string, string>): void {
  const name = template._envNames.find((variable) => Object.hasOwn(flowEnvVars, variable));
  if (name !== undefined) {
    refuse(agent, {
      prop: `flowEnvVars.${name}`,
      allowed: 'must not be in the Job template too, over which the agent would silently win',
      remedy: 'set it in one of them',
    });
  }
}

function parseVersion(agent: PrefectAgent, props: PrefectAgentProps): number[] {
  const version = props.prefectVersion ?? /(?:^|\/)prefecthq\/prefect:([\d.]+)/.exec(props.image ?? '')?.[1] ?? '1.4.1';
  if (!/^1\.\d+\.\d+$/.test(version)) {
    refuse(agent, { prop: 'prefectVersion', value: version, allowed: 'must be a release of Prefect 1', remedy: 'write for example 1.4.1' });
  }
  return version.split('.').map(Number);
}

function newerThanFiveMinutes(file: string): string[] {
  return ['sh', '-c', `test -n "$(find ${file} -mmin -5)"`];
}
