import { type ApiObject, Size } from 'cdk8s';
import { Construct } from 'constructs';
import { checkDnsLabel } from '../kubernetes/_checks';
import { checkProps } from '../kubernetes/_guard';
import type { PodTemplate } from '../kubernetes/_hardened-pod';
import { renderEgress } from '../kubernetes/_network';
import { namespaceOf } from '../kubernetes/_object';
import { addFiles, addNetworkPolicy, nameOfFiles } from '../kubernetes/_program';
import type { ImagePullPolicy } from '../kubernetes/container-options';
import type { EnvValue } from '../kubernetes/env-value';
import type { SecretKeyRef } from '../kubernetes/key-ref';
import type { EgressRule } from '../kubernetes/network';
import type { PodOptions } from '../kubernetes/pod-options';
import { type ContainerResources, Cpu } from '../kubernetes/resources';
import { PROGRAMS } from './_embedded';
import { checkWorkerImage, WORKER_IMAGE } from './_worker-image';
import {
  addAccount,
  addDeployment,
  addDisruptionBudget,
  OBSERVER_RULES,
  party,
  type Rule,
  rightsOf,
  WORKER_RULES,
} from './_worker-objects';
import { credentialsOf, PROGRAM_FOLDER, renderWorkerPod } from './_worker-pod';
import { checkNamespace, checkQueues, checkReplicas, checkWorkerEnv, renderFlowRunCredentials } from './_worker-settings';
import type { WorkPool } from './work-pool';

/** Properties of `PrefectWorker`. */
export interface PrefectWorkerProps extends PodOptions {
  /** The work pool, in the same namespace. Its base job template has the API and the flow namespace. */
  readonly workPool: WorkPool;
  /**
   * Names of work queues of the pool. The worker only takes flow runs of these queues. While one of them does not exist, it takes none.
   *
   * @default - all queues of the pool
   * @see https://docs.prefect.io/v3/concepts/work-pools#work-queues
   */
  readonly workQueues?: string[];
  /**
   * Number of worker pods: at least 1. Each flow run goes to one of them. With more than one, they get a PodDisruptionBudget.
   *
   * @default 1
   */
  readonly replicas?: number;
  /**
   * API key (for a server: auth string) of the flow runs, for example one with fewer permissions. The Secret is in the flow namespace.
   *
   * @default - the Secret with the name and key of the worker's, which must also exist in the flow namespace
   */
  readonly flowRunCredentials?: SecretKeyRef;
  /**
   * Image of worker, observer and their init containers: Prefect 3.9 or newer with prefect-kubernetes 0.8 or newer.
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
   * Environment variables of worker and observer. A setting that the worker would write into its Jobs is an error.
   *
   * @default - none
   */
  readonly env?: { [name: string]: EnvValue };
  /**
   * Resource requests and limits of the worker. They replace the whole default.
   *
   * @default - requests 100m CPU, 256Mi memory, 64Mi disk; limits 512Mi memory, 256Mi disk
   */
  readonly resources?: ContainerResources;
  /**
   * Resource requests and limits of the observer. They replace the whole default.
   *
   * @default - requests 100m CPU, 256Mi memory, 64Mi disk; limits 512Mi memory, 256Mi disk
   */
  readonly observerResources?: ContainerResources;
  /**
   * Addresses to which worker and observer may connect. They need the Kubernetes API and Prefect's API. DNS is always allowed. Nothing
   * may connect to them.
   *
   * @default - anywhere
   */
  readonly egress?: EgressRule[];
  /**
   * Name of the worker's Deployment, service account and NetworkPolicy, and value of the pods' label `app`. The names of the observer
   * end in `-observer`.
   *
   * @default 'prefect-worker'
   */
  readonly resourceName?: string;
}

const DEFAULT_RESOURCES: ContainerResources = {
  cpuRequest: Cpu.millis(100),
  memoryRequest: Size.mebibytes(256),
  memoryLimit: Size.mebibytes(512),
  ephemeralStorageRequest: Size.mebibytes(64),
  ephemeralStorageLimit: Size.mebibytes(256),
};

/** The programs of the pods. The program of the work pool is in the ConfigMap of the pool. */
const FILES = [
  'answers.py',
  'check_access.py',
  'complaints.py',
  'credentials.py',
  'job_creation.py',
  'start_observer.py',
  'start_worker.py',
  'submission.py',
  'submissions.py',
] as const;

/** The worker ends as soon as its submissions are finished. An API that does not answer makes them wait. */
const GRACE_SECONDS = 300;
/** It then reports its end and removes its record: 16 seconds were measured with an API that does not answer. */
const SECONDS_TO_END = 20;

