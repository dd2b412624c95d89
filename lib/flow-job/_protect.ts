import type { ApiObject } from 'cdk8s';
import type { Construct } from 'constructs';
import { manifest } from '../kubernetes/_manifest';
import { addObject } from '../kubernetes/_object';

/** The annotations with which autoscalers do not evict a pod. */
export const PROTECTED = {
  'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
  'karpenter.sh/do-not-disrupt': 'true',
};

/** A PodDisruptionBudget, child `PodDisruptionBudget`, that refuses the eviction of healthy pods with these labels. */
export function addProtection(
  scope: Construct,
  metadata: { readonly name: string; readonly namespace: string; readonly labels: Record<string, string> },
  matchLabels: Record<string, string>,
): ApiObject {
  return addObject(
    scope,
    'PodDisruptionBudget',
    manifest('policy/v1', 'PodDisruptionBudget', {
      metadata,
      spec: {
        // A number that is never reached, so that no healthy pod may be evicted. Pods of Jobs allow neither maxUnavailable nor percentages.
        minAvailable: 2 ** 31 - 1,
        selector: { matchLabels },
        unhealthyPodEvictionPolicy: 'AlwaysAllow',
      },
    }),
  );
}
