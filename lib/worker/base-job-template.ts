import { type ApiObject, Chart, Duration } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { type FlowJob, isRestricted, type JobOwn, renderJob } from '../flow-job/_job';
import { addProtection, PROTECTED } from '../flow-job/_protect';
import { EvictionPolicy } from '../flow-job/eviction-policy';
import type { FlowJobOptions } from '../flow-job/flow-job-options';
import { checkAnnotations, checkDnsLabel, checkMaxSeconds } from '../kubernetes/_checks';
import { checkArguments, checkProps } from '../kubernetes/_guard';
import type { Plain } from '../kubernetes/_manifest';
import { renderProxy } from '../kubernetes/_network';
import { namespaceOf, recommendedLabels } from '../kubernetes/_object';
import { refuseOwn } from '../kubernetes/_pod';
import { checkPodAnnotations } from '../kubernetes/_pod-annotations';
import { refuse } from '../kubernetes/_refuse';
import { checkAmounts, checkAmountsOf } from './_amounts';
import { checkJobVariables, checkValues, type Json, placeStandardVariables, renderSchema } from './_job-variables';
import { checkEnvNames, LABELS_OF_PREFECT, OWNED_ENV, SIGTERM_BEHAVIOR } from './_owned';
import { checkPlaceholders, fillPlaceholders, usedIn } from './_placeholders';
import { checkFlowImage } from './_worker-image';
import { type Template, workerJob } from './_worker-job';
import { JobVariable } from './job-variable';
import type { Prefect3Api } from './prefect3-api';
import type { WorkerFlowRun } from './worker-flow-run';

/** Properties of `BaseJobTemplate`. */
export interface BaseJobTemplateProps extends FlowJobOptions {
  /** Where Prefect's API is: flow runs report to it. Its Secrets and ConfigMaps must be in the flow namespace too. */
  readonly api: Prefect3Api;
  /**
   * Namespace of the Jobs. Whoever may create Jobs in a namespace can read its Secrets, so one for flows alone is advised. It must exist.
   *
   * @default - the namespace of the chart
   */
  readonly flowNamespace?: string;
  /**
   * What deployments and flow runs may say, by name: nothing else, the API refuses it. Prefect's own have their place in the Job:
   * `image`, `image_pull_policy`, `cpu_request`, `cpu_limit`, `memory_request`, `memory_limit`, `service_account_name`,
   * `finished_job_ttl`, `name`, `env`, `labels` and `annotations`; the prop of that meaning says their default. Others stand as
   * `{{ NAME }}` in labels, annotations, `nodeSelector`, `env`, `podSpec` and the like. A value replaces the default as a whole.
   *
   * @default { image: JobVariable.string() }
   * @see https://docs.prefect.io/v3/how-to-guides/deployment_infra/manage-work-pools#base-job-template
   */
  readonly jobVariables?: { [name: string]: JobVariable };
  /**
   * How long a finished Job is kept: at least 10 minutes. By it a worker that was away learns of runs that ended meanwhile.
   *
   * @default Duration.hours(1)
   */
  readonly ttlAfterFinished?: Duration;
  /**
   * How long a Job may take. Its run is then set to Crashed.
   *
   * @default - for ever
   */
  readonly activeDeadline?: Duration;
  /**
   * What becomes of a flow run whose pod has to leave its node. Kubernetes itself never runs one again.
   *
   * @default EvictionPolicy.RUN_AGAIN
   * @see https://docs.prefect.io/integrations/prefect-kubernetes
   */
  readonly onEviction?: EvictionPolicy;
  /**
   * Name of the template: value of the label `cdk8s-prefect/base-job-template` of its Jobs, and beginning of the other names.
   *
   * @default 'prefect-base-job-template'
   */
  readonly resourceName?: string;
}

/** Where pods see the certificate authorities of the API. */
export const CA_FOLDER = '/etc/prefect/ca';

