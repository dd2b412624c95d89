import { createHash } from 'node:crypto';
import { type ApiObject, Chart, Size } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { checkConfigMapSize, checkDnsLabel } from '../kubernetes/_checks';
import { checkProps } from '../kubernetes/_guard';
import { restrictedPod, UNPRIVILEGED_CONTAINER } from '../kubernetes/_hardened-pod';
import { manifest, type Plain } from '../kubernetes/_manifest';
import { renderProxy } from '../kubernetes/_network';
import { addObject, namespaceOf, recommendedLabels } from '../kubernetes/_object';
import { renderEnv, renderPodMetadata, renderPodOptions, renderResources, verbatimPodFields } from '../kubernetes/_pod';
import { refuse } from '../kubernetes/_refuse';
import { ImagePullPolicy } from '../kubernetes/container-options';
import type { EnvValue } from '../kubernetes/env-value';
import type { PodOptions } from '../kubernetes/pod-options';
import { type ContainerResources, Cpu } from '../kubernetes/resources';
import { PROGRAMS } from './_embedded';
import { checkWorkerImage, WORKER_IMAGE } from './_worker-image';
import { type BaseJobTemplate, CA_FOLDER } from './base-job-template';

/** Properties of `WorkPool`. */
export interface WorkPoolProps extends PodOptions {
  /** Name of the work pool. One that is not there is made, of type `kubernetes`. */
  readonly name: string;
  /** Its base job template. */
  readonly baseJobTemplate: BaseJobTemplate;
  /**
   * Whether the API refuses job variables that the template does not declare. Without the lock it accepts and ignores them.
   *
   * Before the Job locks an existing pool, it checks the deployments of the pool. If the lock would refuse variables of one, the pool
   * stays as it is, and the Job fails with a list.
   *
   * @default true
   */
  readonly lock?: boolean;
  /**
   * Image of the program that registers the template: Prefect 3.9 or newer with prefect-kubernetes 0.8 or newer. That of your workers,
   * whose check of the template it runs.
   *
   * @default 'prefecthq/prefect:3.9.1-python3.11-kubernetes'
   */
  readonly image?: string;
  /**
   * When the image is pulled.
   *
   * @default ImagePullPolicy.ALWAYS
   */
  readonly imagePullPolicy?: ImagePullPolicy;
  /**
   * Environment variables of the program, such as settings of Prefect's client.
   *
   * @default - none
   * @see https://docs.prefect.io/v3/api-ref/settings-ref#clientsettings
   */
  readonly env?: { [name: string]: EnvValue };
  /**
   * What the program asks for and may use at most. Replaces the default as a whole.
   *
   * @default - requests 100m CPU, 128Mi memory; limit 512Mi memory
   */
  readonly resources?: ContainerResources;
  /**
   * Beginning of the name of the Job and its ConfigMap, to which a checksum is added.
   *
   * @default 'prefect-work-pool'
   */
  readonly resourceName?: string;
}

const POOL = 'work-pool.json';
const PROGRAM = 'register_work_pool.py';
const FOLDER = '/etc/prefect/work-pool';
const CHECKSUM_LENGTH = 8;
const DEFAULT_RESOURCES: ContainerResources = {
  cpuRequest: Cpu.millis(100),
  memoryRequest: Size.mebibytes(128),
  memoryLimit: Size.mebibytes(512),
};

/** A day: so long a failure can be read in the log. */
const TTL = 86_400;

/**
 * A Kubernetes work pool of Prefect 3 and its base job template: a Job that creates the pool, or updates the template of the one that is
 * there, and nothing else of it. It never pauses or resumes a pool and never touches its concurrency limit. The Job has another name
 * after each change, so `kubectl apply` runs it anew; what is unchanged it leaves alone.
 *
 * If something is in doubt, the Job fails and says why in one line of its log. Reasons are a pool of another type, an API that does not
 * answer, a template of which no run could start, and existing deployments that the lock would refuse.
 *
 * @example
 * const api = Prefect3Api.server({ url: 'http://prefect-server.prefect:4200/api' });
 * new WorkPool(chart, 'Pool', { name: 'k8s', baseJobTemplate: new BaseJobTemplate(chart, 'Template', { api }) });
 *
 * @see https://docs.prefect.io/v3/concepts/work-pools
 */
export class WorkPool extends Construct {
  /** The Job that registers the template, child `Resource`. */
  public readonly job: ApiObject;
  /** The ConfigMap of the template and the program, child `ConfigMap`. */
  public readonly configMap: ApiObject;
  /** Name of the work pool. */
  public readonly name: string;
  /** Its base job template. */
  public readonly baseJobTemplate: BaseJobTemplate;

