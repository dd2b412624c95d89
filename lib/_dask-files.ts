import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ApiObject, Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { checkConfigMapSize } from './_checks';
import { DASK_FOLDER, flowPodAsOwner } from './_dask-env';
import { checkDaskKubernetes } from './_dask-settings';
import { daskNameOf, type FlowJobOwn, type FlowPod, renderFlowJob } from './_flow-job';
import { addObject, recommendedLabels } from './_object';
import { refuseOwn } from './_pod';
import { refuse } from './_refuse';
import { stringifyYaml } from './_yaml';
import { DaskDeployMode, type DaskPodOptions } from './dask-options';
import type { DaskWorkerPolicy } from './dask-worker-policy';
import { EnvValue } from './env-value';
import type { FlowJobProps } from './flow-job-props';
import { Volume } from './volume';

const CLIENT_PRELOAD = 'prefect_dask_client.py';
const SCHEDULER_PRELOAD = 'prefect_dask_scheduler.py';
const WORKER_PRELOAD = 'prefect_dask_worker.py';

const LOG_LEVEL = 'PREFECT__LOGGING__LEVEL';

/** How long a scheduler waits for its flow run at first, in seconds: `KubeCluster` creates every worker before the client connects. */
const FIRST_CLIENT_TIMEOUT = 300;

/** Labels that dask-kubernetes sets, over any other. */
const LABELS_OF_DASK = { 'dask.org/cluster-name': '', 'dask.org/component': '', user: '', app: '' };

/** What flow runs with a policy need beside their Job: files, and an account that may do what the policy allows. */
export class FlowDask extends Construct {
  /** The account, child `ServiceAccount`, unless the flow runs have one of their own. */
  public readonly serviceAccount?: ApiObject;

  public constructor(scope: Construct, dask: DaskWorkerPolicy, props: FlowJobProps, own: FlowJobOwn) {
    super(scope, 'Dask');
    const data = renderFiles(scope, dask, props, own);
    const name = daskNameOf(own);
    const metadata = { name, namespace: own.flowNamespace, labels: recommendedLabels('prefect-dask', own.resourceName) };
    addObject(this, 'Files', k8s.KubeConfigMap.manifest({ metadata, data }));
    if (props.serviceAccountName === undefined) {
      this.serviceAccount = addObject(
        this,
        'ServiceAccount',
        k8s.KubeServiceAccount.manifest({ metadata, automountServiceAccountToken: false }),
      );
    }
    addObject(
      this,
      'RoleBinding',
      k8s.KubeRoleBinding.manifest({
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: dask.resourceName },
        subjects: [{ kind: 'ServiceAccount', name: props.serviceAccountName ?? name, namespace: own.flowNamespace }],
      }),
    );
  }
}

/** What the Dask pods of flow runs are like, and what Dask loads into the flow run and the scheduler. */
function renderFiles(where: Construct, dask: DaskWorkerPolicy, props: FlowJobProps, own: FlowJobOwn): Record<string, string> {
  if (dask.flowNamespace !== own.flowNamespace) {
    refuse(where, {
      prop: 'dask',
      value: `of namespace ${dask.flowNamespace}`,
      allowed: `must be of the namespace of the flow runs, ${own.flowNamespace}`,
      remedy: 'give the policy the same flowNamespace',
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
  // With EvictionPolicy.PROTECT its PodDisruptionBudget covers the workers. The scheduler has one of its own, and more than one is an error.
  const stamps = Object.fromEntries(Object.entries(own.labels).filter(([key]) => key.startsWith('cdk8s-prefect/')));
  const memory = worker.resources?.memoryLimit?.toKibibytes();
  const files: Record<string, string> = {
    [CLIENT_PRELOAD]: program(CLIENT_PRELOAD),
    [WORKER_PRELOAD]: program(WORKER_PRELOAD),
    'worker.yaml': renderDaskPod(where, 'worker', props, worker, {
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
    files[SCHEDULER_PRELOAD] = program(SCHEDULER_PRELOAD);
    files['scheduler.yaml'] = renderDaskPod(where, 'scheduler', props, scheduler, {
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
  readonly own: FlowJobOwn;
  readonly args: string[];
  readonly env: Record<string, EnvValue>;
}

/** The template of a Dask pod: the flow run's pod, with what the policy says otherwise. In it Dask expands `${NAME}`. */
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
      serviceAccountName: props.serviceAccountName ?? daskNameOf(pod.own),
      automountServiceAccountToken: false,
      ...options,
      resources: options.resources,
      env: { ...props.env, ...options.env, ...pod.env },
      volumes: { ...props.volumes, dask: Volume.fromConfigMap(daskNameOf(pod.own), { mountPath: DASK_FOLDER }) },
    },
    pod.own,
  );
  const { metadata, spec } = escapeVariables(job.spec.template);
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
          // It keeps its name: annotations for AppArmor name it.
          ...container,
          image: variable('PREFECT__CONTEXT__IMAGE'),
          args: pod.args,
          // Prefect does not bring it to the workers (PrefectHQ/prefect#3231).
          env: [...(container?.env ?? []), { name: LOG_LEVEL, value: variable(LOG_LEVEL) }],
        },
        ...others,
      ],
    },
  });
}

/**
 * Dask expands `$NAME` wherever it stands, once, and knows no escape: os.path.expandvars of Python. What stands for a variable that is
 * a `$` is one.
 */
function escapeVariables(template: FlowPod): FlowPod {
  const escaped = (_: string, item: unknown) => (typeof item === 'string' ? item.replace(/\$(?=\w|\{)/g, variable('DOLLAR')) : item);
  return JSON.parse(JSON.stringify(template), escaped);
}

function variable(name: string): string {
  return `\${${name}}`;
}

function program(name: string): string {
  return readFileSync(join(__dirname, 'python', name), 'utf8');
}

function keysOf(values: Record<string, unknown> | undefined): Record<string, string> {
  return Object.fromEntries(Object.keys(values ?? {}).map((key) => [key, '']));
}