/**
 * The base job template of a Kubernetes work pool of Prefect 3: the Job of every flow run, and what deployments may say of it. Give it to
 * a `WorkPool`, which registers it.
 *
 * The Jobs meet Pod Security "restricted", are valid to the strictest API server, and are never run again by Kubernetes. The API refuses
 * job variables that are not declared, which it would otherwise ignore.
 *
 * @example
 * const api = Prefect3Api.server({ url: 'http://prefect-server.prefect:4200/api' });
 * const baseJobTemplate = new BaseJobTemplate(chart, 'Template', {
 *   api,
 *   image: 'registry.example/flows:42',
 *   resources: { memoryRequest: Size.gibibytes(2), memoryLimit: Size.gibibytes(2) },
 *   jobVariables: { image: JobVariable.string(), team: JobVariable.choice(['fraud', 'risk'], { default: 'risk' }) },
 *   nodeSelector: { team: '{{ team }}' },
 * });
 * new WorkPool(chart, 'Pool', { name: 'k8s', baseJobTemplate });
 *
 * @see https://docs.prefect.io/v3/how-to-guides/deployment_infra/manage-work-pools#base-job-template
 */
export class BaseJobTemplate extends Construct {
  /** The PodDisruptionBudget, child `PodDisruptionBudget`, with `EvictionPolicy.PROTECT`. */
  public readonly podDisruptionBudget?: ApiObject;
  /** Where Prefect's API is. */
  public readonly api: Prefect3Api;
  /** Namespace of the Jobs. */
  public readonly flowNamespace: string;
  /** Name of the template. */
  public readonly resourceName: string;

  private readonly template: Template;

  public constructor(scope: Construct, id: string, given: BaseJobTemplateProps) {
    super(scope, id);
    const props = checkProps(this, 'BaseJobTemplateProps', given);
    const namespace = namespaceOf(this);
    this.api = props.api;
    this.flowNamespace = checkDnsLabel(this, 'flowNamespace', props.flowNamespace ?? namespace);
    this.resourceName = checkDnsLabel(this, 'resourceName', props.resourceName ?? 'prefect-base-job-template');
    checkSingleDashes(this, 'resourceName', this.resourceName);
    const stamp = { 'cdk8s-prefect/base-job-template': this.resourceName };
    this.template = this.render(props, stamp);
    if (props.onEviction === EvictionPolicy.PROTECT) {
      const metadata = {
        name: `${this.resourceName}-protect`,
        namespace: this.flowNamespace,
        labels: recommendedLabels('prefect-base-job-template', this.resourceName),
      };
      this.podDisruptionBudget = addProtection(this, metadata, stamp);
    }
  }

  /** The template as Prefect's API takes it: `variables` and `job_configuration`. */
  public toJson(): { [key: string]: unknown } {
    return structuredClone(this.template) as unknown as Json;
  }

  /**
   * The Job that a worker makes of the template for one flow run, for reviews and snapshots: a worker that is told of the API by `api` and
   * has no other setting. The random part of its name and the label `prefect.io/deployment-updated` are left out.
   *
   * @param run The flow run.
   * @param jobVariables Those of the deployment and the flow run together. Values that the API would refuse are an error. So is a request
   * above its limit, because Kubernetes would refuse the Job.
   */
  public effectiveJob(run: WorkerFlowRun = {}, jobVariables: { [name: string]: unknown } = {}): { [key: string]: unknown } {
    checkArguments('BaseJobTemplate.effectiveJob', { run, jobVariables }, this);
    checkValues(this, this.template.variables, jobVariables);
    const job = workerJob(this, this.toJson() as unknown as Template, this.api, run, jobVariables);
    checkAmountsOf(this, job.spec.template.spec.containers[0].resources ?? {}, jobVariables);
    return job;
  }

