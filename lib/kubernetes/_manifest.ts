import type { k8s } from 'cdk8s-plus-27';

/** Fields that cdk8s-plus-27 names differently than Kubernetes. */
interface JsonNames {
  clientIp: 'clientIP';
  clusterIp: 'clusterIP';
  datasetUuid: 'datasetUUID';
  diskUri: 'diskURI';
  downwardApi: 'downwardAPI';
  hostIp: 'hostIP';
  hostIpc: 'hostIPC';
  hostPid: 'hostPID';
  loadBalancerIp: 'loadBalancerIP';
  nonResourceUrLs: 'nonResourceURLs';
  pdId: 'pdID';
  scaleIo: 'scaleIO';
  setHostnameAsFqdn: 'setHostnameAsFQDN';
  storagePolicyId: 'storagePolicyID';
  targetWwNs: 'targetWWNs';
  volumeId: 'volumeID';
}

/**
 * A type of cdk8s-plus-27 as the JSON of its manifest. `Quantity` and `IntOrString` have only a value. Types like `HttpHeader` have a name
 * too.
 */
export type Plain<T> = T extends k8s.Quantity
  ? k8s.Quantity extends T
    ? string | number
    : Fields<T>
  : T extends Date
    ? string
    : T extends readonly (infer Item)[]
      ? readonly Plain<Item>[]
      : T extends object
        ? Fields<T>
        : T;

type Fields<T> = { readonly [Field in keyof T as Field extends keyof JsonNames ? JsonNames[Field] : Field]: Plain<T[Field]> };

/** An object whose name this library sets. */
type Named<Props> = Plain<Props> & { readonly metadata: { readonly name: string } };

/** The kinds that the library creates, by apiVersion and kind. */
interface Kinds {
  v1: {
    ConfigMap: Named<k8s.KubeConfigMapProps>;
    Service: Named<k8s.KubeServiceProps>;
    ServiceAccount: Named<k8s.KubeServiceAccountProps>;
  };
  'apps/v1': { Deployment: Named<k8s.KubeDeploymentProps> };
  'batch/v1': { Job: Plain<k8s.KubeJobProps> };
  'networking.k8s.io/v1': { NetworkPolicy: Named<k8s.KubeNetworkPolicyProps> };
  'policy/v1': { PodDisruptionBudget: Named<k8s.KubePodDisruptionBudgetProps> };
  'rbac.authorization.k8s.io/v1': { Role: Named<k8s.KubeRoleProps>; RoleBinding: Named<k8s.KubeRoleBindingProps> };
}

/** A manifest, checked against the types of Kubernetes 1.27. */
export function manifest<Version extends keyof Kinds, Kind extends keyof Kinds[Version]>(
  apiVersion: Version,
  kind: Kind,
  props: Kinds[Version][Kind],
) {
  return { apiVersion, kind, ...props };
}

/** Fields with keys of the user, which keep their order. */
const MAPS = new Set(['annotations', 'labels', 'limits', 'matchLabels', 'nodeSelector', 'requests']);

/** A copy as JSON without undefined fields. Fields of Kubernetes are sorted, keys of the user are not. */
// biome-ignore lint/suspicious/noExplicitAny: JSON
export function sortFields(value: unknown, inMap = false): any {
  if (Array.isArray(value)) return value.map((item) => sortFields(item));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  if (!inMap) entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sortFields(item, MAPS.has(key))]));
}
