import type { Duration } from 'cdk8s';

/** What a taint does to pods that do not tolerate it. */
export enum TaintEffect {
  /** The pod is not scheduled there. */
  NO_SCHEDULE = 'NoSchedule',
  /** The scheduler avoids the node. */
  PREFER_NO_SCHEDULE = 'PreferNoSchedule',
  /** The pod is not scheduled there, and evicted if it runs there. */
  NO_EXECUTE = 'NoExecute',
}

/**
 * A taint that the pod tolerates.
 *
 * @see https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
 */
export interface Toleration {
  /**
   * Key of the taint.
   *
   * @default - every taint
   */
  readonly key?: string;
  /**
   * Value of the taint. Needs `key`.
   *
   * @default - every value
   */
  readonly value?: string;
  /**
   * Effect of the taint.
   *
   * @default - every effect
   */
  readonly effect?: TaintEffect;
  /**
   * How long the pod stays on a node that gets the taint, at least 1 second, in whole seconds. Needs `effect: TaintEffect.NO_EXECUTE`.
   *
   * @default - for ever
   */
  readonly tolerationSeconds?: Duration;
}

/** Options of every pod: scheduling, labels and annotations, and other fields of the pod's spec. */
export interface PodOptions {
  /**
   * Labels of the pods, in addition to those of the construct and the chart.
   *
   * @default - none
   */
  readonly podLabels?: { [key: string]: string };
  /**
   * Annotations of the pods.
   *
   * @default - none
   */
  readonly podAnnotations?: { [key: string]: string };
  /**
   * Labels that a node must have.
   *
   * @default - any node
   * @see https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#nodeselector
   */
  readonly nodeSelector?: { [key: string]: string };
  /**
   * Taints that the pods tolerate.
   *
   * @default - none
   */
  readonly tolerations?: Toleration[];
  /**
   * The pod's `affinity`, as in a Kubernetes manifest.
   *
   * @default - none
   * @see https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#affinity-and-anti-affinity
   */
  readonly affinity?: { [key: string]: unknown };
  /**
   * Name of a PriorityClass.
   *
   * @default - the cluster's default priority
   */
  readonly priorityClassName?: string;
  /**
   * Names of image pull Secrets, in the namespace of the pods.
   *
   * @default - none
   */
  readonly imagePullSecrets?: string[];
  /**
   * Whether `runAsUser`, `runAsGroup` and `fsGroup` are left out, so that the cluster assigns them: OpenShift gives each namespace a range
   * of its own, and refuses any other uid. Elsewhere the image must then have a user that is not root.
   *
   * @default false
   * @see https://docs.redhat.com/en/documentation/openshift_container_platform/4.16/html/authentication_and_authorization/managing-pod-security-policies
   */
  readonly omitRunAsUser?: boolean;
  /**
   * Fields of the pod's spec that have no prop here, as in a Kubernetes manifest: `hostAliases`, `dnsConfig`,
   * `topologySpreadConstraints`, `initContainers`, or fields that are newer than this library. A field that has a prop, or that the
   * construct sets itself, is an error.
   *
   * @default - none
   * @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodSpec
   */
  readonly podSpec?: { [key: string]: unknown };
}
