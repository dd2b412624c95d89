// Two API servers are asked whether the review says of an upgrade what they do with it.
import { isDeepStrictEqual } from 'node:util';
import { ApplyMode, Manifests, UpgradeClass, type UpgradeFinding, UpgradeReview } from '../../lib';
import { seed } from '../fast-check';
import type { Manifest } from '../support';
import { Site } from './admission/site';
import type { ApiServer, Json } from './harness/api-server';
import { Cluster } from './harness/cluster';
import { getEnvironment } from './harness/environment';
import { eventually } from './harness/eventually';
import { NAMESPACE, type Pair, pairsOf } from './upgrade-review/pairs';
import { Recorder } from './upgrade-review/recorder';

const cluster = new Cluster();
const environment = getEnvironment();
const pairs = pairsOf(process.env.FULL === '1' ? 400 : 100);

cluster.takesTurns();

const RBAC = '/apis/rbac.authorization.k8s.io/v1';

/** What was looked at, and where review and server differ. */
class Verdict {
  readonly disagreements: string[] = [];
  readonly counts: Record<string, number> = {};

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  agree(what: string, where: string, expected: boolean, seen: boolean, more: () => string): void {
    this.count(seen ? what : `not ${what}`);
    if (expected !== seen) this.disagreements.push(`${where}: ${what} is ${seen} on the server, and ${expected} in the review: ${more()}`);
  }
}

// Without controllers: all other tests would wait for those that look after each object that is stored.
describe.each([
  { server: 'the API server', declare: cluster.testWith('bare'), api: () => cluster.bare, socket: environment.bareApiSocket ?? '' },
  {
    server: 'the API server of Kubernetes 1.27',
    declare: cluster.testWith('oldest'),
    api: () => cluster.oldest,
    socket: environment.oldestApiSocket ?? '',
  },
])('$server', ({ declare, api, socket }) => {
  declare(`agrees with the review of ${pairs.length} upgrades`, async () => {
    const site = await Site.open(api());
    const recorder = await new Recorder(environment.kubectl, socket).start();
    try {
      const verdict = new Verdict();
      const isOldest = /^v1\.27\./.test(await api().version());
      // Kubernetes 1.27 knows no sidecars. Without `--validate=ignore` kubectl may check all objects itself, and then sends none.
      const asked = isOldest ? pairs.filter((pair) => !hasSidecar(pair)) : pairs;
      for (const mode of Object.values(ApplyMode)) {
        const options = ['--validate=ignore', ...(mode === ApplyMode.SERVER_SIDE ? ['--server-side', '--force-conflicts'] : [])];
        await holdAgainst(asked, { api: api(), recorder, mode, options, verdict });
      }
      console.info(`seed ${seed}: ${JSON.stringify(verdict.counts)}`);
      expect([seed, verdict.disagreements]).toEqual([seed, []]);
      const {
        pairs: stored = 0,
        changed = 1,
        'cannot tell': unclear = 0,
        refused = 0,
        restarts = 0,
        harmless = 0,
        widened = 0,
      } = verdict.counts;
      // Or the agreement is about nothing.
      expect(stored).toBeGreaterThan(1.6 * pairs.length);
      for (const seen of [refused, restarts, harmless, widened]) expect(seen).toBeGreaterThan(pairs.length / 10);
      // More than of the changes that props make, of which a test of the review knows the share: these are made to be odd.
      expect(unclear / changed).toBeLessThan(0.2);
    } finally {
      await recorder.stop();
      await site.close();
    }
  });
});

interface Inquiry {
  readonly api: ApiServer;
  readonly recorder: Recorder;
  readonly mode: ApplyMode;
  /** Of `kubectl apply`. */
  readonly options: string[];
  readonly verdict: Verdict;
}

