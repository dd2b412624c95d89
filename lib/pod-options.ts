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
   * How long the pod stays on a node that gets the taint, in whole seconds. Needs `effect: TaintEffect.NO_EXECUTE`.
   *
   * @default - for ever
   */
  readonly tolerationSeconds?: Duration;
}

/** What a cluster's owners ask of any pod: where it runs, what it is labelled with, and the rest of the pod's spec verbatim. */
export interface PodOptions {
  /**
   * Labels of the pods, beside those of the construct and the chart.
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
   * The pod's `affinity`, in the words of the Kubernetes API, verbatim.
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
   * Names of Secrets with which the images are pulled.
   *
   * @default - none
   */
  readonly imagePullSecrets?: string[];
  /**
   * Fields of the pod's spec that have no prop here, in the words of the Kubernetes API, verbatim: `hostAliases`, `dnsConfig`,
   * `topologySpreadConstraints`, `initContainers`, or any that is newer than this library. Fields that have a prop, or that the
   * construct needs for itself, are refused.
   *
   * @default - none
   * @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodSpec
   */
  readonly podSpec?: { [key: string]: unknown };
}
