import { type ApiObject, Size } from 'cdk8s';
import { Construct } from 'constructs';
import { type AgentView, effectiveJob } from '../flow-job/_effective-job';
import { FlowJobTemplate } from '../flow-job/flow-job-template';
import type { FlowRun } from '../flow-job/flow-run';
import { checkDnsLabel, checkDnsSubdomain } from '../kubernetes/_checks';
import { checkArguments, checkProps } from '../kubernetes/_guard';
import { type PodTemplate, renderHardenedPod } from '../kubernetes/_hardened-pod';
import { renderEgress } from '../kubernetes/_network';
import { namespaceOf, recommendedLabels } from '../kubernetes/_object';
import { verbatimPodFields } from '../kubernetes/_pod';
import { addDeployment, addFiles, addNetworkPolicy, nameOfFiles } from '../kubernetes/_program';
import { refuse } from '../kubernetes/_refuse';
import { late } from '../kubernetes/_resolve';
import { isSwept, type SweptRule } from '../kubernetes/_swept';
import { factsOf } from '../kubernetes/_warnings';
import type { ContainerOptions } from '../kubernetes/container-options';
import type { EgressRule } from '../kubernetes/network';
import type { PodOptions } from '../kubernetes/pod-options';
import { type ContainerResources, Cpu } from '../kubernetes/resources';
import { describeAgent, renderApiKeyArgs, renderApiKeyFile, warnOfApi } from '../prefect-api/_api-access';
import { checkPrefectImage, PREFECT_IMAGE } from '../prefect-api/_checks';
import { LogLevel } from '../prefect-api/log-level';
import type { PrefectApi } from '../prefect-api/prefect-api';
import { checkAgentEnv, renderAgentArgs, renderAgentEnv } from './_agent-settings';
import { PROGRAMS } from './_embedded';
import { AgentRbac } from './agent-rbac';
import type { AgentSettings } from './agent-settings';
import { DebugConfig } from './debug-config';

/** Agent options that need no other construct. Also usable in a row of a `Fleet`. */
export interface PrefectAgentOptions extends AgentSettings, ContainerOptions, PodOptions {
  /**
   * Namespace of the flow runs' Jobs. It must exist. Everyone who may create Jobs in a namespace can read its Secrets, so give flow
   * runs a namespace of their own.
   *
   * @default - the namespace of the chart
   */
  readonly flowNamespace?: string;
  /**
   * Name of the Deployment, the service account and the NetworkPolicy, and value of the pods' label `app`. The names of the other
   * objects begin with it. The default is the name in `prefect agent kubernetes install`, so that this agent replaces that one.
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
   * An existing service account in the chart's namespace. You then grant its permissions yourself, for example with `AgentRbac`.
   *
   * @default - an `AgentRbac` is made
   */
  readonly serviceAccountName?: string;
  /**
   * Whether a `FlowRunSweeper` handles the flow namespace. If so, the agent leaves two kinds of flow runs to it instead of failing them:
   * disrupted runs with `EvictionPolicy.RUN_AGAIN` (rule `lostRuns`), and runs whose image cannot be pulled (rule `unstartableJobs`). It also
   * deletes Jobs only after their flow runs are finished (rule `lostRuns`). Set it to true if the sweeper is in another app, as it always
   * is for the rows of a `Fleet`.
   *
   * @default - for each of the two rules, whether a sweeper of this app has it for the flow namespace
   */
  readonly sweeper?: boolean;
  /**
   * Resource requests and limits of the agent. They replace the whole default. Leave out ephemeral storage on nodes that do not isolate
   * it, such as those of rootless kind: their capacity is zero.
   *
   * @default - requests 100m CPU, 256Mi memory, 64Mi disk; limits 512Mi memory, 256Mi disk; no CPU limit (PrefectHQ/prefect#3942)
   */
  readonly resources?: ContainerResources;
  /**
   * Where the agent may connect to. It needs the Kubernetes API and Prefect's API. DNS is always allowed. Nothing may connect to the
   * agent.
   *
   * @default - anywhere
   */
  readonly egress?: EgressRule[];
}

