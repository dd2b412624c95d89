import { type ApiObject, Chart } from 'cdk8s';
import { Construct } from 'constructs';
import { checkConfigMapSize, checkDnsLabel } from '../kubernetes/_checks';
import { checkProps } from '../kubernetes/_guard';
import { manifest } from '../kubernetes/_manifest';
import { addObject, namespaceOf, recommendedLabels } from '../kubernetes/_object';
import { refuse } from '../kubernetes/_refuse';
import { resolvedText } from '../kubernetes/_resolve';
import { factsOf } from '../kubernetes/_warnings';
import { stringifyYaml } from '../kubernetes/_yaml';
import { FlowDask } from './_dask-files';
import { renderFlowJob } from './_flow-job';
import type { FlowJob } from './_job';
import { addProtection, PROTECTED } from './_protect';
import { EvictionPolicy } from './eviction-policy';
import type { FlowJobProps } from './flow-job-props';

/** Properties of `FlowJobTemplate`. */
export interface FlowJobTemplateProps extends FlowJobProps {
  /**
   * Namespace of the Jobs. It must be the `flowNamespace` of the agent.
   *
   * @default - the namespace of the chart
   */
  readonly flowNamespace?: string;
  /**
   * What happens to a flow run whose pod has to leave its node.
   *
   * @default - the run stays Running until its heartbeat is missed; with a `FlowRunSweeper`, as `EvictionPolicy.FAIL`
   */
  readonly onEviction?: EvictionPolicy;
  /**
   * Name of the ConfigMap: a DNS label. The names of the other objects begin with it.
   *
   * @default 'prefect-job-template'
   */
  readonly resourceName?: string;
}

/**
 * The template of the Jobs of flow runs. Give it to a `PrefectAgent` as `jobTemplate`. The agent reads it for each run, so a change
 * applies to the next run.
 *
 * The agent always sets command, name, namespace and log level itself, so they have no prop here.
 *
 * @example
 * const jobTemplate = new FlowJobTemplate(chart, 'Jobs', {
 *   image: 'registry.example/flows:42',
 *   resources: { memoryRequest: Size.gibibytes(2), memoryLimit: Size.gibibytes(2) },
 *   onEviction: EvictionPolicy.PROTECT,
 * });
 * new PrefectAgent(chart, 'Agent', { api, jobTemplate });
 *
 * @see https://docs-v1.prefect.io/orchestration/agents/kubernetes.html#custom-job-template
 */
export class FlowJobTemplate extends Construct {
  /** The ConfigMap, child `Resource`. */
  public readonly configMap: ApiObject;
  /** The PodDisruptionBudget, child `PodDisruptionBudget`. Only with `EvictionPolicy.PROTECT`. */
  public readonly podDisruptionBudget?: ApiObject;
  /** The service account of flow runs, child `Dask/ServiceAccount`. Only with `dask` and without `serviceAccountName`. */
  public readonly serviceAccount?: ApiObject;
  /** Name of the ConfigMap. */
  public readonly configMapName: string;
  /** Namespace of the ConfigMap. */
  public readonly namespace: string;
  /** Namespace of the Jobs. */
  public readonly flowNamespace: string;

  /**
   * The template as the agent reads it.
   * @internal
   */
  public readonly _job: FlowJob;

  /**
   * Names of the environment variables in the template.
   * @internal
   */
  public readonly _envNames: string[];

  /**
   * Whether a flow run whose run config names an account gets the token of that account.
   * @internal
   */
  public readonly _tokenForNamedAccounts: boolean;

  /**
   * Key of the ConfigMap.
   * @internal
   */
  public static readonly _FILE = 'job.yaml';

  private readonly text: string;

  public constructor(scope: Construct, id: string, props: FlowJobTemplateProps = {}) {
    super(scope, id);
    props = checkProps(this, 'FlowJobTemplateProps', props);
    this.namespace = namespaceOf(this);
    this.flowNamespace = checkDnsLabel(this, 'flowNamespace', props.flowNamespace ?? this.namespace);
    this.configMapName = checkDnsLabel(this, 'resourceName', props.resourceName ?? 'prefect-job-template');
    const stamp = {
      'cdk8s-prefect/job-template': this.configMapName,
      ...(props.onEviction && { 'cdk8s-prefect/on-eviction': props.onEviction }),
    };
    const own = {
      labels: { ...Chart.of(this).labels, ...stamp },
      podAnnotations: props.onEviction === EvictionPolicy.PROTECT ? PROTECTED : {},
      flowNamespace: this.flowNamespace,
      resourceName: this.configMapName,
    };
    this._job = renderFlowJob(this, props, own);
    this._envNames = (this._job.spec.template.spec.containers[0]?.env ?? []).map(({ name }) => name);
    this._tokenForNamedAccounts = props.automountServiceAccountToken === undefined;
    const labels = recommendedLabels('prefect-job-template', this.configMapName);
    const write = (job: FlowJob) => {
      const yaml = stringifyYaml(job);
      checkConfigMapSize(this, 'the Job template', yaml);
      return yaml;
    };
    this.text = resolvedText(this, () => this.configMap, this._job, write);
    this.serviceAccount = props.dask && new FlowDask(this, props.dask, props, own).serviceAccount;

    this.configMap = addObject(
      this,
      'Resource',
      manifest('v1', 'ConfigMap', {
        metadata: { name: this.configMapName, namespace: this.namespace, labels },
        data: { [FlowJobTemplate._FILE]: this.text },
      }),
    );
    const needsSweeper = props.onEviction === EvictionPolicy.FAIL || props.onEviction === EvictionPolicy.RUN_AGAIN;
    factsOf(this).flows.push({ scope: this, namespace: this.flowNamespace, needsSweeper });
    if (props.onEviction === EvictionPolicy.PROTECT) {
      this.podDisruptionBudget = addProtection(
        this,
        { name: `${this.configMapName}-protect`, namespace: this.flowNamespace, labels },
        stamp,
      );
    }
  }

  /**
   * The template as it will be written: with what patches of `configMap` say, and what the resolvers of the app replace.
   * @internal
   */
  public _written(): FlowJob {
    const text = this.configMap.toJson().data?.[FlowJobTemplate._FILE];
    if (text === this.text) return this._job;
    // Loaded only here, because few users patch the Job.
    const { parseDocument } = require('yaml') as typeof import('yaml');
    const document = typeof text === 'string' ? parseDocument(text) : undefined;
    const job = document?.toJS();
    if (document?.errors.length !== 0 || job?.spec?.template?.spec === undefined) {
      refuse(this, {
        prop: `the data "${FlowJobTemplate._FILE}" of its ConfigMap`,
        allowed: 'must be a Job with a pod template, as YAML, after patches',
        remedy: 'check the patches of configMap',
      });
    }
    return job;
  }
}
