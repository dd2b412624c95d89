import { Chart } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import type { Construct } from 'constructs';
import type { Plain } from './_manifest';
import { renderProxy } from './_network';
import { type MountedVolume, renderEnv, renderEnvFrom, renderPodMetadata, renderPodOptions, renderResources, renderVolumes } from './_pod';
import { type ContainerOptions, ImagePullPolicy } from './container-options';
import type { PodOptions } from './pod-options';
import type { ContainerResources } from './resources';

/** Uid and gid of the containers: above 10000, so that no user of the node has them. */
const USER = 10001;

/**
 * The fields of the pod that Pod Security "restricted" asks for.
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
 */
const RESTRICTED_POD: Plain<k8s.PodSecurityContext> = {
  runAsNonRoot: true,
  runAsUser: USER,
  runAsGroup: USER,
  fsGroup: USER,
  seccompProfile: { type: 'RuntimeDefault' },
};

/** The same, as the user that the options say. */
export function restrictedPod({ omitRunAsUser }: PodOptions): Plain<k8s.PodSecurityContext> {
  const { runAsUser, runAsGroup, fsGroup, ...others } = RESTRICTED_POD;
  return omitRunAsUser ? others : RESTRICTED_POD;
}

/** The fields of the container that Pod Security "restricted" asks for. */
export const UNPRIVILEGED_CONTAINER: Plain<k8s.SecurityContext> = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
};

/** The token of the service account, mounted as Kubernetes does by default, but explicitly. */
const SERVICE_ACCOUNT_TOKEN: Omit<Plain<k8s.Volume>, 'name'> = {
  projected: {
    sources: [
      { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
    ],
  },
};

/** Read-only volumes, by name. */
export type PodFiles = Record<string, { readonly mountPath: string; readonly source: Omit<Plain<k8s.Volume>, 'name'> }>;

/** What a construct adds to its pod, in addition to the options of the user. */
interface HardenedPod {
  /** Name of the container. */
  readonly name: string;
  readonly image: string;
  readonly serviceAccountName: string;
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
  readonly args: string[];
  readonly env: Plain<k8s.EnvVar>[];
  readonly files: PodFiles;
  readonly resources: ContainerResources;
  readonly livenessProbe: Plain<k8s.Probe>;
  readonly readinessProbe: Plain<k8s.Probe>;
}

/** A complete pod template. */
export type PodTemplate = Plain<k8s.PodTemplateSpec> & { readonly spec: Plain<k8s.PodSpec> };

/** A pod with one container that runs a program of this library on Prefect's image and uses the Kubernetes API. */
export function renderHardenedPod(where: Construct, options: ContainerOptions & PodOptions, pod: HardenedPod): PodTemplate {
  const { certificateAuthorities: ca, proxy } = options;
  const own: Record<string, MountedVolume> = {
    scratch: {
      source: { emptyDir: {} },
      mounts: [
        { mountPath: '/home/prefect', subPath: 'home' },
        { mountPath: '/tmp', subPath: 'tmp' },
      ],
    },
    token: readOnly('/var/run/secrets/kubernetes.io/serviceaccount', SERVICE_ACCOUNT_TOKEN),
    ...Object.fromEntries(Object.entries(pod.files).map(([name, { mountPath, source }]) => [name, readOnly(mountPath, source)])),
    ...(ca && { ca: readOnly('/etc/prefect/ca', { configMap: { name: ca.name, items: [{ key: ca.key, path: 'ca.crt' }] } }) }),
  };
  const { volumes, volumeMounts } = renderVolumes(where, own, options.volumes ?? {}, 'restricted');
  const initNames = ((options.podSpec?.initContainers ?? []) as { name: string }[]).map(({ name }) => name);
  const ownEnv = [
    ...pod.env,
    { name: 'HOME', value: '/home/prefect' },
    ...(ca ? [{ name: 'REQUESTS_CA_BUNDLE', value: '/etc/prefect/ca/ca.crt' }] : []),
    ...(proxy ? renderProxy(where, proxy) : []),
  ];
  return {
    metadata: renderPodMetadata(where, options, { ...Chart.of(where).labels, ...pod.labels }, pod.annotations, [pod.name, ...initNames]),
    spec: {
      ...renderPodOptions(where, options),
      serviceAccountName: pod.serviceAccountName,
      automountServiceAccountToken: false,
      securityContext: restrictedPod(options),
      containers: [
        {
          name: pod.name,
          image: pod.image,
          imagePullPolicy: options.imagePullPolicy ?? ImagePullPolicy.ALWAYS,
          // Only arguments are set. The entrypoint of the image is tini, which passes signals on, and entrypoint.sh.
          args: pod.args,
          env: [...ownEnv, ...renderEnv(where, options.env ?? {}, ownEnv)],
          envFrom: renderEnvFrom(options.envFrom),
          resources: renderResources(where, pod.resources),
          securityContext: { ...UNPRIVILEGED_CONTAINER, readOnlyRootFilesystem: true },
          livenessProbe: pod.livenessProbe,
          readinessProbe: pod.readinessProbe,
          volumeMounts,
        },
      ],
      volumes,
    },
  };
}

function readOnly(mountPath: string, source: Omit<Plain<k8s.Volume>, 'name'>): MountedVolume {
  return { source, mounts: [{ mountPath, readOnly: true }] };
}
