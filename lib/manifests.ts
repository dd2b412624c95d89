import { Chart } from 'cdk8s';
import type { IConstruct } from 'constructs';
import { refuse } from './_refuse';

/** A manifest, as far as this module looks into it. */
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: manifests are of every kind
  readonly [field: string]: any;
}

interface PolicyRule {
  readonly apiGroups?: string[];
  readonly resources?: string[];
  readonly resourceNames?: string[];
  readonly nonResourceURLs?: string[];
  readonly verbs: string[];
}

/**
 * The manifests of a chart or a whole app, for tests of them: what is there, what an account may do, and snapshots that change when
 * the chart does.
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
  /** Those of a chart, with the charts in it, or of an app. */
  public static of(scope: IConstruct): Manifests {
    const charts = scope.node.findAll().filter((construct): construct is Chart => Chart.isChart(construct));
    if (charts.length === 0) {
      refuse(scope, { prop: 'scope', allowed: 'must be an App or a Chart', remedy: 'give Chart.of(...) of what you test' });
    }
    return new Manifests(charts.flatMap((chart) => chart.toJson()));
  }

  private constructor(
    /** Each manifest, in the order in which `cdk8s synth` writes them. */
    public readonly all: { [key: string]: unknown }[],
  ) {}

  /** What there is: `KIND NAMESPACE/NAME` of each manifest, or `KIND NAME` of those without namespace. */
  public names(): string[] {
    return this.all.map((manifest) => nameOf(manifest as Manifest));
  }

  /** The one manifest of a kind, or of that kind and a name. An error lists what there is. */
  public one(kind: string, name?: string): { [key: string]: unknown } {
    const found = (this.all as Manifest[]).filter(
      (manifest) => manifest.kind === kind && (name ?? manifest.metadata.name) === manifest.metadata.name,
    );
    if (found.length !== 1) {
      refuse('Manifests', {
        prop: name === undefined ? 'kind' : 'name',
        value: name ?? kind,
        allowed: `must be that of one manifest, and is that of ${found.length}`,
        remedy: `there is ${this.names().join(', ')}`,
      });
    }
    return found[0] as { [key: string]: unknown };
  }

  /**
   * All that the roles among these manifests let a service account do, sorted: `VERB RESOURCE.GROUP in NAMESPACE`, with `/NAME` after
   * the resource where the rule is for one object, and without namespace for a ClusterRoleBinding. Like `kubectl auth can-i --list`,
   * without a cluster.
   *
   * @param serviceAccountName name of the account
   * @param namespace its namespace, where several have an account of that name
   */
  public rulesOf(serviceAccountName: string, namespace?: string): string[] {
    const manifests = this.all as Manifest[];
    const bindings = manifests.filter(
      ({ kind, metadata, subjects = [] }) =>
        /^(Cluster)?RoleBinding$/.test(kind) &&
        (subjects as Record<string, string>[]).some(
          (subject) =>
            subject.kind === 'ServiceAccount' &&
            subject.name === serviceAccountName &&
            (namespace ?? subject.namespace) === (subject.namespace ?? metadata.namespace),
        ),
    );
    const rules = bindings.flatMap(({ roleRef, metadata }) => {
      const where = metadata.namespace === undefined ? '' : ` in ${metadata.namespace}`;
      const role = manifests.find(
        ({ kind, metadata: { name, namespace: its } }) =>
          kind === roleRef.kind && name === roleRef.name && (kind === 'ClusterRole' || its === metadata.namespace),
      );
      return role
        ? (role.rules as PolicyRule[]).flatMap((rule) => spell(rule).map((text) => text + where))
        : [`${roleRef.kind} ${roleRef.name}${where}`];
    });
    return [...new Set(rules)].sort();
  }

  /**
   * The same manifests, for snapshots, without the programs that this library mounts: `<program>` is in the place of each, and zeros
   * in that of its checksum, so that a release which changes a program changes no snapshot.
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

function spell({ apiGroups = [], resources = [], resourceNames, nonResourceURLs = [], verbs }: PolicyRule): string[] {
  const kinds = apiGroups.flatMap((group) => resources.map((resource) => (group === '' ? resource : `${resource}.${group}`)));
  const objects = kinds.flatMap((kind) => resourceNames?.map((name) => `${kind}/${name}`) ?? [kind]);
  return verbs.flatMap((verb) => [...objects, ...nonResourceURLs].map((object) => `${verb} ${object}`));
}
