import { Duration } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import { DASK_FOLDER, renderDaskEnv } from '../dask/_dask-env';
import { checkWholeSeconds, showDuration } from '../kubernetes/_checks';
import type { Plain } from '../kubernetes/_manifest';
import { refuse, type Where } from '../kubernetes/_refuse';
import { checkPrefectImage } from '../prefect-api/_checks';
import { checkFlowEnvName } from '../prefect-api/_flow-env';
import { type FlowJob, isRestricted, renderJob } from './_job';
import { renderPipEnv } from './_pip';
import type { FlowJobProps } from './flow-job-props';

/** Labels that the agent overwrites. */
const LABELS_OF_PREFECT = {
  'prefect.io/identifier': '',
  'prefect.io/flow_id': '',
  'prefect.io/flow_run_id': '',
};

/** Settings of a construct for its flow runs, in addition to the props of the user. */
export interface FlowJobOwn {
  /** Labels of Job and pod. */
  readonly labels: Record<string, string>;
  /** Annotations of the pod. */
  readonly podAnnotations?: Record<string, string>;
  /** Namespace of the flow runs. */
  readonly flowNamespace: string;
  /** Name of the main object. The names of the others begin with it. */
  readonly resourceName: string;
}

/** Name of the ConfigMap and the service account of a Dask policy. */
export function daskNameOf({ resourceName }: FlowJobOwn): string {
  return `${resourceName}-dask`;
}

/** The Job of a Prefect 1 flow run, without the fields that the agent sets. */
export function renderFlowJob(where: Where, props: FlowJobProps, own: FlowJobOwn): FlowJob {
  return renderJob(where, props, {
    container: 'flow',
    containersRemedy: 'the agent decides on the first one, and one after it would keep the pod running: use the prop sidecars',
    image: props.image === undefined ? undefined : checkPrefectImage(where, 'image', props.image),
    env: renderOwnEnv(where, props),
    volumes: props.dask
      ? { dask: { source: { configMap: { name: daskNameOf(own) } }, mounts: [{ mountPath: DASK_FOLDER, readOnly: true }] } }
      : {},
    labels: { ...own.labels, ...props.dask?._stamp() },
    prefectLabels: LABELS_OF_PREFECT,
    podAnnotations: own.podAnnotations ?? {},
    serviceAccountName: props.serviceAccountName ?? (props.dask && daskNameOf(own)),
    ttlSecondsAfterFinished: ttlOf(where, props),
    activeDeadline: props.activeDeadline,
    terminationMessagePolicy: (props.terminationMessageFromLog ?? true) ? 'FallbackToLogsOnError' : undefined,
  });
}

function renderOwnEnv(where: Where, props: FlowJobProps): Plain<k8s.EnvVar>[] {
  for (const name of Object.keys(props.env ?? {})) {
    checkFlowEnvName(where, 'env', name);
    const remedies = { EXTRA_PIP_PACKAGES: 'use the prop extraPipPackages', PIP_INDEX_URL: 'use the prop pipIndexUrl' };
    const remedy = new Map(Object.entries(remedies)).get(name);
    if (remedy) refuse(where, { prop: `env.${name}`, allowed: 'must not be set in env', remedy });
  }
  return [
    // A uid without a user name needs one here: getpass and dask-kubernetes ask for it.
    ...(isRestricted(props) || props.dask ? [{ name: 'USER', value: 'prefect' }] : []),
    ...(props.dask ? renderDaskEnv(props.dask._settings) : []),
    ...renderPipEnv(where, props.extraPipPackages ?? [], props.pipIndexUrl),
  ];
}

function ttlOf(where: Where, props: FlowJobProps): number {
  const ttl = props.ttlAfterFinished ?? Duration.minutes(10);
  if (ttl.toSeconds({ integral: false }) < 120) {
    refuse(where, {
      prop: 'ttlAfterFinished',
      given: showDuration(ttl),
      allowed: 'must be at least 120 seconds: the agent looks for failed Jobs once a minute, and would miss a deleted one',
      remedy: 'write for example Duration.minutes(10)',
    });
  }
  return checkWholeSeconds(where, 'ttlAfterFinished', ttl);
}
