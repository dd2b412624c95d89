import { Chart } from 'cdk8s';
import type { Construct } from 'constructs';
import { DebugConfig, type DebugConfigProps } from '../agent/debug-config';
import { PrefectAgent, type PrefectAgentOptions } from '../agent/prefect-agent';
import { DaskWorkerPolicy, type DaskWorkerPolicyProps } from '../dask/dask-worker-policy';
import { FlowJobTemplate, type FlowJobTemplateProps } from '../flow-job/flow-job-template';
import { checkDnsLabel } from '../kubernetes/_checks';
import { checkOwnProps } from '../kubernetes/_guard';
import { refuse } from '../kubernetes/_refuse';
import type { PrefectApi } from '../prefect-api/prefect-api';

/** A row of a fleet: the agent of one team and everything that belongs to it. */
export interface FleetTeamProps {
  /**
   * Namespace of the agent: a DNS label. It must exist.
   *
   * @default - the name of the team
   */
  readonly namespace?: string;
  /**
   * Name of the agent. The names of the team's other objects begin with it. Needed when teams share a namespace.
   *
   * @default - each construct's own: 'prefect-agent', 'prefect-job-template', 'config-toml', 'prefect-dask'
   */
  readonly resourceName?: string;
  /**
   * Labels of all objects and pods of the team.
   *
   * @default - none
   */
  readonly commonLabels?: { [key: string]: string };
  /**
   * The Prefect API and how to authenticate. Every team needs one, in its row or in the defaults.
   *
   * @default - that of the fleet's defaults
   */
  readonly api?: PrefectApi;
  /**
   * Options of the agent.
   *
   * @default - a `PrefectAgent` without options
   */
  readonly agent?: PrefectAgentOptions;
  /**
   * Props of the template of the flow runs' Jobs.
   *
   * @default - a `FlowJobTemplate` without props
   */
  readonly jobs?: FlowJobTemplateProps;
  /**
   * Props of the policy for the Dask clusters that flow runs start.
   *
   * @default - there is no `DaskWorkerPolicy`
   */
  readonly dask?: DaskWorkerPolicyProps;
  /**
   * Log levels of the agent and its flow runs.
   *
   * @default - there is no `DebugConfig`
   */
  readonly debug?: DebugConfigProps;
}

/** The chart of one team. A `Fleet` creates one for each row. */
export class FleetTeam extends Chart {
  /** The agent, child `Agent`. */
  public readonly agent: PrefectAgent;
  /** The template of the flow runs' Jobs, child `Jobs`. */
  public readonly jobTemplate: FlowJobTemplate;
  /** The policy for Dask clusters, child `Dask`. */
  public readonly dask?: DaskWorkerPolicy;
  /** Log levels, child `Debug`. */
  public readonly debug?: DebugConfig;

  public constructor(scope: Construct, id: string, props: FleetTeamProps) {
    super(scope, id, { namespace: props?.namespace ?? id, labels: props?.commonLabels });
    // The constructs below check the rest.
    props = checkOwnProps(this, 'FleetTeamProps', props);
    checkDnsLabel(this, 'namespace', props.namespace ?? id);
    if (props.api === undefined) {
      refuse(this, { prop: 'api', allowed: 'must be given', remedy: 'give it to the team, or to the defaults of the fleet' });
    }
    const named = (suffix: string) => (props.resourceName === undefined ? {} : { resourceName: `${props.resourceName}${suffix}` });
    const flowNamespace = props.agent?.flowNamespace;
    this.debug = props.debug && new DebugConfig(this, 'Debug', { ...named('-config'), ...props.debug });
    this.dask = props.dask && new DaskWorkerPolicy(this, 'Dask', { ...named('-dask'), flowNamespace, ...props.dask });
    this.jobTemplate = new FlowJobTemplate(this, 'Jobs', { ...named('-job-template'), flowNamespace, dask: this.dask, ...props.jobs });
    this.agent = new PrefectAgent(this, 'Agent', {
      ...named(''),
      api: props.api,
      debug: this.debug,
      jobTemplate: this.jobTemplate,
      ...props.agent,
    });
  }
}
