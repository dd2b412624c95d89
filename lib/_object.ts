import { ApiObject, Chart } from 'cdk8s';
import type { Construct, IConstruct } from 'constructs';
import { refuse } from './_refuse';

/** The part of a manifest that this module reads. */
interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

const claims = new WeakMap<IConstruct, Map<string, string>>();

/**
 * Adds an object from the manifest that an L1 class rendered (`k8s.KubeRole.manifest(...)`): its types check what we write,
 * and a plain `ApiObject` then loses nothing of what users patch, as the generated classes would.
 * Two objects of one kind, namespace and name in an app would silently overwrite each other on the cluster.
 */
export function addObject(scope: Construct, id: string, manifest: Manifest): ApiObject {
  const namespace = manifest.metadata.namespace ?? Chart.of(scope).namespace ?? '';
  const identity = `${manifest.kind} ${namespace}/${manifest.metadata.name}`;
  const claimed = claims.get(scope.node.root) ?? new Map<string, string>();
  claims.set(scope.node.root, claimed);
  const owner = claimed.get(identity);
  if (owner !== undefined) {
    refuse(scope, {
      prop: 'resourceName',
      value: manifest.metadata.name,
      allowed: `must be unique: ${owner} already makes the ${manifest.kind} "${manifest.metadata.name}" in namespace "${namespace}"`,
      remedy: 'give one of them another resourceName (or, for different clusters, an App of its own)',
    });
  }
  claimed.set(identity, scope.node.path);
  return new ApiObject(scope, id, manifest);
}

/** The namespace of the chart, which these constructs must know: a RoleBinding's subject and the agent's Jobs name it. */
export function namespaceOf(scope: Construct): string {
  const { namespace } = Chart.of(scope);
  if (namespace === undefined) {
    refuse(scope, {
      prop: 'the namespace of its chart',
      allowed: 'must be set',
      remedy: "write new Chart(app, id, { namespace: 'prefect' })",
    });
  }
  return namespace;
}

/** Labels that every object of ours carries, beside the chart's own. */
export function recommendedLabels(name: string, instance: string): Record<string, string> {
  return {
    'app.kubernetes.io/name': name,
    'app.kubernetes.io/instance': instance,
    'app.kubernetes.io/part-of': 'prefect',
    'app.kubernetes.io/managed-by': 'cdk8s-prefect',
  };
}
