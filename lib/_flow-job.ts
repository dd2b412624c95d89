import { Duration } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import {
  checkAnnotations,
  checkDnsLabel,
  checkDnsSubdomain,
  checkImage,
  checkLabels,
  checkMaxSeconds,
  checkMountPath,
  checkWholeSeconds,
} from './_checks';
import { DASK_FOLDER, renderDaskEnv } from './_dask-env';
import { checkFlowEnvName } from './_flow-env';
import { RESTRICTED_POD, UNPRIVILEGED_CONTAINER } from './_hardened-pod';
import { renderPipEnv } from './_pip';
import {
  type MountedVolume,
  refuseOwn,
  renderEnv,
  renderPodMetadata,
  renderPodOptions,
  renderResources,
  renderVolumes,
  verbatimPodFields,
} from './_pod';
import { refuse, type Where } from './_refuse';
import { type FlowJobProps, PodSecurity } from './flow-job-props';
import type { InitContainer } from './init-container';

/** Where a flow without privileges has its home: it writes to it, and pip installs there. */
const HOME = '/home/prefect';

/** Labels that the agent sets, over any other. */
const LABELS_OF_PREFECT = {
  'prefect.io/identifier': '',
  'prefect.io/flow_id': '',
  'prefect.io/flow_run_id': '',
};

/** Labels by which a Job knows its pods. Kubernetes refuses a Job that sets them itself. */
const LABELS_OF_KUBERNETES = {
  'controller-uid': '',
  'job-name': '',
  'batch.kubernetes.io/controller-uid': '',
  'batch.kubernetes.io/job-name': '',
};

/** Fields of a flow pod's spec that have a prop, beside those of every pod. */
const OWNED_FIELDS = {
  activeDeadlineSeconds: 'use the prop activeDeadline',
  containers: 'the agent decides on the first one, and one after it would keep the pod running: use the prop sidecars',
  initContainers: 'use the props initContainers and sidecars',
  securityContext: 'use the prop podSecurity',
  terminationGracePeriodSeconds: 'use the prop terminationGracePeriod',
};

/** A Job manifest, as far as the library reads it. */
export interface FlowJob {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly labels?: Record<string, string> };
  readonly spec: { readonly template: FlowPod };
}

/** The pod of a Job manifest. */
export interface FlowPod {
  readonly metadata: { readonly labels?: Record<string, string>; readonly annotations?: Record<string, string> };
  readonly spec: { readonly containers: { readonly env?: { readonly name: string }[] }[] };
}

/** What a construct brings to its flow runs, beside what its user says. */
export interface FlowJobOwn {
  /** Labels of Job and pod. */
  readonly labels: Record<string, string>;
  /** Annotations of the pod. */
  readonly podAnnotations?: Record<string, string>;
  /** Namespace of the flow runs. */
  readonly flowNamespace: string;
  /** Name of what is made, and beginning of the other names. */
  readonly resourceName: string;
}

/** Name of the ConfigMap and the account that a policy for Dask brings. */
export function daskNameOf({ resourceName }: FlowJobOwn): string {
  return `${resourceName}-dask`;
}

/** The Job of a flow run, but for what the agent decides. */
export function renderFlowJob(where: Where, props: FlowJobProps, own: FlowJobOwn): FlowJob {
  const labels = { ...own.labels, ...props.dask?._stamp() };
  const serviceAccountName = props.serviceAccountName ?? (props.dask && daskNameOf(own));
  const ttl = props.ttlAfterFinished ?? Duration.minutes(10);
  checkDurations(where, props, ttl);
  checkLabels(where, 'jobLabels', props.jobLabels ?? {});
  refuseOwn(where, 'jobLabels', props.jobLabels ?? {}, { ...labels, ...LABELS_OF_PREFECT });
  refuseOwn(where, 'podLabels', props.podLabels ?? {}, { ...LABELS_OF_KUBERNETES, ...LABELS_OF_PREFECT });
  // Kubernetes 1.27 adds one of its own, and counts it.
  checkAnnotations(where, 'jobAnnotations', { ...props.jobAnnotations, 'batch.kubernetes.io/job-tracking': '' });
  const restricted = (props.podSecurity ?? PodSecurity.RESTRICTED) === PodSecurity.RESTRICTED;
  const inits = [...(props.initContainers ?? []), ...(props.sidecars ?? [])];
  const ownVolumes: Record<string, MountedVolume> = {
    ...(restricted && { home: { source: { emptyDir: {} }, mounts: [{ mountPath: HOME }] } }),
    ...(props.dask && {
      dask: { source: { configMap: { name: daskNameOf(own) } }, mounts: [{ mountPath: DASK_FOLDER, readOnly: true }] },
    }),
  };
  const { volumes, volumeMounts } = renderVolumes(where, ownVolumes, props.volumes ?? {});

  const job = k8s.KubeJob.manifest({
    metadata: { labels: { ...props.jobLabels, ...labels }, annotations: props.jobAnnotations },
    spec: {
      // The agent deletes the Job at its first failed pod; a second one would run the same flow run again beside it.
      backoffLimit: 0,
      ttlSecondsAfterFinished: ttl.toSeconds(),
      activeDeadlineSeconds: props.activeDeadline?.toSeconds(),
      template: {
        metadata: renderPodMetadata(where, props, labels, own.podAnnotations ?? {}, ['flow', ...inits.map(({ name }) => name)]),
        spec: {
          ...renderPodOptions(where, props),
          restartPolicy: 'Never',
          serviceAccountName:
            serviceAccountName === undefined ? undefined : checkDnsSubdomain(where, 'serviceAccountName', serviceAccountName),
          automountServiceAccountToken: props.automountServiceAccountToken ?? serviceAccountName !== undefined,
          securityContext: restricted ? RESTRICTED_POD : undefined,
          terminationGracePeriodSeconds: props.terminationGracePeriod?.toSeconds(),
          containers: [
            {
              name: 'flow',
              image: props.image === undefined ? undefined : checkImage(where, 'image', props.image),
              imagePullPolicy: props.imagePullPolicy,
              env: renderFlowEnv(where, props, restricted),
              resources: renderResources(where, props.resources ?? {}),
              securityContext: restricted ? UNPRIVILEGED_CONTAINER : undefined,
              volumeMounts: volumeMounts.length > 0 ? volumeMounts : undefined,
            },
          ],
          initContainers: renderInitContainers(where, props, restricted, new Set(volumes.map(({ name }) => name))),
          volumes: volumes.length > 0 ? volumes : undefined,
        },
      },
    },
  });
  const { spec } = job.spec.template;
  // A sidecar is an init container that is restarted always: a field that the L1 classes of Kubernetes 1.27 lack.
  const sidecars = new Set((props.sidecars ?? []).map(({ name }) => name));
  for (const container of spec.initContainers ?? []) if (sidecars.has(container.name)) container.restartPolicy = 'Always';
  Object.assign(spec, verbatimPodFields(where, props, OWNED_FIELDS));
  // JSON leaves out what is undefined.
  return JSON.parse(JSON.stringify(job));
}