/** Stores the first of each pair in a namespace of its own, applies the second as a dry run, and compares what is said with the review. */
async function holdAgainst(asked: readonly Pair[], { api, recorder, mode, options, verdict }: Inquiry): Promise<void> {
  const named = await inParallel(asked, async (pair) => inNamespace(pair, await api.createNamespace()));
  recorder.forget();
  await inParallel(chunksOf(named, 10), async (chunk) => {
    const olds = chunk.flatMap(({ old }) => old);
    await recorder.apply(olds, ...options);
  });
  const stored = named.filter(({ old }) => old.every((object) => (recorder.answers.get(pathOf(object))?.status ?? 500) < 300));
  const lives = new Map(stored.flatMap(({ old }) => old.map((object) => [pathOf(object), recorder.answers.get(pathOf(object))?.body])));
  recorder.forget();
  await inParallel(chunksOf(stored, 10), async (chunk) => {
    const nexts = chunk.flatMap(({ next }) => next);
    const { stdout, stderr } = await recorder.apply(nexts, '--dry-run=server', ...options);
    const refused = nexts.filter((object) => (recorder.answers.get(pathOf(object))?.status ?? 200) >= 400);
    // kubectl compares some lists itself, and refuses what it cannot compare without a word to the server.
    const unsent = nexts.filter((object) => !recorder.answers.has(pathOf(object)) && stderr.includes(failureOf(object)));
    for (const object of unsent) recorder.answers.set(pathOf(object), { status: 400, body: { message: 'kubectl made no patch of it' } });
    const said = stdout.split('\n').filter((line) => line !== '');
    // Of each object kubectl must have said something, or silence would pass for agreement.
    if (said.length + refused.length + unsent.length !== nexts.length) throw new Error(`kubectl did not answer for all: ${stderr}`);
  });
  for (const pair of stored) {
    verdict.count('pairs');
    const review = UpgradeReview.of(asManifests(pair.old), asManifests(pair.next));
    const olds = new Map(pair.old.map((object) => [pathOf(object), object]));
    for (const object of pair.next) {
      const old = olds.get(pathOf(object));
      if (old === undefined || isDeepStrictEqual(old, object)) continue;
      const live = recorder.live.get(pathOf(object)) ?? lives.get(pathOf(object));
      compare(pair, old, object, live, recorder.answers.get(pathOf(object)), review, mode, verdict);
    }
    if (mode === ApplyMode.CLIENT_SIDE) await holdPermissions(api, pair, review, verdict);
  }
}

function compare(
  pair: Pair,
  old: Manifest,
  object: Manifest,
  live: Json,
  answer: { status: number; body: Json } | undefined,
  review: UpgradeReview,
  mode: ApplyMode,
  verdict: Verdict,
): void {
  const where = `${pair.name}, ${mode}, ${object.kind} ${object.metadata.name}`;
  // What kubectl does not send, it found to be there.
  const status = answer?.status ?? 200;
  const after = answer === undefined ? live : answer.body;
  if (status >= 400 && /unknown field|strict decoding/.test(after.message)) {
    verdict.count('unknown to this version');
    return;
  }
  const findings = review
    .findings()
    .filter((finding) => finding.object === nameOf(object) && (finding.applyMode === undefined || finding.applyMode === mode));
  const has = (upgradeClass: UpgradeClass) => findings.some((finding) => finding.upgradeClass === upgradeClass);
  const more = () => JSON.stringify({ findings, message: after.message, old, object }).slice(0, 6_000);
  verdict.count('changed');
  if (has(UpgradeClass.CANNOT_TELL)) {
    verdict.count('cannot tell');
    return;
  }
  verdict.agree('refused', where, has(UpgradeClass.REFUSED), status >= 400, more);
  if (status >= 400) return;
  if (object.kind === 'Deployment') {
    const restarts = !isDeepStrictEqual(live.spec.template, after.spec.template);
    const seen = () => `${more()} ${JSON.stringify([live.spec.template, after.spec.template]).slice(0, 6_000)}`;
    verdict.agree('restarts', where, has(UpgradeClass.RESTARTS), restarts, seen);
  }
  if (findings.length > 0 || /^Role/.test(object.kind)) return;
  verdict.count('harmless');
  const [was, is] = [live, after].map(({ metadata, status: _, ...rest }) => rest);
  if (!isDeepStrictEqual(was, is)) verdict.disagreements.push(`${where}: harmless in the review, but not on the server: ${more()}`);
}

