import { Chart } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import type { Construct } from 'constructs';
import { checkImage } from './_checks';
import { renderProxy } from './_network';
import { type MountedVolume, renderEnv, renderPodMetadata, renderPodOptions, renderResources, renderVolumes } from './_pod';
import { type ContainerOptions, ImagePullPolicy } from './container-options';
import type { PodOptions } from './pod-options';
import type { ContainerResources } from './resources';

/** Uid and gid of our containers: above 10000, so that they are nobody on the node. */
const USER = 10001;

/**
 * The pod's half of Pod Security "restricted".
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
 */
export const RESTRICTED_POD: k8s.PodSecurityContext = {
  runAsNonRoot: true,
  runAsUser: USER,
  runAsGroup: USER,
  fsGroup: USER,
  seccompProfile: { type: 'RuntimeDefault' },
};

/** The container's half of Pod Security "restricted". */
export const UNPRIVILEGED_CONTAINER: k8s.SecurityContext = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
};

/** The account's token as Kubernetes itself would mount it, but asked for in so many words. */
const SERVICE_ACCOUNT_TOKEN: Omit<k8s.Volume, 'name'> = {
  projected: {
    sources: [
      { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      { downwardApi: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
    ],
  },
};

/** Read-only volumes, by name. */
export type PodFiles = Record<string, { readonly mountPath: string; readonly source: Omit<k8s.Volume, 'name'> }>;

/** What a construct brings to its pod, beside what its user says. */
interface HardenedPod {
  /** Name of the one container. */
  readonly name: string;
  readonly serviceAccountName: string;
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
  readonly args: string[];
  readonly env: k8s.EnvVar[];
  readonly files: PodFiles;
  readonly resources: ContainerResources;
  readonly livenessProbe: k8s.Probe;
  readonly readinessProbe: k8s.Probe;
}

/** A pod of one container that runs a program of ours on Prefect's image and speaks to the Kubernetes API. */
export function renderHardenedPod(where: Construct, options: ContainerOptions & PodOptions, pod: HardenedPod): k8s.PodTemplateSpec {
  const { certificateAuthorities: ca, proxy } = options;
  const image = options.image ?? 'prefecthq/prefect:1.4.1-python3.9';
  checkImage(where, 'image', image);
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
  const { volumes, volumeMounts } = renderVolumes(where, own, options.volumes ?? {});
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
      securityContext: RESTRICTED_POD,
      containers: [
        {
          name: pod.name,
          image,
          imagePullPolicy: options.imagePullPolicy ?? ImagePullPolicy.ALWAYS,
          // Arguments only: the image's entrypoint is tini, which passes signals on, and entrypoint.sh.
          args: pod.args,
          env: [...ownEnv, ...renderEnv(where, options.env ?? {}, ownEnv)],
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

function readOnly(mountPath: string, source: Omit<k8s.Volume, 'name'>): MountedVolume {
  return { source, mounts: [{ mountPath, readOnly: true }] };
}