/** Names that Prefect writes into labels unchanged. */
const PLAIN_LABEL = /^(?!.*--)[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/**
 * A hardened worker of Prefect 3 for a Kubernetes work pool, and the observer that reports its crashed flow runs. They are two
 * Deployments, each with its own service account, whose permissions are the calls of its program.
 *
 * Before a worker starts, it registers the template of the pool. A changed template starts new workers before the old ones end. On SIGTERM, a
 * worker first finishes the flow runs that it is submitting.
 *
 * @example
 * const api = Prefect3Api.server({ url: 'http://prefect-server.prefect:4200/api' });
 * const baseJobTemplate = new BaseJobTemplate(chart, 'Template', { api, flowNamespace: 'flows' });
 * const workPool = new WorkPool(chart, 'Pool', { name: 'k8s', baseJobTemplate });
 * new PrefectWorker(chart, 'Worker', { workPool });
 *
 * @see https://docs.prefect.io/v3/concepts/workers
 */
export class PrefectWorker extends Construct {
  /** The Deployment of the worker, child `Resource`. */
  public readonly deployment: ApiObject;
  /** The Deployment of the observer, child `Observer/Resource`. */
  public readonly observer: ApiObject;
  /** The ConfigMap of the programs, child `Launcher`. */
  public readonly launcher: ApiObject;
  /** The NetworkPolicy of the worker, child `NetworkPolicy`. */
  public readonly networkPolicy: ApiObject;
  /** The PodDisruptionBudget of the worker, child `PodDisruptionBudget`, with more than one replica. */
  public readonly podDisruptionBudget?: ApiObject;
  /** Name of the worker's Deployment and service account. */
  public readonly resourceName: string;
  /** Namespace of the flow runs' Jobs. */
  public readonly flowNamespace: string;

  public constructor(scope: Construct, id: string, given: PrefectWorkerProps) {
    super(scope, id);
    const props = checkProps(this, 'PrefectWorkerProps', given);
    const namespace = namespaceOf(this);
    this.flowNamespace = props.workPool.baseJobTemplate.flowNamespace;
    this.resourceName = checkDnsLabel(this, 'resourceName', props.resourceName ?? 'prefect-worker');
    const observerName = checkDnsLabel(this, 'resourceName', `${this.resourceName}-observer`);
    checkNamespace(this, props.workPool, namespace);
    checkWorkerEnv(this, Object.keys(props.env ?? {}));
    const replicas = checkReplicas(this, props.replicas ?? 1);
    const data = Object.fromEntries(FILES.map((file) => [file, PROGRAMS[file]]));
    const launcherName = nameOfFiles(`${this.resourceName}-launcher`, data);
    const worker = party(namespace, this.flowNamespace, 'prefect-worker', this.resourceName);
    const observer = party(namespace, this.flowNamespace, 'prefect-observer', observerName);
    // Rendered before any object is added, so that an invalid prop leaves no objects behind.
    const workerPod = this.renderWorker(props, worker.labels, launcherName, replicas);
    const observerPod = this.renderObserver(props, observer.labels, launcherName, observerName);
    const egress = props.egress && renderEgress(this, props.egress);

    this.launcher = addFiles(this, 'Launcher', launcherName, worker.labels, data);
    addAccount(this, worker, WORKER_RULES);
    this.networkPolicy = addNetworkPolicy(this, worker, undefined, egress);
    if (replicas > 1) this.podDisruptionBudget = addDisruptionBudget(this, worker);
    this.deployment = addDeployment(this, worker, replicas, workerPod);

    const child = new Construct(this, 'Observer');
    addAccount(child, observer, OBSERVER_RULES);
    addNetworkPolicy(child, observer, undefined, egress);
    this.observer = addDeployment(child, observer, 1, observerPod);
  }

  private renderWorker(props: PrefectWorkerProps, labels: Record<string, string>, launcherName: string, replicas: number): PodTemplate {
    const { workPool } = props;
    const { api } = workPool.baseJobTemplate;
    const queues = checkQueues(this, props.workQueues ?? []);
    const credentials = credentialsOf(api);
    const folder = '/etc/prefect/work-pool';
    const { terminationGracePeriodSeconds } = props.podSpec ?? {};
    const grace = typeof terminationGracePeriodSeconds === 'number' ? terminationGracePeriodSeconds : GRACE_SECONDS;
    return renderWorkerPod(this, props, {
      name: 'worker',
      api,
      image: checkWorkerImage(this, 'image', props.image ?? WORKER_IMAGE),
      serviceAccountName: this.resourceName,
      labels,
      program: 'start_worker.py',
      args: [
        '--signs=/tmp',
        `--finish-within=${Math.max(0, grace - SECONDS_TO_END)}`,
        'worker',
        'start',
        '--type=kubernetes',
        `--pool=${verbatim(workPool.name)}`,
        // The name of a pod is used only once, so the launcher deletes the worker's record when it ends.
        '--name=$(POD_NAME)',
        ...queues.map((queue) => `--work-queue=${verbatim(queue)}`),
        '--no-create-pool-if-not-found',
        '--install-policy=never',
      ],
      env: [
        { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_ENABLED', value: 'false' },
        ...renderFlowRunCredentials(this, api, props.flowRunCredentials),
      ],
      launcherName,
      files: { 'work-pool': { mountPath: folder, source: { configMap: { name: workPool.configMap.name } } } },
      resources: props.resources ?? DEFAULT_RESOURCES,
      // Both signs are those of start_worker.py.
      livenessProbe: { exec: { command: newerThanFiveMinutes('/tmp/alive') }, periodSeconds: 30, timeoutSeconds: 10 },
      readinessProbe: { exec: { command: newerThanFiveMinutes('/tmp/polled') }, periodSeconds: 5, timeoutSeconds: 10 },
      steps: [
        { name: 'check-access', args: this.checkAccess(WORKER_RULES), without: ['work-pool', 'credentials'] },
        {
          name: 'register',
          args: [
            'python3',
            ...(credentials ? [`${PROGRAM_FOLDER}/credentials.py`, credentials.option] : []),
            `${folder}/register_work_pool.py`,
            `${folder}/work-pool.json`,
          ],
          without: ['token'],
        },
      ],
      spec: {
        terminationGracePeriodSeconds: GRACE_SECONDS,
        ...(replicas > 1 && {
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: 'kubernetes.io/hostname',
              whenUnsatisfiable: 'ScheduleAnyway',
              labelSelector: { matchLabels: { app: this.resourceName } },
            },
          ],
        }),
      },
    });
  }

  private renderObserver(
    props: PrefectWorkerProps,
    labels: Record<string, string>,
    launcherName: string,
    observerName: string,
  ): PodTemplate {
    const { name: pool, baseJobTemplate } = props.workPool;
    const credentials = credentialsOf(baseJobTemplate.api);
    const health = { httpGet: { path: '/healthz', port: 8080 }, timeoutSeconds: 10 };
    return renderWorkerPod(this, props, {
      name: 'observer',
      api: baseJobTemplate.api,
      image: checkWorkerImage(this, 'image', props.image ?? WORKER_IMAGE),
      serviceAccountName: observerName,
      labels,
      program: 'start_observer.py',
      args: [`--namespace=${this.flowNamespace}`],
      env: [
        { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_NAMESPACES', value: this.flowNamespace },
        // Prefect changes other names in the label. Then the observer sees the Jobs of all pools, and reports those that its API knows.
        ...(PLAIN_LABEL.test(pool)
          ? [{ name: 'PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_ADDITIONAL_LABEL_FILTERS', value: `prefect.io/work-pool-name=${pool}` }]
          : []),
      ],
      launcherName,
      files: {},
      resources: props.observerResources ?? DEFAULT_RESOURCES,
      // The port is only open after Kubernetes has answered. With this probe, an outage of an hour is no crash loop.
      startupProbe: { ...health, periodSeconds: 10, failureThreshold: 360 },
      livenessProbe: { ...health, periodSeconds: 30 },
      readinessProbe: { tcpSocket: { port: 8080 }, timeoutSeconds: 10, periodSeconds: 10 },
      steps: [
        {
          name: 'check-access',
          args: this.checkAccess(OBSERVER_RULES, ['--api', ...(credentials ? [`--credentials=${credentials.option}`] : [])]),
          without: [],
        },
      ],
      spec: {},
    });
  }

  private checkAccess(rules: Rule[], flags: string[] = []): string[] {
    return ['python3', `${PROGRAM_FOLDER}/check_access.py`, `--namespace=${this.flowNamespace}`, ...flags, ...rightsOf(rules)];
  }
}

/** The kubelet expands $(NAME) in arguments and reads $$ as $. */
function verbatim(text: string): string {
  return text.replaceAll('$', '$$$$');
}

function newerThanFiveMinutes(file: string): string[] {
  return ['sh', '-c', `test -n "$(find ${file} -mmin -5)"`];
}