/** Properties of `PrefectAgent`. */
export interface PrefectAgentProps extends PrefectAgentOptions {
  /** The Prefect API and how to authenticate. */
  readonly api: PrefectApi;
  /**
   * The template of the flow runs' Jobs. It must have the namespace and the flow namespace of the agent.
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

const DEFAULT_RESOURCES: ContainerResources = {
  cpuRequest: Cpu.millis(100),
  memoryRequest: Size.mebibytes(256),
  memoryLimit: Size.mebibytes(512),
  ephemeralStorageRequest: Size.mebibytes(64),
  ephemeralStorageLimit: Size.mebibytes(256),
};

/**
 * A hardened Prefect 1 agent. It reads the API key from a mounted Secret. Its service account may do only what the agent does. Its pod
 * meets Pod Security "restricted", and nothing can connect to it. A stuck agent is restarted.
 *
 * When you apply it over the objects of `prefect agent kubernetes install` in the same namespace, it replaces that agent in place.
 *
 * @example
 * const chart = new Chart(app, 'prefect', { namespace: 'prefect' });
 * const api = PrefectApi.server({ url: 'http://prefect-apollo.prefect-server:4200' });
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
  /** The template of the flow runs' Jobs, child `Jobs` unless you gave one. */
  public readonly jobTemplate: FlowJobTemplate;
  /** Service account, Role and RoleBinding, child `Rbac`, unless you gave an existing service account. */
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
    props = checkProps(this, 'PrefectAgentProps', props);
    const namespace = namespaceOf(this);
    this.flowNamespace = checkDnsLabel(this, 'flowNamespace', props.flowNamespace ?? namespace);
    this.resourceName = checkDnsLabel(this, 'resourceName', props.resourceName ?? 'prefect-agent');
    this.serviceAccountName = checkDnsSubdomain(this, 'serviceAccountName', props.serviceAccountName ?? this.resourceName);
    const selector = { app: this.resourceName };
    const labels = { ...recommendedLabels('prefect-agent', this.resourceName), ...selector };
    const launcherName = nameOfFiles(`${this.resourceName}-launcher`, PROGRAMS);

