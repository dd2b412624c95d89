import type { Duration } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import {
  checkAnnotations,
  checkDnsLabel,
  checkDnsSubdomain,
  checkImage,
  checkLabels,
  checkMountPath,
  checkWholeSeconds,
} from '../kubernetes/_checks';
import { restrictedPod, UNPRIVILEGED_CONTAINER } from '../kubernetes/_hardened-pod';
import { manifest, type Plain, sortFields } from '../kubernetes/_manifest';
import {
  type MountedVolume,
  refuseOwn,
  renderEnv,
  renderEnvFrom,
  renderPodMetadata,
  renderPodOptions,
  renderResources,
  renderVolumes,
  verbatimPodFields,
} from '../kubernetes/_pod';
import { refuse, type Where } from '../kubernetes/_refuse';
import type { InitContainer } from '../kubernetes/init-container';
import { type FlowJobOptions, PodSecurity } from './flow-job-options';

/** The home directory of a flow without privileges, which is writable. pip installs packages there. */
const HOME = '/home/prefect';

/** The labels by which a Job selects its pods. Kubernetes refuses a Job that sets them itself. */
const LABELS_OF_KUBERNETES = {
  'controller-uid': '',
  'job-name': '',
  'batch.kubernetes.io/controller-uid': '',
  'batch.kubernetes.io/job-name': '',
};

/** Fields of the pod spec with a prop, in addition to those in _pod.ts. */
const OWNED_FIELDS = {
  activeDeadlineSeconds: 'use the prop activeDeadline',
  initContainers: 'use the props initContainers and sidecars',
  securityContext: 'use the prop podSecurity',
  terminationGracePeriodSeconds: 'use the prop terminationGracePeriod',
};

/** The part of a Job manifest that the library reads. */
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

/** The settings of one Prefect generation for the Jobs of its flow runs, in addition to the props of the user. */
export interface JobOwn {
  /** Name of the flow container. */
  readonly container: string;
  /** The image of the flow container, after its checks. */
  readonly image?: string;
  /** Environment variables that come before those of the user. */
  readonly env: Plain<k8s.EnvVar>[];
  /** Volumes of the flow container, in addition to its home. */
  readonly volumes: Record<string, MountedVolume>;
  /** Labels of Job and pod. */
  readonly labels: Record<string, string>;
  /** Labels that Prefect overwrites. */
  readonly prefectLabels: Record<string, string>;
  /** Annotations of the pod. */
  readonly podAnnotations: Record<string, string>;
  readonly serviceAccountName?: string;
  readonly ttlSecondsAfterFinished: number;
  readonly activeDeadline?: Duration;
  /** The security context of every container of the pod. */
  readonly terminationMessagePolicy?: string;
  /** Fields of the Job's spec. */
  readonly spec?: { readonly completions: number; readonly parallelism: number };
  /** The remedy in the error for a verbatim `containers`. */
  readonly containersRemedy: string;
}

/** Whether flow runs meet Pod Security "restricted". */
export function isRestricted({ podSecurity }: FlowJobOptions): boolean {
  return (podSecurity ?? PodSecurity.RESTRICTED) === PodSecurity.RESTRICTED;
}