/** As each account that NEW names, with what OLD gives to it and the right to write roles: who gains is refused, and nobody else. */
async function holdPermissions(api: ApiServer, { old, next, name }: Pair, review: UpgradeReview, verdict: Verdict): Promise<void> {
  const namespace = next[0].metadata.namespace as string;
  const kept = [...old.filter((object) => !next.some((other) => pathOf(other) === pathOf(object))), ...next];
  const bindings = kept.filter(({ kind }) => kind === 'RoleBinding');
  const subjects = new Map<string, Json[]>();
  for (const binding of bindings) {
    const role = kept.find(({ kind, metadata }) => kind === 'Role' && metadata.name === binding.roleRef.name);
    for (const subject of binding.subjects ?? []) {
      const account =
        subject.kind === 'ServiceAccount' ? `system:serviceaccount:${subject.namespace ?? namespace}:${subject.name}` : subject.name;
      subjects.set(account, [...(subjects.get(account) ?? []), role?.rules]);
    }
  }
  for (const [user, rules] of subjects) {
    // Of a role that is nowhere a server cannot say what it grants.
    if (rules.includes(undefined)) continue;
    const writer = `writer-${verdict.counts.subjects ?? 0}`;
    verdict.count('subjects');
    const may = [{ apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles'], verbs: ['create'] }];
    const path = `${RBAC}/namespaces/${namespace}`;
    await api.expect('POST', `${path}/roles`, { metadata: { name: writer }, rules: may });
    const subject = { kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: user };
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: writer };
    await api.expect('POST', `${path}/rolebindings`, { metadata: { name: writer }, subjects: [subject], roleRef });
    const creating = (granted: Json[]) =>
      api.request(
        'POST',
        `${path}/roles?dryRun=All`,
        { metadata: { generateName: 'asked-' }, rules: granted },
        { 'impersonate-user': user },
      );
    // The server learns of rights a moment later.
    await eventually(async () => expect((await creating([])).status).toBe(201));
    const answers = await Promise.all(rules.map(creating));
    const isRefused = answers.some(({ status }) => status === 403);
    // A rule that no role may have is refused to everybody.
    if (answers.some(({ status }) => status === 422)) continue;
    expect(answers.filter(({ status }) => status !== 403 && status !== 201)).toEqual([]);
    const key = user.replace(/^system:serviceaccount:(.*):(.*)$/, 'ServiceAccount $1/$2').replace(/^(?!ServiceAccount )/, 'User ');
    const isFound = review
      .findings()
      .some(
        ({ upgradeClass, object }) =>
          object === key && [UpgradeClass.PERMISSIONS_WIDENED, UpgradeClass.PERMISSIONS_MOVED].includes(upgradeClass),
      );
    verdict.agree('widened', `${name}, ${key}`, isFound, isRefused, () => JSON.stringify({ rules, old, next }).slice(0, 6_000));
  }
}

const hasSidecar = ({ old, next }: Pair): boolean =>
  [...old, ...next].some(({ spec }) => (spec?.template?.spec?.initContainers ?? []).some((container: Json) => container.restartPolicy));

function inNamespace({ name, old, next }: Pair, namespace: string): Pair {
  const moved = (objects: Manifest[]) => JSON.parse(JSON.stringify(objects).replaceAll(NAMESPACE, namespace));
  return { name, old: moved(old), next: moved(next) };
}

/** What `Manifests.of` gives, of manifests that no chart has made. */
const asManifests = (all: Manifest[]): Manifests => Object.assign(Object.create(Manifests.prototype), { all });

const nameOf = ({ kind, metadata }: Manifest): UpgradeFinding['object'] => `${kind} ${metadata.namespace}/${metadata.name}`;

/** How kubectl names an object that it could not apply. */
const failureOf = ({ kind, metadata }: Manifest) => `Kind=${kind}"\nName: "${metadata.name}", Namespace: "${metadata.namespace}"`;

function pathOf({ apiVersion, kind, metadata }: Manifest): string {
  const plural = `${kind.toLowerCase()}s`.replace(/ys$/, 'ies');
  return `${apiVersion.includes('/') ? '/apis' : '/api'}/${apiVersion}/namespaces/${metadata.namespace}/${plural}/${metadata.name}`;
}

const chunksOf = <T>(items: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));

async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  const rest = items.entries();
  const worker = async () => {
    for (const [index, item] of rest) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: 6 }, worker));
  return results;
}