    const jobTemplateName = props.jobTemplate?.configMapName ?? `${this.resourceName}-job-template`;
    if (props.jobTemplate) checkJobTemplate(this, props.jobTemplate, namespace);
    // Rendered before any object is added, so that an invalid prop leaves no objects behind.
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
    const program = { name: this.resourceName, labels, selector };
    this.launcher = addFiles(this, 'Launcher', launcherName, labels, PROGRAMS);
    this.networkPolicy = addNetworkPolicy(this, program, undefined, egress);
    // Two agents at the same time could submit a flow run twice.
    this.deployment = addDeployment(this, program, { ...template, spec: { ...template.spec, ...verbatim } });
    factsOf(this).agents.push({ scope: this, takes: describeAgent(props.api, this.view.labels) });
    factsOf(this).flows.push({ scope: this, namespace: this.flowNamespace, needsSweeper: false });
    warnOfApi(this, props.api);
  }

  /**
   * The Job that a flow run gets from this agent, for reviews and snapshots. It is what Prefect and the launcher make from the
   * template, including your patches of its ConfigMap. The random part of its name is eight zeros. If you gave no tenant, its id is
   * empty.
   *
   * @param run the flow run, by default one without a run config
   */
  public effectiveJob(run: FlowRun = {}): { [key: string]: unknown } {
    return effectiveJob(
      this.jobTemplate._written(),
      checkArguments('PrefectAgent.effectiveJob', { run }, this).run,
      this.view,
      this.jobTemplate._tokenForNamedAccounts,
    );
  }

  private renderPodTemplate(
    props: PrefectAgentProps,
    namespace: string,
    labels: Record<string, string>,
    launcherName: string,
    jobTemplateName: string,
  ): PodTemplate {
    const { api, debug } = props;
    if (debug !== undefined && debug.namespace !== namespace) {
      refuse(this, {
        prop: 'debug',
        given: `of namespace ${debug.namespace}`,
        allowed: `must be in the agent's namespace, ${namespace}`,
        remedy: "make it in the agent's chart: new DebugConfig(chart, 'Debug')",
      });
    }
    checkAgentEnv(this, Object.keys(props.env ?? {}));
    // Resolved at synthesis, because the sweeper may be created after the agent.
    const isLeft = (flag: string, rule: SweptRule) => late(() => `--${flag}=${props.sweeper ?? isSwept(this, this.flowNamespace, rule)}`);
    return renderHardenedPod(this, props, {
      name: 'agent',
      serviceAccountName: this.serviceAccountName,
      labels,
      annotations: debug ? { 'checksum/config-toml': debug.checksum } : {},
      args: [
        'python3',
        '/etc/prefect/launcher/launcher.py',
        '--signs=/tmp',
        isLeft('sweeper', 'lostRuns'),
        isLeft('sweeper-of-image-pulls', 'unstartableJobs'),
        ...renderApiKeyArgs(api),
        ...(api.apiKey ? [`--api-key-secret=${api.apiKey.name}/${api.apiKey.key}`] : []),
        ...((props.jobTemplate?._tokenForNamedAccounts ?? true) ? ['--token-for-named-accounts'] : []),
        'agent',
        'kubernetes',
        'start',
        `--job-template=/etc/prefect/job-template/${FlowJobTemplate._FILE}`,
        ...renderAgentArgs(this, props),
      ],
      env: [
        ...renderAgentEnv(this, props, api, props.flowNamespace),
        ...(debug ? [{ name: 'PREFECT__USER_CONFIG_PATH', value: `/etc/prefect/config/${DebugConfig._FILE}` }] : []),
      ],
      image: checkPrefectImage(this, 'image', props.image ?? PREFECT_IMAGE),
      files: {
        launcher: { mountPath: '/etc/prefect/launcher', source: { configMap: { name: launcherName } } },
        'job-template': { mountPath: '/etc/prefect/job-template', source: { configMap: { name: jobTemplateName } } },
        ...renderApiKeyFile(api),
        ...(debug && { config: { mountPath: '/etc/prefect/config', source: { configMap: { name: debug.configMapName } } } }),
      },
      resources: props.resources ?? DEFAULT_RESOURCES,
      // A poll's requests last up to 5 minutes when the API does not answer; see prefect_client.py for the signs.
      livenessProbe: { exec: { command: newerThanFiveMinutes('/tmp/alive') }, periodSeconds: 30, timeoutSeconds: 10 },
      readinessProbe: { exec: { command: newerThanFiveMinutes('/tmp/polled') }, periodSeconds: 10, timeoutSeconds: 10 },
    });
  }
}

function checkJobTemplate(agent: PrefectAgent, template: FlowJobTemplate, namespace: string): void {
  if (template.namespace !== namespace || template.flowNamespace !== agent.flowNamespace) {
    refuse(agent, {
      prop: 'jobTemplate',
      given: `a template in namespace ${template.namespace} for flows in ${template.flowNamespace}`,
      allowed: `must be in the agent's namespace, ${namespace}, for flows in the agent's flowNamespace, ${agent.flowNamespace}`,
      remedy: `make it in the agent's chart: new FlowJobTemplate(chart, 'Jobs', { flowNamespace: '${agent.flowNamespace}' })`,
    });
  }
}

function checkFlowEnvVars(agent: PrefectAgent, template: FlowJobTemplate, flowEnvVars: Record<string, string>): void {
  const name = template._envNames.find((variable) => Object.hasOwn(flowEnvVars, variable));
  if (name !== undefined) {
    refuse(agent, {
      prop: `flowEnvVars.${name}`,
      allowed: 'must not be in the Job template too, because the agent would silently overwrite it',
      remedy: 'leave it out of flowEnvVars, or of env of the FlowJobTemplate',
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