/** The Job of a flow run, without the fields that Prefect sets. */
export function renderJob(where: Where, props: FlowJobOptions, own: JobOwn): FlowJob {
  const { labels, serviceAccountName } = own;
  for (const [prop, duration] of Object.entries({
    activeDeadline: own.activeDeadline,
    terminationGracePeriod: props.terminationGracePeriod,
  })) {
    if (duration !== undefined) checkWholeSeconds(where, prop, duration);
  }
  checkLabels(where, 'jobLabels', props.jobLabels ?? {});
  refuseOwn(where, 'jobLabels', props.jobLabels ?? {}, { ...labels, ...own.prefectLabels });
  refuseOwn(where, 'podLabels', props.podLabels ?? {}, { ...LABELS_OF_KUBERNETES, ...own.prefectLabels });
  // Kubernetes 1.27 adds its own variable, and counts it.
  checkAnnotations(where, 'jobAnnotations', { ...props.jobAnnotations, 'batch.kubernetes.io/job-tracking': '' });
  const restricted = isRestricted(props);
  const inits = [...(props.initContainers ?? []), ...(props.sidecars ?? [])];
  const ownVolumes: Record<string, MountedVolume> = {
    ...(restricted && { home: { source: { emptyDir: {} }, mounts: [{ mountPath: HOME }] } }),
    ...own.volumes,
  };
  const { volumes, volumeMounts } = renderVolumes(where, ownVolumes, props.volumes ?? {}, restricted ? 'restricted' : 'baseline');
  const ownEnv = [...(restricted ? [{ name: 'HOME', value: HOME }] : []), ...own.env];
  const env = [...ownEnv, ...renderEnv(where, props.env ?? {}, ownEnv)];

  const job = sortFields(
    manifest('batch/v1', 'Job', {
      metadata: { labels: { ...props.jobLabels, ...labels }, annotations: props.jobAnnotations },
      spec: {
        // Prefect decides whether a flow run runs again. A second pod of the Job would run it twice.
        backoffLimit: 0,
        ...own.spec,
        ttlSecondsAfterFinished: own.ttlSecondsAfterFinished,
        activeDeadlineSeconds: own.activeDeadline?.toSeconds(),
        template: {
          metadata: renderPodMetadata(where, props, labels, own.podAnnotations, [own.container, ...inits.map(({ name }) => name)]),
          spec: {
            ...renderPodOptions(where, props),
            restartPolicy: 'Never',
            serviceAccountName:
              serviceAccountName === undefined ? undefined : checkDnsSubdomain(where, 'serviceAccountName', serviceAccountName),
            automountServiceAccountToken: props.automountServiceAccountToken ?? serviceAccountName !== undefined,
            securityContext: restricted ? restrictedPod(props) : undefined,
            terminationGracePeriodSeconds: props.terminationGracePeriod?.toSeconds(),
            containers: [
              {
                name: own.container,
                image: own.image,
                imagePullPolicy: props.imagePullPolicy,
                env: env.length > 0 ? env : undefined,
                envFrom: renderEnvFrom(props.envFrom),
                resources: renderResources(where, props.resources ?? {}),
                securityContext: restricted ? UNPRIVILEGED_CONTAINER : undefined,
                terminationMessagePolicy: own.terminationMessagePolicy,
                volumeMounts: volumeMounts.length > 0 ? volumeMounts : undefined,
              },
            ],
            initContainers: renderInitContainers(where, props, own, new Set(volumes.map(({ name }) => name))),
            volumes: volumes.length > 0 ? volumes : undefined,
          },
        },
      },
    }),
  );
  const { spec } = job.spec.template;
  // A native sidecar is an init container with restartPolicy Always, a field that the types of Kubernetes 1.27 lack.
  const sidecars = new Set((props.sidecars ?? []).map(({ name }) => name));
  for (const container of spec.initContainers ?? []) if (sidecars.has(container.name)) container.restartPolicy = 'Always';
  Object.assign(spec, verbatimPodFields(where, props, { ...OWNED_FIELDS, containers: own.containersRemedy }));
  // JSON omits undefined fields.
  return JSON.parse(JSON.stringify(job));
}

function renderInitContainers(where: Where, props: FlowJobOptions, own: JobOwn, volumes: Set<string>): Plain<k8s.Container>[] | undefined {
  const restricted = isRestricted(props);
  const names = new Set([own.container]);
  const render = (prop: string, container: InitContainer): Plain<k8s.Container> => {
    checkDnsLabel(where, `${prop}.name`, container.name);
    if (names.has(container.name)) {
      refuse(where, {
        prop: `${prop}.name`,
        value: container.name,
        allowed: `must not be one of ${[...names].join(', ')}`,
        remedy: `write for example ${container.name}-${names.size + 1}`,
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
          remedy: `write for example ${mountPath}-${i + 1}`,
        });
      }
    }
    for (const volume of Object.keys(container.volumeMounts ?? {})) {
      if (!volumes.has(volume)) {
        refuse(where, {
          prop: `${prop}.volumeMounts`,
          value: volume,
          allowed: `must name volumes of the template: ${[...volumes].join(', ') || 'it has none'}`,
          remedy: `add it: volumes: { ${volume}: Volume.emptyDir({ mountPath: '/${volume}' }) }`,
        });
      }
    }
    return {
      name: container.name,
      image: checkImage(where, `${prop}.image`, container.image),
      command: container.command,
      args: container.args,
      env: container.env && renderEnv(where, container.env, []),
      envFrom: renderEnvFrom(container.envFrom),
      resources: container.resources && renderResources(where, container.resources),
      securityContext: restricted ? UNPRIVILEGED_CONTAINER : undefined,
      startupProbe: checkStartupProbe(where, prop, container),
      terminationMessagePolicy: own.terminationMessagePolicy,
      volumeMounts: container.volumeMounts && Object.entries(container.volumeMounts).map(([name, mountPath]) => ({ name, mountPath })),
    };
  };
  const containers = [
    ...(props.initContainers ?? []).map((container, i) => render(`initContainers[${i}]`, container)),
    ...(props.sidecars ?? []).map((container, i) => render(`sidecars[${i}]`, container)),
  ];
  return containers.length > 0 ? containers : undefined;
}

/** Kubernetes refuses a probe of an init container, and a probe without an action. */
function checkStartupProbe(where: Where, prop: string, { startupProbe }: InitContainer): Plain<k8s.Probe> | undefined {
  if (startupProbe === undefined) return undefined;
  if (prop.startsWith('initContainers')) {
    refuse(where, {
      prop: `${prop}.startupProbe`,
      allowed: 'must not be set: an init container has no probes',
      remedy: 'make it one of the sidecars',
    });
  }
  const handlers = ['exec', 'grpc', 'httpGet', 'tcpSocket'];
  if (handlers.filter((handler) => Object.hasOwn(startupProbe, handler)).length !== 1) {
    refuse(where, {
      prop: `${prop}.startupProbe`,
      value: Object.keys(startupProbe),
      allowed: `must have exactly one of ${handlers.join(', ')}`,
      remedy: 'write for example { tcpSocket: { port: 5432 }, periodSeconds: 1 }',
    });
  }
  return startupProbe;
}
