import type { k8s } from 'cdk8s-plus-27';
import type { Construct } from 'constructs';
import { type PodFiles, type PodTemplate, renderHardenedPod, UNPRIVILEGED_CONTAINER } from '../kubernetes/_hardened-pod';
import type { Plain } from '../kubernetes/_manifest';
import { verbatimPodFields } from '../kubernetes/_pod';
import type { ImagePullPolicy } from '../kubernetes/container-options';
import type { EnvValue } from '../kubernetes/env-value';
import type { PodOptions } from '../kubernetes/pod-options';
import type { ContainerResources } from '../kubernetes/resources';
import { CA_FOLDER } from './base-job-template';
import type { Prefect3Api } from './prefect3-api';

export const PROGRAM_FOLDER = '/etc/prefect/launcher';

/** The settings of a pod of the worker or the observer. */
export interface WorkerPodOptions extends PodOptions {
  readonly imagePullPolicy?: ImagePullPolicy;
  readonly env?: { [name: string]: EnvValue };
}

/** A container that must succeed before the main one starts. */
interface Step {
  readonly name: string;
  readonly args: string[];
  /** Volumes of the pod that this container does not mount. */
  readonly without: string[];
}

interface WorkerPod {
  readonly name: string;
  readonly api: Prefect3Api;
  readonly image: string;
  readonly serviceAccountName: string;
  readonly labels: Record<string, string>;
  /** The ConfigMap of the programs, and the one that runs. */
  readonly launcherName: string;
  readonly program: string;
  readonly args: string[];
  readonly env: Plain<k8s.EnvVar>[];
  readonly files: PodFiles;
  readonly resources: ContainerResources;
  readonly startupProbe?: Plain<k8s.Probe>;
  readonly livenessProbe: Plain<k8s.Probe>;
  readonly readinessProbe: Plain<k8s.Probe>;
  readonly steps: Step[];
  readonly spec: Partial<Plain<k8s.PodSpec>>;
}

/** The credentials for Prefect's API: the Secret, and the option for the programs (credentials.py). */
export interface Credentials {
  readonly name: string;
  readonly key: string;
  readonly variable: string;
  readonly option: string;
}

export function credentialsOf({ apiKey, authString }: Prefect3Api): Credentials | undefined {
  const secret = apiKey ?? authString;
  const variable = apiKey ? 'PREFECT_API_KEY' : 'PREFECT_API_AUTH_STRING';
  return secret && { name: secret.name, key: secret.key, variable, option: `/etc/prefect/credentials/value=${variable}` };
}

/** A pod that runs a program of this folder with Prefect 3, with the settings of Prefect's API and with init containers. */
export function renderWorkerPod(where: Construct, options: WorkerPodOptions, pod: WorkerPod): PodTemplate {
  const { api } = pod;
  const credentials = credentialsOf(api);
  const { certificateAuthorities: ca } = api;
  const env: Plain<k8s.EnvVar>[] = [
    { name: 'PREFECT_API_URL', value: api.url },
    ...(ca ? [{ name: 'PREFECT_API_SSL_CERT_FILE', value: `${CA_FOLDER}/ca.crt` }] : []),
    // Without a URL, Prefect would start its own server. Jobs get this setting too.
    { name: 'PREFECT_SERVER_EPHEMERAL_ENABLED', value: 'false' },
    // A uid without a user name needs one here, because getpass asks for it.
    { name: 'USER', value: 'prefect' },
    ...pod.env,
  ];
  const files: PodFiles = {
    launcher: { mountPath: PROGRAM_FOLDER, source: { configMap: { name: pod.launcherName } } },
    ...pod.files,
    ...(credentials && {
      credentials: {
        mountPath: '/etc/prefect/credentials',
        source: { secret: { secretName: credentials.name, items: [{ key: credentials.key, path: 'value' }] } },
      },
    }),
    ...(ca && { 'api-ca': { mountPath: CA_FOLDER, source: { configMap: { name: ca.name, items: [{ key: ca.key, path: 'ca.crt' }] } } } }),
  };
  const { volumes: _, envFrom: _envFrom, certificateAuthorities: _ca, ...own } = options as WorkerPodOptions & Record<string, unknown>;
  const template = renderHardenedPod(
    where,
    { ...own, proxy: api.proxy },
    {
      name: pod.name,
      image: pod.image,
      serviceAccountName: pod.serviceAccountName,
      labels: pod.labels,
      annotations: {},
      args: ['python3', `${PROGRAM_FOLDER}/${pod.program}`, ...(credentials ? [`--credentials=${credentials.option}`] : []), ...pod.args],
      env,
      files,
      resources: pod.resources,
      livenessProbe: pod.livenessProbe,
      readinessProbe: pod.readinessProbe,
    },
  );
  const [container] = template.spec.containers;
  const { initContainers = [], ...verbatim } = verbatimPodFields(where, options);
  const steps = pod.steps.map(({ name, args, without }) => ({
    name,
    image: container?.image,
    imagePullPolicy: container?.imagePullPolicy,
    args,
    env: container?.env,
    resources: container?.resources,
    securityContext: { ...UNPRIVILEGED_CONTAINER, readOnlyRootFilesystem: true },
    volumeMounts: container?.volumeMounts?.filter((mount) => !without.includes(mount.name)),
  }));
  return {
    ...template,
    spec: {
      ...template.spec,
      ...pod.spec,
      ...verbatim,
      // The init containers of the user come first, because one may be a sidecar that connects to the API.
      initContainers: [...(initContainers as Plain<k8s.Container>[]), ...steps],
      containers: [{ ...container, name: pod.name, startupProbe: pod.startupProbe }],
    },
  };
}
