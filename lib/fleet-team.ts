import { Chart } from 'cdk8s';
import type { Construct } from 'constructs';
import { checkDnsLabel } from './_checks';
import { refuse } from './_refuse';
import { DaskWorkerPolicy, type DaskWorkerPolicyProps } from './dask-worker-policy';
import { DebugConfig, type DebugConfigProps } from './debug-config';
import { FlowJobTemplate, type FlowJobTemplateProps } from './flow-job-template';
import { PrefectAgent, type PrefectAgentOptions } from './prefect-agent';
import type { PrefectApi } from './prefect-api';

/** A row of a fleet: one team's agent and all that belongs to it. */
export interface FleetTeamProps {
  /**
   * Namespace of the agent. It must exist.
   *
   * @default - the name of the team
   */
  readonly namespace?: string;
  /**
   * Name of the agent, and beginning of the names of the team's other objects. Needed where teams share a namespace.
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
   * Where Prefect's API is, and how to authenticate. Every team must have one, if only by the defaults.
   *
   * @default - that of the fleet's defaults
   */
  readonly api?: PrefectApi;
  /**
   * The agent.
   *
   * @default - a `PrefectAgent` without options
   */
  readonly agent?: PrefectAgentOptions;
  /**
   * The Job of every flow run.
   *
   * @default - a `FlowJobTemplate` without props
   */
  readonly jobs?: FlowJobTemplateProps;
  /**
   * What becomes of the Dask clusters that flow runs start.
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

/** The chart of one team, as a `Fleet` makes it for each of its rows. */
export class FleetTeam extends Chart {
  /** The agent, child `Agent`. */
  public readonly agent: PrefectAgent;
  /** The Job of every flow run, child `Jobs`. */
  public readonly jobTemplate: FlowJobTemplate;
  /** What becomes of Dask clusters, child `Dask`. */
  public readonly dask?: DaskWorkerPolicy;
  /** Log levels, child `Debug`. */
  public readonly debug?: DebugConfig;

  public constructor(scope: Construct, id: string, props: FleetTeamProps) {
    super(scope, id, { namespace: props.namespace ?? id, labels: props.commonLabels });
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