  public constructor(scope: Construct, id: string, given: WorkPoolProps) {
    super(scope, id);
    const props = checkProps(this, 'WorkPoolProps', given);
    namespaceOf(this);
    this.name = checkName(this, props.name);
    this.baseJobTemplate = props.baseJobTemplate;
    const beginning = checkDnsLabel(this, 'resourceName', props.resourceName ?? 'prefect-work-pool');
    if (beginning.length > 63 - CHECKSUM_LENGTH - 1) {
      refuse(this, {
        prop: 'resourceName',
        value: beginning,
        allowed: `must be at most ${63 - CHECKSUM_LENGTH - 1} characters, since a checksum is added`,
        remedy: 'choose a shorter one',
      });
    }
    const pool = { name: this.name, base_job_template: this.registered(props.lock ?? true) };
    const data = { [PROGRAM]: PROGRAMS[PROGRAM], [POOL]: withoutDoubleBraces(JSON.stringify(pool, null, 2)) };
    checkConfigMapSize(this, 'the base job template', Object.values(data).join(''));
    const labels = recommendedLabels('prefect-work-pool', beginning);
    const pod = this.renderPod(props, labels);
    const verbatim = verbatimPodFields(this, props);
    // A Job cannot be changed, so its name contains a hash of its content.
    const checksum = createHash('sha256')
      .update(JSON.stringify([data, pod(''), verbatim, labels]))
      .digest('hex')
      .slice(0, CHECKSUM_LENGTH);
    const metadata = { name: `${beginning}-${checksum}`, labels };

    this.configMap = addObject(this, 'ConfigMap', manifest('v1', 'ConfigMap', { metadata, immutable: true, data }));
    const template = pod(metadata.name);
    Object.assign(template.spec ?? {}, verbatim);
    this.job = addObject(this, 'Resource', {
      ...manifest('batch/v1', 'Job', { metadata, spec: { ttlSecondsAfterFinished: TTL, template } }),
      metadata,
    });
  }

  private registered(lock: boolean): object {
    const { variables, ...template } = this.baseJobTemplate.toJson();
    const { additionalProperties, ...open } = variables as Record<string, unknown>;
    return { ...template, variables: lock ? variables : open };
  }

  /** The pod, but for the name of the ConfigMap. */
  private renderPod(props: WorkPoolProps, labels: Record<string, string>): (files: string) => Plain<k8s.PodTemplateSpec> {
    const { url, apiKey, authString, certificateAuthorities: ca, proxy } = this.baseJobTemplate.api;
    const own: Plain<k8s.EnvVar>[] = [
      { name: 'HOME', value: '/home/prefect' },
      { name: 'PREFECT_API_URL', value: url },
      ...(apiKey ? [{ name: 'PREFECT_API_KEY', valueFrom: { secretKeyRef: { name: apiKey.name, key: apiKey.key } } }] : []),
      ...(authString
        ? [{ name: 'PREFECT_API_AUTH_STRING', valueFrom: { secretKeyRef: { name: authString.name, key: authString.key } } }]
        : []),
      { name: 'PREFECT_SERVER_EPHEMERAL_ENABLED', value: 'false' },
      ...(ca ? [{ name: 'PREFECT_API_SSL_CERT_FILE', value: `${CA_FOLDER}/ca.crt` }] : []),
      ...(proxy ? renderProxy(this, proxy) : []),
    ];
    const container = {
      name: 'register',
      image: checkWorkerImage(this, 'image', props.image ?? WORKER_IMAGE),
      imagePullPolicy: props.imagePullPolicy ?? ImagePullPolicy.ALWAYS,
      args: ['python3', `${FOLDER}/${PROGRAM}`, `${FOLDER}/${POOL}`],
      env: [...own, ...renderEnv(this, props.env ?? {}, own)],
      resources: renderResources(this, props.resources ?? DEFAULT_RESOURCES),
      securityContext: { ...UNPRIVILEGED_CONTAINER, readOnlyRootFilesystem: true },
      volumeMounts: [
        { name: 'files', mountPath: FOLDER, readOnly: true },
        { name: 'scratch', mountPath: '/home/prefect', subPath: 'home' },
        { name: 'scratch', mountPath: '/tmp', subPath: 'tmp' },
        ...(ca ? [{ name: 'ca', mountPath: CA_FOLDER, readOnly: true }] : []),
      ],
    };
    const metadata = renderPodMetadata(this, props, { ...Chart.of(this).labels, ...labels }, {}, [container.name]);
    const options = renderPodOptions(this, props);
    return (files) => ({
      metadata,
      spec: {
        ...options,
        restartPolicy: 'Never',
        automountServiceAccountToken: false,
        securityContext: restrictedPod(props),
        containers: [container],
        volumes: [
          { name: 'files', configMap: { name: files } },
          { name: 'scratch', emptyDir: {} },
          ...(ca ? [{ name: 'ca', configMap: { name: ca.name, items: [{ key: ca.key, path: 'ca.crt' }] } }] : []),
        ],
      },
    });
  }
}

/** The same JSON, spelled so that `helm template` does not take Prefect's placeholders for its own. */
function withoutDoubleBraces(json: string): string {
  return json.replaceAll('{{', '\\u007b{');
}

function checkName(where: Construct, name: string): string {
  if (/[/%&<>\p{Cc}]/u.test(name) || name.replace(/[' "]/g, '') === '') {
    refuse(where, {
      prop: 'name',
      value: name,
      allowed: 'must not be blank or have "/", "%", "&", "<", ">" or control characters',
      remedy: 'write for example k8s',
    });
  }
  if (/^prefect/i.test(name)) {
    refuse(where, {
      prop: 'name',
      value: name,
      allowed: 'must not begin with "prefect": Prefect reserves such names',
      remedy: 'choose another name',
    });
  }
  return name;
}
