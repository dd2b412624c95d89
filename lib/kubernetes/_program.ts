import { createHash } from 'node:crypto';
import type { ApiObject } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import type { Construct } from 'constructs';
import type { PodTemplate } from './_hardened-pod';
import { manifest, type Plain } from './_manifest';
import { notOfFlowRuns } from './_network';
import { addObject } from './_object';

/** The Deployment of a construct that runs a program of this library, and the objects beside it. The ids of the children are a contract. */
export interface Program {
  /** Name of the objects. */
  readonly name: string;
  /** Labels of the objects. */
  readonly labels: Record<string, string>;
  /** Labels that only the pods of this Deployment have. */
  readonly selector: Record<string, string>;
  /**
   * The label by which this generation of Prefect marks the pods of flow runs.
   *
   * @default 'prefect.io/flow_run_id', of Prefect 1
   */
  readonly flowRunLabel?: string;
}

/** The name of the ConfigMap with these files. It contains a hash of them, so that new files restart the pods. */
export function nameOfFiles(prefix: string, files: Record<string, string>): string {
  return `${prefix}-${createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 8)}`;
}

export function addFiles(
  scope: Construct,
  id: string,
  name: string,
  labels: Record<string, string>,
  data: Record<string, string>,
): ApiObject {
  return addObject(scope, id, manifest('v1', 'ConfigMap', { metadata: { name, labels }, immutable: true, data }));
}

/** A NetworkPolicy, child `NetworkPolicy`, by which nothing may connect to the pods without `ingress`. */
export function addNetworkPolicy(
  scope: Construct,
  { name, labels, selector, flowRunLabel = 'prefect.io/flow_run_id' }: Program,
  ingress: Plain<k8s.NetworkPolicyIngressRule>[] | undefined,
  egress: Plain<k8s.NetworkPolicyEgressRule>[] | undefined,
): ApiObject {
  const policyTypes = ['Ingress', ...(egress ? ['Egress'] : [])];
  const spec = { podSelector: notOfFlowRuns(selector, flowRunLabel), policyTypes, ingress, egress };
  return addObject(scope, 'NetworkPolicy', manifest('networking.k8s.io/v1', 'NetworkPolicy', { metadata: { name, labels }, spec }));
}

/** A Deployment, child `Resource`, of one pod. The old pod ends before the new one starts. */
export function addDeployment(scope: Construct, { name, labels, selector }: Program, template: PodTemplate): ApiObject {
  const spec = { replicas: 1, strategy: { type: 'Recreate' }, selector: { matchLabels: selector }, template };
  return addObject(scope, 'Resource', manifest('apps/v1', 'Deployment', { metadata: { name, labels }, spec }));
}
