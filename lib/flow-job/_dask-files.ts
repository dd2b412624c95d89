import { type ApiObject, Chart } from 'cdk8s';
import { Construct } from 'constructs';
import { DASK_FOLDER, flowPodAsOwner } from '../dask/_dask-env';
import { checkDaskKubernetes } from '../dask/_dask-settings';
import { PROGRAMS } from '../dask/_embedded';
import { DaskDeployMode, type DaskPodOptions } from '../dask/dask-options';
import type { DaskWorkerPolicy } from '../dask/dask-worker-policy';
import { checkConfigMapSize } from '../kubernetes/_checks';
import { manifest } from '../kubernetes/_manifest';
import { addObject, recommendedLabels } from '../kubernetes/_object';
import { kibibytesOf, refuseOwn } from '../kubernetes/_pod';
import { refuse } from '../kubernetes/_refuse';
import { resolvedText } from '../kubernetes/_resolve';
import { stringifyYaml } from '../kubernetes/_yaml';
import { EnvValue } from '../kubernetes/env-value';
import { Volume } from '../kubernetes/volume';
import { daskNameOf, type FlowJobOwn, renderFlowJob } from './_flow-job';
import type { FlowPod } from './_job';
import type { FlowJobProps } from './flow-job-props';

const CLIENT_PRELOAD = 'prefect_dask_client.py';
const SCHEDULER_PRELOAD = 'prefect_dask_scheduler.py';
const WORKER_PRELOAD = 'prefect_dask_worker.py';

const LOG_LEVEL = 'PREFECT__LOGGING__LEVEL';

/** How long a new scheduler waits for its flow run, in seconds: `KubeCluster` creates every worker before the client connects. */
const FIRST_CLIENT_TIMEOUT = 300;

/** Labels that dask-kubernetes overwrites. */
const LABELS_OF_DASK = { 'dask.org/cluster-name': '', 'dask.org/component': '', user: '', app: '' };

/** The objects that flow runs with a Dask policy need in addition to their Job: files, and a service account with permissions. */
export class FlowDask extends Construct {
  /** The service account, child `ServiceAccount`, unless the user gave one. */
  public readonly serviceAccount?: ApiObject;

  public constructor(scope: Construct, dask: DaskWorkerPolicy, props: FlowJobProps, own: FlowJobOwn) {
    super(scope, 'Dask');
    const data = renderFiles(scope, dask, props, own, () => files);
    const name = daskNameOf(own);
    const metadata = { name, namespace: own.flowNamespace, labels: recommendedLabels('prefect-dask', own.resourceName) };
    // Dask expands the variables in it. Flux would replace them before.
    const annotations = { 'kustomize.toolkit.fluxcd.io/substitute': 'disabled' };
    const files: ApiObject = addObject(this, 'Files', manifest('v1', 'ConfigMap', { metadata: { ...metadata, annotations }, data }));
    if (props.serviceAccountName === undefined) {
      this.serviceAccount = addObject(
        this,
        'ServiceAccount',
        manifest('v1', 'ServiceAccount', { metadata, automountServiceAccountToken: false }),
      );
    }
    addObject(
      this,
      'RoleBinding',
      manifest('rbac.authorization.k8s.io/v1', 'RoleBinding', {
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: dask.resourceName },
        subjects: [{ kind: 'ServiceAccount', name: props.serviceAccountName ?? name, namespace: own.flowNamespace }],
      }),
    );
  }
}