  private render(props: BaseJobTemplateProps, stamp: Record<string, string>): Template {
    const { api: _, jobVariables = { image: JobVariable.string() }, ...said } = props;
    checkPlaceholders(this, said, jobVariables);
    checkJobVariables(this, jobVariables, usedIn(said));
    checkEnvNames(this, Object.keys(props.env ?? {}));
    const marks = marksOf(Object.keys(jobVariables), said);
    const render = (values: Map<string, string>) => {
      const filled = { ...props, ...fillPlaceholders(said, (name) => values.get(name) ?? '') };
      for (const prop of ['jobLabels', 'podLabels'] as const) {
        for (const [key, value] of Object.entries(filled[prop] ?? {})) checkSingleDashes(this, prop, key, value);
      }
      return inWordsOfUser(marks, () => renderJob(this, filled, this.jobOwn(filled, stamp)));
    };
    // Each known value of a variable is checked at its place, as if it were written there.
    for (const [name, variable] of Object.entries(jobVariables)) {
      for (const value of knownValues(variable)) render(new Map([...marks, [name, value]]));
    }
    const job = this.withPlaceholders(render(marks), marks);
    checkCopiedAnnotations(this, props);

    const { configuration, defaults } = placeStandardVariables(this, props, jobVariables, job);
    const env = {
      [SIGTERM_BEHAVIOR]: (props.onEviction ?? EvictionPolicy.RUN_AGAIN) === EvictionPolicy.RUN_AGAIN ? 'reschedule' : 'crash',
      ...takeSettings(job),
    };
    const ownEnv = this.jobOwn(props, stamp).env.map(({ name }) => name);
    const variables = renderSchema(this, jobVariables, defaults, {
      env: [...Object.keys(OWNED_ENV), ...ownEnv, ...(isRestricted(props) ? ['HOME'] : []), 'PREFECT__*'],
      labels: [...LABELS_OF_PREFECT, 'prefect.io/*', 'cdk8s-prefect/*', 'batch.kubernetes.io/*', 'controller-uid', 'job-name'],
      annotations: [...Object.keys(PROTECTED), 'cdk8s-prefect/*'],
    });
    const template = { variables, job_configuration: { namespace: this.flowNamespace, env, ...configuration, job_manifest: job } };
    checkAmounts(this, template);
    return template;
  }

  /** The Job with the variables' placeholders in the place of their marks. */
  private withPlaceholders(job: FlowJob, marks: Map<string, string>): FlowJob {
    return JSON.parse(unmarked(JSON.stringify({ ...job, metadata: { ...job.metadata, namespace: this.flowNamespace } }), marks));
  }

  private jobOwn(props: BaseJobTemplateProps, stamp: Record<string, string>): JobOwn {
    const { certificateAuthorities: ca, proxy } = this.api;
    const ttl = props.ttlAfterFinished ?? Duration.hours(1);
    if (ttl.toSeconds() < 600) {
      refuse(this, {
        prop: 'ttlAfterFinished',
        value: `${ttl.toSeconds()} s`,
        allowed: 'must be at least 600 seconds: a worker that was down for longer would not see the end of the run',
        remedy: 'choose a longer time',
      });
    }
    const env: Plain<k8s.EnvVar>[] = [
      // A uid without a user name needs one here, because getpass asks for it.
      ...(isRestricted(props) ? [{ name: 'USER', value: 'prefect' }] : []),
      // Without a URL, a flow would start its own server and would not be visible in Prefect.
      { name: 'PREFECT_SERVER_EPHEMERAL_ENABLED', value: 'false' },
      ...(ca ? [{ name: 'PREFECT_API_SSL_CERT_FILE', value: `${CA_FOLDER}/ca.crt` }] : []),
      ...(proxy ? renderProxy(this, proxy) : []),
    ];
    return {
      container: 'prefect-job',
      containersRemedy: 'the worker decides on the first one, and one after it would keep the pod running: use the prop sidecars',
      image: props.image === undefined ? undefined : checkFlowImage(this, 'image', props.image),
      env,
      volumes: ca
        ? {
            ca: {
              source: { configMap: { name: ca.name, items: [{ key: ca.key, path: 'ca.crt' }] } },
              mounts: [{ mountPath: CA_FOLDER, readOnly: true }],
            },
          }
        : {},
      labels: { ...Chart.of(this).labels, ...stamp },
      prefectLabels: Object.fromEntries(LABELS_OF_PREFECT.map((label) => [label, ''])),
      podAnnotations: props.onEviction === EvictionPolicy.PROTECT ? PROTECTED : {},
      serviceAccountName: props.serviceAccountName,
      ttlSecondsAfterFinished: checkMaxSeconds(this, 'ttlAfterFinished', ttl.toSeconds()),
      activeDeadline: props.activeDeadline,
      // The worker looks for these two fields. They are not valid in a pod, but the worker also accepts them here.
      spec: { completions: 1, parallelism: 1 },
    };
  }
}

