import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../../support';
import type { Admission, ApiServer, Json, KubeObject } from '../harness/api-server';
import { eventually } from '../harness/eventually';

/** Warnings that stay, with the reason. */
const expectedWarnings: [RegExp, string][] = [
  [
    /annotations\[container\.apparmor\.security\.beta\.kubernetes\.io\/[-\w]+\]: deprecated since v1\.30/,
    'the one way to say it to Kubernetes 1.27, which has no field for it',
  ],
  [
    /nodeSelector\[(failure-domain\.)?beta\.kubernetes\.io\/[-a-z]+\]: deprecated since/,
    'the labels of nodes are not ours, and some clouds still set these',
  ],
];

/** The kinds that are not Kubernetes' own: a dry run of one needs its definition. */
const definitions: Json[] = parseAllDocuments(
  readFileSync(join(__dirname, '../../../imports/crds/monitoring.coreos.com.yaml'), 'utf8'),
).map((document) => document.toJS());

/** One API server, with the namespaces and other objects that a dry run wants to be there. */
export class Site {
  /** Paths of objects that were made because a pod names them; those of the classes are removed in the end. */
  private readonly there = new Set<string>();
  private readonly ownClasses: string[] = [];

  private constructor(
    readonly api: ApiServer,
    /** Kubernetes 1.28 and later know sidecars. */
    private readonly knowsSidecars: boolean,
    /** Of objects: those of an agent, and those of its flows. */
    readonly namespace: string,
    readonly flowNamespace: string,
    /** Of pods, each of which finds the account it names: by the level of Pod Security that is enforced. */
    readonly pods: { readonly restricted: string; readonly baseline: string; readonly privileged: string },
  ) {}

  static async open(api: ApiServer): Promise<Site> {
    const [namespace, flowNamespace, restricted, baseline, privileged] = await Promise.all(
      (['restricted', 'restricted', 'restricted', 'baseline', 'privileged'] as const).map((podSecurity) =>
        api.createNamespace({ podSecurity }),
      ),
    );
    const minor = Number((await api.version()).split('.')[1]);
    const site = new Site(api, minor >= 28, namespace, flowNamespace, { restricted, baseline, privileged });
    await site.define();
    return site;
  }

  async close(): Promise<void> {
    for (const path of this.ownClasses) await this.api.expect('DELETE', path);
  }

  /** Adds the definitions that are not there, and leaves them: another run may need them. */
  private async define(): Promise<void> {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    for (const { spec, metadata } of definitions) {
      const { status, body } = await this.api.request('POST', path, { metadata, spec });
      if (status >= 400 && status !== 409) throw new Error(`${metadata.name} could not be defined: ${body.message}`);
      const served = async () => this.api.expect('GET', `/apis/${spec.group}/v1/namespaces/${this.namespace}/${spec.names.plural}`);
      await eventually(served);
    }
  }

  /** Throws unless each object is admitted, without an unexpected warning. */
  async admit(objects: readonly Manifest[], namespace?: string): Promise<void> {
    if (objects.length === 0) throw new Error('there is no object to admit');
    for (const object of objects) if (object.kind === 'Pod') await this.makeWhatIsNamed(object, object.metadata.namespace ?? namespace);
    const withoutSidecars = this.knowsSidecars ? [] : objects.filter((object) => sidecarsOf(object).length > 0);
    await this.complainIfNot(await this.api.dryRun([...objects, ...withoutSidecars.map(ordinary)], { namespace }));
  }

  private async complainIfNot(admissions: Admission[]): Promise<void> {
    const complaints = admissions.map((admission) => this.complain(admission)).filter((complaint) => complaint !== undefined);
    if (complaints.length > 0) throw new Error(`${await this.api.version()}:\n${complaints.join('\n')}`);
  }

  private complain({ object, admitted, reason, warnings }: Admission): string | undefined {
    const unknown = this.knowsSidecars ? [] : sidecarsOf(object).map((path) => `unknown field "${path}.restartPolicy"`);
    const expectedReason = unknown.length > 0 ? `strict decoding error: ${unknown.join(', ')}` : '';
    const name = `${object.kind} ${object.metadata.name}`;
    if (!reason.endsWith(expectedReason) || (expectedReason === '' && !admitted)) return `${name} is refused: ${reason}`;
    if (expectedReason !== '' && admitted) return `${name} is admitted, though it has sidecars`;
    const unexpected = warnings.filter((warning) => !expectedWarnings.some(([pattern]) => pattern.test(warning)));
    return unexpected.length > 0 ? `${name} is admitted with warnings: ${unexpected.join('; ')}` : undefined;
  }

  /** A pod is refused unless the account and the classes that it names exist. */
  private async makeWhatIsNamed({ spec }: Manifest, namespace: string): Promise<void> {
    const { serviceAccountName, priorityClassName, runtimeClassName } = spec;
    if (serviceAccountName) await this.make(`/api/v1/namespaces/${namespace}/serviceaccounts`, serviceAccountName);
    if (runtimeClassName) await this.make('/apis/node.k8s.io/v1/runtimeclasses', runtimeClassName, { handler: 'runc' });
    if (priorityClassName && (await this.make('/apis/scheduling.k8s.io/v1/priorityclasses', priorityClassName, { value: 1 }))) {
      // The server reads these from a cache.
      const pod = asPod({ spec: { priorityClassName, containers: [{ name: 'a', image: 'a' }] } }, 'a');
      await eventually(async () => this.complainIfNot(await this.api.dryRun([pod], { namespace: this.pods.privileged })));
    }
  }

  /** Whether it was made now. */
  private async make(path: string, name: string, fields: object = {}): Promise<boolean> {
    if (this.there.has(`${path}/${name}`) || name.startsWith('system-')) return false;
    this.there.add(`${path}/${name}`);
    const { status, body } = await this.api.request('POST', path, { metadata: { name }, ...fields });
    if (status >= 400 && status !== 409) throw new Error(`${path}/${name} could not be made: ${body.message}`);
    if (status < 400 && path.endsWith('classes')) this.ownClasses.push(`${path}/${name}`);
    return status < 400;
  }
}

/** A pod as a controller makes it of a template. */
export function asPod({ metadata, spec }: Json, name: string): KubeObject {
  const { labels, annotations } = metadata ?? {};
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels, annotations }, spec };
}

/** The pods that objects will make. */
export const podsOf = (objects: readonly Manifest[]): KubeObject[] =>
  objects.filter(({ spec }) => spec?.template).map(({ kind, spec }) => asPod(spec.template, `of-${kind.toLowerCase()}`));

function sidecarsOf({ kind, spec }: Manifest): string[] {
  const [path, podSpec] = kind === 'Pod' ? ['spec', spec] : ['spec.template.spec', spec?.template?.spec];
  return (podSpec?.initContainers ?? []).flatMap(({ restartPolicy }: Json, i: number) =>
    restartPolicy ? [`${path}.initContainers[${i}]`] : [],
  );
}

/** The same object, with ordinary init containers for its sidecars. */
function ordinary(object: Manifest): Manifest {
  const copy = structuredClone(object);
  for (const container of (copy.kind === 'Pod' ? copy.spec : copy.spec.template.spec).initContainers) {
    delete container.restartPolicy;
    // Only a sidecar may have one.
    delete container.startupProbe;
  }
  return copy;
}