function renderFlowEnv(where: Where, props: FlowJobProps, restricted: boolean): k8s.EnvVar[] | undefined {
  for (const name of Object.keys(props.env ?? {})) {
    checkFlowEnvName(where, 'env', name);
    const remedies = { EXTRA_PIP_PACKAGES: 'use the prop extraPipPackages', PIP_INDEX_URL: 'use the prop pipIndexUrl' };
    const remedy = new Map(Object.entries(remedies)).get(name);
    if (remedy) refuse(where, { prop: `env.${name}`, allowed: 'must not be set in env', remedy });
  }
  const own = [
    ...(restricted ? [{ name: 'HOME', value: HOME }] : []),
    // A uid may be without a name: getpass and dask-kubernetes ask for one.
    ...(restricted || props.dask ? [{ name: 'USER', value: 'prefect' }] : []),
    ...(props.dask ? renderDaskEnv(props.dask._settings) : []),
    ...renderPipEnv(where, props.extraPipPackages ?? [], props.pipIndexUrl),
  ];
  const env = [...own, ...renderEnv(where, props.env ?? {}, own)];
  return env.length > 0 ? env : undefined;
}

function renderInitContainers(where: Where, props: FlowJobProps, restricted: boolean, volumes: Set<string>): k8s.Container[] | undefined {
  const names = new Set(['flow']);
  const render = (prop: string, container: InitContainer): k8s.Container => {
    checkDnsLabel(where, `${prop}.name`, container.name);
    if (names.has(container.name)) {
      refuse(where, {
        prop: `${prop}.name`,
        value: container.name,
        allowed: `must not be one of ${[...names].join(', ')}`,
        remedy: 'rename it',
      });
    }
    names.add(container.name);
    const mountPaths = Object.values(container.volumeMounts ?? {});
    for (const [i, mountPath] of mountPaths.entries()) {
      checkMountPath(where, `${prop}.volumeMounts`, mountPath);
      if (mountPaths.indexOf(mountPath) !== i) {
        refuse(where, {
          prop: `${prop}.volumeMounts`,
          value: mountPath,
          allowed: 'must not be given twice',
          remedy: 'mount one elsewhere',
        });
      }
    }
    for (const volume of Object.keys(container.volumeMounts ?? {})) {
      if (!volumes.has(volume)) {
        refuse(where, {
          prop: `${prop}.volumeMounts`,
          value: volume,
          allowed: `must name volumes of the template: ${[...volumes].join(', ') || 'it has none'}`,
          remedy: 'add it to the prop volumes',
        });
      }
    }
    return {
      name: container.name,
      image: checkImage(where, `${prop}.image`, container.image),
      command: container.command,
      args: container.args,
      env: container.env && renderEnv(where, container.env, []),
      resources: container.resources && renderResources(where, container.resources),
      securityContext: restricted ? UNPRIVILEGED_CONTAINER : undefined,
      volumeMounts: container.volumeMounts && Object.entries(container.volumeMounts).map(([name, mountPath]) => ({ name, mountPath })),
    };
  };
  const containers = [
    ...(props.initContainers ?? []).map((container, i) => render(`initContainers[${i}]`, container)),
    ...(props.sidecars ?? []).map((container, i) => render(`sidecars[${i}]`, container)),
  ];
  return containers.length > 0 ? containers : undefined;
}

function checkDurations(where: Where, props: FlowJobProps, ttl: Duration): void {
  if (ttl.toSeconds() < 120) {
    refuse(where, {
      prop: 'ttlAfterFinished',
      value: `${ttl.toSeconds()} s`,
      allowed: 'must be at least 120 seconds: the agent looks for failed Jobs once a minute, and would miss one that is gone',
      remedy: 'choose a longer time; the agent deletes finished Jobs long before',
    });
  }
  checkMaxSeconds(where, 'ttlAfterFinished', ttl.toSeconds());
  for (const prop of ['activeDeadline', 'terminationGracePeriod'] as const) {
    if (props[prop] !== undefined) checkWholeSeconds(where, prop, props[prop]);
  }
}
