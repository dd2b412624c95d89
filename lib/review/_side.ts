import { type AgentOf, agentOf } from '../agent/_agent-of';
import { accountOf, type PodOf, podsOf } from '../flow-job/_pods-of';
import { identityOf, nameOf } from '../kubernetes/_identity';
import { type Reference, referenceId, referencesOf, referencesOfPod } from '../kubernetes/_references';
import { refuse } from '../kubernetes/_refuse';
import { type Fields, fieldsOf, isFields, listOf } from '../kubernetes/_stored';

/** One of the two sets of manifests. */
export class Side {
  public readonly objects = new Map<string, Fields>();
  public readonly agents = new Map<string, AgentOf>();
  /** Each use of an object, by kind, namespace and name, with its users and keys. */
  public readonly references = new Map<string, { reference: Reference; keys: Set<string>; users: Set<Fields> }>();
  /** Service accounts of flow runs. */
  public readonly flowAccounts = new Set<string>();
  /** Namespaces of the Jobs of a template, by namespace and name of its ConfigMap. */
  private readonly flowNamespaces = new Map<string, string>();

  public constructor(which: string, manifests: readonly Fields[]) {
    for (const manifest of manifests) {
      checkManifest(which, manifest);
      const key = identityOf(manifest);
      if (this.objects.has(key)) {
        const remedy = 'keep one of them, because the last one would overwrite the other in a cluster';
        refuse('UpgradeReview', { prop: which, value: nameOf(manifest), allowed: 'must occur once, and occurs twice', remedy });
      }
      this.objects.set(key, manifest);
      const agent = agentOf(manifest);
      if (agent === undefined) continue;
      this.agents.set(key, agent);
      this.flowAccounts.add(`ServiceAccount ${agent.namespace}/default`);
      for (const { configMap } of listOf(manifest.spec.template.spec.volumes)) {
        if (isFields(configMap)) this.flowNamespaces.set(`${manifest.metadata.namespace} ${configMap.name}`, agent.namespace);
      }
    }
    for (const manifest of this.objects.values()) this.collectReferences(manifest);
  }

  public flowNamespaceOf({ metadata }: Fields): string | undefined {
    return this.flowNamespaces.get(`${metadata.namespace} ${metadata.name}`);
  }

  public podsOf(manifest: Fields): PodOf[] {
    return podsOf(manifest, this.flowNamespaceOf(manifest));
  }

  private collectReferences(manifest: Fields): void {
    const add = (reference: Reference) => {
      const id = referenceId(reference);
      const entry = this.references.get(id) ?? { reference, keys: new Set<string>(), users: new Set<Fields>() };
      if (reference.key !== undefined) entry.keys.add(reference.key);
      entry.users.add(manifest);
      this.references.set(id, entry);
    };
    for (const pod of this.podsOf(manifest)) {
      for (const reference of referencesOfPod(pod.spec, pod.namespace)) add(reference);
      if (pod.isFlow) this.flowAccounts.add(`ServiceAccount ${pod.namespace}/${accountOf(pod.spec)}`);
    }
    // Used by the Jobs that the agent creates, not by its own pod.
    const agent = this.agents.get(identityOf(manifest));
    const [name = '', key] = agent?.keySecret?.split('/') ?? [];
    if (agent && name !== '') add({ kind: 'Secret', namespace: agent.namespace, name, key });
    for (const reference of referencesOf(manifest)) add(reference);
  }
}

function checkManifest(which: string, { apiVersion, kind, metadata }: Fields): void {
  const texts = [apiVersion, kind, fieldsOf(metadata).name, fieldsOf(metadata).namespace ?? ''];
  if (texts.every((text) => typeof text === 'string')) return;
  const allowed = 'must be manifests with apiVersion, kind and metadata.name';
  refuse('UpgradeReview', { prop: which, allowed, remedy: 'kubectl apply needs them too' });
}

/** Each pod that is in both sets, by its position in its object: before and after. */
export function* podsOfBoth(old: Side, next: Side): Generator<readonly [was: PodOf, is: PodOf]> {
  for (const [key, manifest] of next.objects) {
    const before = old.objects.get(key);
    const olds = before === undefined || before === manifest ? [] : old.podsOf(before);
    for (const pod of olds.length === 0 ? [] : next.podsOf(manifest)) {
      const was = olds.find(({ path }) => path === pod.path);
      if (was !== undefined) yield [was, pod];
    }
  }
}