/** The worker copies the annotations of the Job to the pod, over those that are there. */
function checkCopiedAnnotations(where: Construct, props: BaseJobTemplateProps): void {
  const { jobAnnotations = {}, podAnnotations = {}, initContainers = [], sidecars = [] } = props;
  const own = props.onEviction === EvictionPolicy.PROTECT ? PROTECTED : {};
  refuseOwn(where, 'jobAnnotations', jobAnnotations, own);
  const containers = ['prefect-job', ...initContainers.map(({ name }) => name), ...sidecars.map(({ name }) => name)];
  checkPodAnnotations(where, jobAnnotations, containers, 'jobAnnotations');
  for (const [key, value] of Object.entries(jobAnnotations)) {
    if (!Object.hasOwn(podAnnotations, key) || podAnnotations[key] === value) continue;
    refuse(where, {
      prop: `podAnnotations[${JSON.stringify(key)}]`,
      value: podAnnotations[key],
      allowed: `must be that of jobAnnotations, "${value}": the worker copies it to the pod`,
      remedy: 'leave one of them out',
    });
  }
  checkAnnotations(where, 'jobAnnotations and podAnnotations', { ...podAnnotations, ...jobAnnotations, ...own });
}

/** Prefect makes one dash of several. */
function checkSingleDashes(where: Construct, prop: string, key: string, value = ''): void {
  if (key.includes('--') || value.includes('--')) {
    refuse(where, {
      prop,
      value: value === '' ? key : `${key}: ${value}`,
      allowed: 'must not have "--": Prefect writes "-" instead into the labels of Jobs and pods',
      remedy: 'write it with one dash',
    });
  }
}

/**
 * Moves Prefect's settings from the Job to the environment of the job configuration. There they have priority over the settings of the
 * worker, which would replace those of the Job.
 */
function takeSettings(job: FlowJob): Record<string, string> {
  const [container] = job.spec.template.spec.containers as { env?: { name: string; value?: string }[] }[];
  const isSetting = ({ name, value }: { name: string; value?: string }) => name.startsWith('PREFECT_') && value !== undefined;
  const all = container?.env ?? [];
  if (container) container.env = all.filter((entry) => !isSetting(entry));
  return Object.fromEntries(all.filter(isSetting).map(({ name, value }) => [name, value ?? '']));
}

function knownValues({ _schema: schema, _default: value }: JobVariable): string[] {
  return [...new Set([...((schema.enum ?? []) as string[]), ...(value === undefined ? [] : [String(value)])])];
}

/** A unique text for each variable. It stands for the variable while names, labels and images are checked. */
function marksOf(names: string[], props: object): Map<string, string> {
  let mark = 'zq';
  while (JSON.stringify(props).includes(mark)) mark += 'q';
  return new Map(names.map((name, i) => [name, `${mark}${i}w`]));
}

function unmarked(text: string, marks: Map<string, string>): string {
  return [...marks].reduce((all, [name, mark]) => all.replaceAll(mark, `{{ ${name} }}`), text);
}

/** Errors say the placeholder, and not the mark in its place. */
function inWordsOfUser<T>(marks: Map<string, string>, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error) error.message = unmarked(error.message, marks);
    throw error;
  }
}