/** The templates of Dask pods, and the preloads of the flow run and the scheduler. */
function renderFiles(
  where: Construct,
  dask: DaskWorkerPolicy,
  props: FlowJobProps,
  own: FlowJobOwn,
  object: () => ApiObject,
): Record<string, string> {
  if (dask.flowNamespace !== own.flowNamespace) {
    refuse(where, {
      prop: 'dask',
      given: `of namespace ${dask.flowNamespace}`,
      allowed: `must be in the namespace of the flow runs, ${own.flowNamespace}`,
      remedy: `write flowNamespace: '${own.flowNamespace}' in the DaskWorkerPolicy`,
    });
  }
  if (props.automountServiceAccountToken === false) {
    refuse(where, {
      prop: 'automountServiceAccountToken',
      value: false,
      allowed: 'must not be false with a policy for Dask: the flow run creates its Dask pods with the token',
      remedy: 'leave it out',
    });
  }
  for (const [i, requirement] of (props.extraPipPackages ?? []).entries()) {
    const [, pinned] = /^dask[-_.]kubernetes==(.*)$/i.exec(requirement) ?? [];
    if (pinned !== undefined) checkDaskKubernetes(where, `extraPipPackages[${i}]`, pinned);
  }
  const { deployMode, worker, scheduler, threads, deathTimeout, clientTimeout } = dask._settings;
  const labels = Chart.of(where).labels;
  // With EvictionPolicy.PROTECT, the PodDisruptionBudget covers the workers. The scheduler has its own, because evictions fail for a pod
  // with two.
  const stamps = Object.fromEntries(Object.entries(own.labels).filter(([key]) => key.startsWith('cdk8s-prefect/')));
  const memory = worker.resources?.memoryLimit && kibibytesOf(worker.resources.memoryLimit);
  const files: Record<string, string> = {
    [CLIENT_PRELOAD]: PROGRAMS[CLIENT_PRELOAD],
    [WORKER_PRELOAD]: PROGRAMS[WORKER_PRELOAD],
    'worker.yaml': renderDaskPod(where, 'worker', props, worker, {
      object,
      own: { ...own, labels: { ...labels, ...stamps } },
      args: [
        'dask-worker',
        '$(DASK_SCHEDULER_ADDRESS)',
        `--nthreads=${threads}`,
        `--death-timeout=${deathTimeout}`,
        ...(memory === undefined ? [] : [`--memory-limit=${memory * 1024}`]),
      ],
      env: { DASK_DISTRIBUTED__WORKER__PRELOAD: EnvValue.of(`['${DASK_FOLDER}/${WORKER_PRELOAD}']`) },
    }),
  };
  if (deployMode === DaskDeployMode.REMOTE) {
    files[SCHEDULER_PRELOAD] = PROGRAMS[SCHEDULER_PRELOAD];
    files['scheduler.yaml'] = renderDaskPod(where, 'scheduler', props, scheduler, {
      object,
      own: { ...own, labels },
      args: ['dask-scheduler'],
      env: {
        DASK_DISTRIBUTED__SCHEDULER__PRELOAD: EnvValue.of(`['${DASK_FOLDER}/${SCHEDULER_PRELOAD}']`),
        CLIENT_TIMEOUT: EnvValue.of(String(clientTimeout)),
        FIRST_CLIENT_TIMEOUT: EnvValue.of(String(Math.max(clientTimeout, FIRST_CLIENT_TIMEOUT))),
      },
    });
  }
  checkConfigMapSize(where, 'the Dask templates', Object.values(files).join(''));
  return files;
}

interface DaskPod {
  /** The ConfigMap with its template. */
  readonly object: () => ApiObject;
  readonly own: FlowJobOwn;
  readonly args: string[];
  readonly env: Record<string, EnvValue>;
}

/** The template of a Dask pod: the pod of the flow run with the changes of the policy. Dask expands `${NAME}` in it. */
function renderDaskPod(scope: Construct, component: string, props: FlowJobProps, options: DaskPodOptions, pod: DaskPod): string {
  const where = `${scope.node.path} (its Dask ${component})`;
  refuseOwn(where, 'podLabels', options.podLabels ?? {}, LABELS_OF_DASK);
  for (const given of [props.env, options.env]) refuseOwn(where, 'env', keysOf(given), keysOf(pod.env));
  const job = renderFlowJob(
    where,
    {
      ...props,
      dask: undefined,
      sidecars: undefined,
      image: undefined,
      activeDeadline: undefined,
      // No agent reads these fields.
      terminationMessageFromLog: false,
      serviceAccountName: props.serviceAccountName ?? daskNameOf(pod.own),
      automountServiceAccountToken: false,
      ...options,
      resources: options.resources,
      env: { ...props.env, ...options.env, ...pod.env },
      volumes: { ...props.volumes, dask: Volume.fromConfigMap(daskNameOf(pod.own), { mountPath: DASK_FOLDER }) },
    },
    pod.own,
  );
  return resolvedText(scope, pod.object, job.spec.template, (template) => writeDaskPod(template, pod.args));
}

function writeDaskPod(template: FlowPod, args: string[]): string {
  const { metadata, spec } = escapeVariables(template);
  const [container, ...others] = spec.containers;
  return stringifyYaml({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...metadata,
      labels: {
        ...metadata.labels,
        'cdk8s-prefect/flow-run-id': variable('PREFECT__CONTEXT__FLOW_RUN_ID'),
        'cdk8s-prefect/flow-pod': variable('POD_NAME'),
      },
      ownerReferences: [flowPodAsOwner(variable('POD_NAME'), variable('POD_UID'))],
    },
    spec: {
      ...spec,
      containers: [
        {
          // The name stays the same, because AppArmor annotations contain it.
          ...container,
          image: variable('PREFECT__CONTEXT__IMAGE'),
          args,
          // Prefect does not pass it to the workers (PrefectHQ/prefect#3231).
          env: [...(container?.env ?? []), { name: LOG_LEVEL, value: variable(LOG_LEVEL) }],
        },
        ...others,
      ],
    },
  });
}

/**
 * Dask expands every `$NAME` once, with Python's os.path.expandvars, which has no escape. So a `$` is written as a variable whose value
 * is `$`.
 */
function escapeVariables(template: FlowPod): FlowPod {
  const escaped = (_: string, item: unknown) => (typeof item === 'string' ? item.replace(/\$(?=\w|\{)/g, variable('DOLLAR')) : item);
  return JSON.parse(JSON.stringify(template), escaped);
}

function variable(name: string): string {
  return `\${${name}}`;
}

function keysOf(values: Record<string, unknown> | undefined): Record<string, string> {
  return Object.fromEntries(Object.keys(values ?? {}).map((key) => [key, '']));
}
