import { type ApiObject, Chart } from 'cdk8s';
import { Construct } from 'constructs';
import { checkDnsLabel, checkUuid } from './_checks';
import { FlowDask } from './_dask-files';
import { renderFlowJob } from './_flow-job';
import { addObject, namespaceOf, recommendedLabels } from './_object';
import { refuse } from './_refuse';
import { LogLevel } from './debug-config';
import type { FlowJobProps } from './flow-job-props';
import type { PrefectApi } from './prefect-api';

/** Properties of `FlowRunJob`. */
export interface FlowRunJobProps extends FlowJobProps {
  /** Where Prefect's API is, and how to authenticate. The Secret must be in the namespace of the chart. */
  readonly api: PrefectApi;
  /** Id of the flow run: a UUID. Its labels must be of no agent, which would run it too. */
  readonly flowRunId: string;
  /**
   * Level of the run's log.
   *
   * @default LogLevel.INFO
   */
  readonly logLevel?: LogLevel;
  /**
   * Whether the run's log is sent to Prefect.
   *
   * @default true
   */
  readonly sendFlowRunLogs?: boolean;
  /**
   * Name of the Job. A Job cannot be changed: another run needs another name.
   *
   * @default - 'flow-run-' and the first part of the id
   */
  readonly resourceName?: string;
}

/**
 * One flow run without an agent: a Job in the chart's namespace that runs `prefect execute flow-run`.
 *
 * @example
 * new FlowRunJob(chart, 'Run', { api, flowRunId: '11111111-2222-3333-4444-555555555555', image: 'registry.example/flows:42' });
 *
 * @see https://docs-v1.prefect.io/orchestration/flow-runs/inspection.html
 */
export class FlowRunJob extends Construct {
  /** The Job, child `Resource`. */
  public readonly job: ApiObject;

  public constructor(scope: Construct, id: string, props: FlowRunJobProps) {
    super(scope, id);
    const namespace = namespaceOf(this);
    checkUuid(this, 'flowRunId', props.flowRunId);
    const resourceName = checkDnsLabel(
      this,
      'resourceName',
      props.resourceName ?? `flow-run-${props.flowRunId.split('-')[0]?.toLowerCase()}`,
    );
    const labels = {
      ...Chart.of(this).labels,
      ...recommendedLabels('flow-run', resourceName),
      'prefect.io/flow_run_id': props.flowRunId,
    };
    const image = props.image ?? 'prefecthq/prefect:1.4.1';
    const own = { labels, flowNamespace: namespace, resourceName };
    const job = renderFlowJob(this, { ...props, image }, own);
    if (props.dask) {
      checkDaskName(this, resourceName);
      new FlowDask(this, props.dask, props, own);
    }
    const flow = job.spec.template.spec.containers[0];
    Object.assign(flow ?? {}, {
      args: ['prefect', 'execute', 'flow-run'],
      // What the agent gives to every Job, as far as a run of today's Prefect reads it.
      env: [
        { name: 'PREFECT__BACKEND', value: props.api.backend },
        { name: 'PREFECT__CLOUD__API', value: props.api.url },
        ...(props.api.apiKey
          ? [{ name: 'PREFECT__CLOUD__API_KEY', valueFrom: { secretKeyRef: { name: props.api.apiKey.name, key: props.api.apiKey.key } } }]
          : []),
        ...(props.api.tenantId === undefined ? [] : [{ name: 'PREFECT__CLOUD__TENANT_ID', value: props.api.tenantId }]),
        { name: 'PREFECT__CLOUD__USE_LOCAL_SECRETS', value: 'false' },
        { name: 'PREFECT__CONTEXT__FLOW_RUN_ID', value: props.flowRunId },
        { name: 'PREFECT__CONTEXT__IMAGE', value: image },
        { name: 'PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS', value: 'prefect.engine.cloud.CloudFlowRunner' },
        { name: 'PREFECT__LOGGING__LEVEL', value: props.logLevel ?? LogLevel.INFO },
        ...((props.sendFlowRunLogs ?? true) ? [] : [{ name: 'PREFECT__CLOUD__SEND_FLOW_RUN_LOGS', value: 'false' }]),
        ...(flow?.env ?? []),
      ],
    });
    this.job = addObject(this, 'Resource', { ...job, metadata: { ...job.metadata, name: resourceName, namespace } });
  }
}

/** A Dask cluster has the name of its flow run's pod in its own, which is a label. */
function checkDaskName(where: Construct, resourceName: string): void {
  if (resourceName.length > 41) {
    refuse(where, {
      prop: 'resourceName',
      value: resourceName,
      allowed: 'must be at most 41 characters with a policy for Dask, whose clusters are named after the pod',
      remedy: 'choose a shorter name',
    });
  }
}
