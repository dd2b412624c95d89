import { Chart } from 'cdk8s';
import type { IConstruct } from 'constructs';
import { checkArguments } from './_guard';
import { readManifests } from './_read';
import { refuse } from './_refuse';
import { itemsOf, type Manifest, rulesOf } from './_rules';

/**
 * The manifests of a chart or an app, for your tests: which objects there are, what a service account may do, and small snapshots.
 *
 * @example
 * new PrefectAgent(chart, 'Agent', { api, flowNamespace: 'flows' });
 * const manifests = Manifests.of(chart);
 * manifests.names(); // [..., 'Deployment prefect/prefect-agent']
 * manifests.rulesOf('prefect-agent'); // ['create jobs.batch in flows', ...]
 * manifests.one('Deployment');
 *
 * @see https://cdk8s.io/docs/latest/basics/testing/
 */
export class Manifests {
  /**
   * The manifests of a chart and the charts in it, or of an app.
   *
   * @param scope a chart or an app
   */
  public static of(scope: IConstruct): Manifests {
    const charts = scope.node.findAll().filter((construct): construct is Chart => Chart.isChart(construct));
    if (charts.length === 0) {
      refuse(scope, { prop: 'scope', allowed: 'must be an App or a Chart', remedy: 'write for example Manifests.of(Chart.of(construct))' });
    }
    return new Manifests(charts.flatMap((chart) => chart.toJson()));
  }

  /**
   * The manifests in a file, or in all `.yaml`, `.yml` and `.json` files of a folder and its subfolders, such as the output of `cdk8s
   * synth`. An error has the file and line that cannot be read.
   *
   * @param path path of a file or folder
   */
  public static read(path: string): Manifests {
    checkArguments('Manifests.read', { path });
    return new Manifests(readManifests(path));
  }

  private constructor(
    /** All manifests, in the order of `cdk8s synth`. */
    public readonly all: { [key: string]: unknown }[],
  ) {}

  /** The name of each manifest: `KIND NAMESPACE/NAME`, or `KIND NAME` for one without a namespace. */
  public names(): string[] {
    return this.all.map((manifest) => nameOf(manifest as Manifest));
  }

  /**
   * The only manifest of a kind, or of a kind and a name. If there is none, or more than one, the error lists all names.
   *
   * @param kind the kind, for example `Deployment`
   * @param name the name, if there are several of that kind
   */
  public one(kind: string, name?: string): { [key: string]: unknown } {
    checkArguments('Manifests.one', { kind, name });
    const found = (this.all as Manifest[]).filter(
      (manifest) => manifest.kind === kind && (name ?? manifest.metadata.name) === manifest.metadata.name,
    );
    if (found.length !== 1) {
      refuse('Manifests', {
        prop: name === undefined ? 'kind' : 'name',
        value: name ?? kind,
        allowed: `must match one manifest, and matches ${found.length}`,
        remedy: `use one of ${this.names().join(', ')}`,
      });
    }
    return found[0] as { [key: string]: unknown };
  }

  /**
   * Everything that the Roles and ClusterRoles among these manifests allow a service account to do, sorted, like `kubectl auth can-i
   * --list` without a cluster. Each entry is `VERB RESOURCE.GROUP in NAMESPACE`. A rule for one object has `/NAME` after the resource.
   * A rule of a ClusterRoleBinding has no namespace. What the account's user name and groups are allowed counts too. A role that is not,
   * or not completely, among these manifests is an entry itself: `ClusterRole view in NAMESPACE`.
   *
   * @param serviceAccountName name of the service account
   * @param namespace its namespace, if several namespaces have an account of that name
   */
  public rulesOf(serviceAccountName: string, namespace?: string): string[] {
    checkArguments('Manifests.rulesOf', { serviceAccountName, namespace });
    return rulesOf((this.all as Manifest[]).flatMap(itemsOf), serviceAccountName, namespace);
  }

  /**
   * The same manifests for snapshots, without the programs that this library mounts. Each program is `<program>`, and its checksum is
   * zeros. So a new release with changed programs does not change your snapshots.
   */
  public withoutPrograms(): Manifests {
    const manifests = structuredClone(this.all) as Manifest[];
    let checksums: string[] = [];
    for (const { kind, metadata, data = {}, immutable } of manifests) {
      if (kind !== 'ConfigMap' || metadata.labels?.['app.kubernetes.io/managed-by'] !== 'cdk8s-prefect') continue;
      const programs = Object.keys(data).filter((file) => file.endsWith('.py'));
      for (const file of programs) data[file] = '<program>';
      if (immutable && programs.length > 0) checksums = [...checksums, metadata.name];
    }
    const text = checksums.reduce(
      (all, name) => all.replaceAll(name, name.replace(/[0-9a-f]{8}$/, '0'.repeat(8))),
      JSON.stringify(manifests),
    );
    return new Manifests(JSON.parse(text));
  }
}

function nameOf({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`;
}
