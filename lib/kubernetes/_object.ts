import { ApiObject, type App, Chart, YamlOutputType } from 'cdk8s';
import type { Construct, IConstruct } from 'constructs';
import { madeByUser } from './_guard';
import { refuse } from './_refuse';

/** The part of a manifest that this module reads. */
interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** The objects of this library in each app, by their identity on the cluster. */
const claims = new WeakMap<IConstruct, Map<string, ApiObject>>();

/**
 * Adds an object as a plain `ApiObject`. The generated classes would drop unknown fields of users' patches. It throws for two objects of
 * one kind, namespace and name in an app, because they would silently overwrite each other on the cluster.
 */
export function addObject(scope: Construct, id: string, manifest: Manifest): ApiObject {
  const namespace = manifest.metadata.namespace ?? Chart.of(scope).namespace ?? '';
  const identity = `${manifest.kind} ${namespace}/${manifest.metadata.name}`;
  const claimed = claims.get(scope.node.root) ?? claimsOf(scope.node.root);
  const owner = claimed.get(identity);
  if (owner !== undefined && isInTree(owner)) {
    refuse(madeByUser(scope), {
      prop: 'resourceName',
      value: manifest.metadata.name,
      allowed: `must be unique: ${madeByUser(owner.node.scope ?? owner).node.path} already creates the ${manifest.kind} "${manifest.metadata.name}" in namespace "${namespace}"`,
      remedy: `write for example resourceName: 'team-${manifest.metadata.name}' (or, for different clusters, use two Apps)`,
    });
  }
  const object = new ApiObject(scope, id, manifest);
  claimed.set(identity, object);
  return object;
}

function claimsOf(root: IConstruct): Map<string, ApiObject> {
  const claimed = new Map<string, ApiObject>();
  claims.set(root, claimed);
  root.node.addValidation({ validate: () => lostFiles(root, new Set(claimed.values())) });
  return claimed;
}

/** The object may be gone after `tryRemoveChild`. */
function isInTree(construct: IConstruct): boolean {
  const { scope, id } = construct.node;
  return scope === undefined || (scope.node.tryFindChild(id) === construct && isInTree(scope));
}

/**
 * With a file for each resource, cdk8s names the file by kind and name. Of two such objects in different namespaces, the first would be
 * lost.
 * @see https://github.com/cdk8s-team/cdk8s-core/blob/2.x/src/app.ts
 */
function lostFiles(root: IConstruct, ours: Set<ApiObject>): string[] {
  const type = (root as Partial<App>).yamlOutputType;
  if (type !== YamlOutputType.FILE_PER_RESOURCE && type !== YamlOutputType.FOLDER_PER_CHART_FILE_PER_RESOURCE) return [];
  const inFolders = type === YamlOutputType.FOLDER_PER_CHART_FILE_PER_RESOURCE;
  const files = new Map<string, ApiObject>();
  return root.node.findAll().flatMap((object) => {
    if (!ApiObject.isApiObject(object)) return [];
    const file = `${inFolders ? object.chart.node.path : ''} ${object.kind}.${object.name}`;
    const other = files.get(file);
    files.set(file, object);
    if (other === undefined || !(ours.has(object) || ours.has(other))) return [];
    return [
      `${other.node.path} and ${object.node.path} would be written to one file, ${object.kind}.${object.name}, and the first be lost; ` +
        `give one of them another resourceName, or use YamlOutputType.${inFolders ? 'FILE_PER_CHART' : 'FOLDER_PER_CHART_FILE_PER_RESOURCE'}`,
    ];
  });
}

/** The namespace of the chart. It must be known, because the subjects of RoleBindings and the Jobs of the agent name it. */
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

/** The labels of every object of this library, in addition to those of the chart. */
export function recommendedLabels(name: string, instance: string): Record<string, string> {
  return {
    'app.kubernetes.io/name': name,
    'app.kubernetes.io/instance': instance,
    'app.kubernetes.io/part-of': 'prefect',
    'app.kubernetes.io/managed-by': 'cdk8s-prefect',
  };
}
