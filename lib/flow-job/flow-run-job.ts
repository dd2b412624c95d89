import { type ApiObject, Chart } from 'cdk8s';
import { Construct } from 'constructs';
import { checkDnsLabel } from '../kubernetes/_checks';
import { checkProps } from '../kubernetes/_guard';
import { addObject, namespaceOf, recommendedLabels } from '../kubernetes/_object';
import { refuse } from '../kubernetes/_refuse';
import { factsOf } from '../kubernetes/_warnings';
import { warnOfApi } from '../prefect-api/_api-access';
import { checkUuid } from '../prefect-api/_checks';
import { LogLevel } from '../prefect-api/log-level';
import type { PrefectApi } from '../prefect-api/prefect-api';
import { FlowDask } from './_dask-files';
import { renderFlowJob } from './_flow-job';
import type { FlowJobProps } from './flow-job-props';

/** Properties of `FlowRunJob`. */
export interface FlowRunJobProps extends FlowJobProps {
  /** The Prefect API and how to authenticate. Its Secret must be in the namespace of the chart. */
  readonly api: PrefectApi;
  /** Id of an existing flow run: a UUID. No agent may have its labels, because an agent would execute it too. */
  readonly flowRunId: string;
  /**
   * Log level of the run.
   *
   * @default LogLevel.INFO
   */
  readonly logLevel?: LogLevel;
  /**
   * Whether to send the log of the run to Prefect.
   *
   * @default true
   */
  readonly sendFlowRunLogs?: boolean;
  /**
   * Name of the Job: a DNS label. Kubernetes does not let you change a Job, so another run needs another name.
   *
   * @default - 'flow-run-' and the first part of the id
   */
  readonly resourceName?: string;
}

/**
 * One flow run without an agent: a Job in the namespace of the chart that runs `prefect execute flow-run`.
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
    props = checkProps(this, 'FlowRunJobProps', props);
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
      // The variables that the agent sets in every Job, without those that Prefect 1.4 does not read.
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
    warnOfApi(this, props.api);
    factsOf(this).flows.push({ scope: this, namespace, needsSweeper: false });
    this.job = addObject(this, 'Resource', { ...job, metadata: { ...job.metadata, name: resourceName, namespace } });
  }
}

/** The name of a Dask cluster contains the name of the pod, and is the value of a label. */
function checkDaskName(where: Construct, resourceName: string): void {
  if (resourceName.length > 41) {
    refuse(where, {
      prop: 'resourceName',
      value: resourceName,
      allowed: 'must be at most 41 characters with a policy for Dask, because Dask clusters are named after the pod',
      remedy: `write for example ${resourceName.slice(0, 41)}`,
    });
  }
}
