// Manifests.rulesOf, held against the authorizer of a real API server.
import { ApiObject, App, Chart } from 'cdk8s';
import { Manifests } from '../../lib';
import fc from '../fast-check';
import type { Json, KubeObject } from './harness/api-server';
import { Cluster } from './harness/cluster';
import { eventually } from './harness/eventually';

const SETS = process.env.FULL === '1' ? 300 : 25;
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
/** The authorizer's cache is a moment late. */
const QUICKLY = { interval: 50 };
const cluster = new Cluster();
afterEach(() => cluster.deleteNamespaces());

interface Names {
  readonly home: string;
  readonly other: string;
}

test(`what an account may do by ${SETS} generated sets of roles, bindings and subjects is what the API server says`, async () => {
  const [home, other] = [(await cluster.createNamespace()).name, (await cluster.createNamespace()).name];
  const before = await Promise.all([home, other].map((namespace) => granted(home, namespace)));
  for (const [i, make] of fc.sample(sets, { numRuns: SETS }).entries()) {
    const chart = new Chart(new App(), 'chart', { namespace: home });
    // Those of fast-check have no prototype, without which cdk8s does not take them.
    const { objects: given, mutual } = make({ home, other });
    const made: object[] = JSON.parse(JSON.stringify(given));
    for (const [j, object] of made.entries()) new ApiObject(chart, `${j}`, object as never);
    const manifests = Manifests.of(chart);
    const ours = manifests.rulesOf('flows', home).filter((line) => !/^(Cluster)?Role /.test(line));
    const objects = manifests.all as unknown as KubeObject[];
    await Promise.all(objects.map((object) => cluster.api.expect('POST', collectionOf(object), withoutStray(object))));
    try {
      // A controller collects what aggregated roles select, and the authorizer reads from a cache.
      await eventually(async () => {
        expect([i, await reachedUrls(home)]).toEqual([i, URLS.filter(([verb, path]) => ours.some((line) => isUrl(line, verb, path)))]);
        for (const [k, namespace] of [home, other].entries()) {
          const theirs = (await granted(home, namespace)).filter((line) => !before[k]?.includes(line));
          const ourLines = linesFor(ours, namespace);
          // What remains in aggregated roles that collect each other depends on who was first.
          expect([i, namespace, ourLines]).toEqual([i, namespace, mutual ? expect.arrayContaining(theirs) : theirs]);
        }
      }, QUICKLY);
    } finally {
      await Promise.all(objects.map((object) => cluster.api.request('DELETE', `${collectionOf(object)}/${object.metadata.name}`)));
      await eventually(async () => {
        const after = await Promise.all([home, other].map((namespace) => granted(home, namespace)));
        expect(after).toEqual(before);
      }, QUICKLY);
    }
  }
}, 3_600_000);

/** Those of one namespace, and those of all. */
function linesFor(lines: string[], namespace: string): string[] {
  const here = lines.filter((line) => !/^\S+ \//.test(line) && (!line.includes(' in ') || line.endsWith(` in ${namespace}`)));
  return [...new Set(here.map((line) => line.replace(/ in .*$/, '')))].sort();
}

/** What the account "flows" of a namespace may do in one, as `kubectl auth can-i --list` asks. */
async function granted(home: string, namespace: string): Promise<string[]> {
  const path = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';
  const user = {
    'impersonate-user': `system:serviceaccount:${home}:flows`,
    'impersonate-group': ['system:serviceaccounts', `system:serviceaccounts:${home}`, 'system:authenticated'],
  };
  const { status, body } = await cluster.api.request('POST', path, { spec: { namespace } }, user);
  if (status >= 400) throw new Error(body.message);
  const lines = (body.status.resourceRules ?? []).flatMap((rule: Json) => {
    const kinds = (rule.apiGroups ?? []).flatMap((group: string) =>
      (rule.resources ?? []).map((resource: string) => [resource, group].filter(Boolean).join('.')),
    );
    const named = kinds.flatMap((kind: string) =>
      (rule.resourceNames ?? ['']).map((name: string) => [kind, name].filter(Boolean).join('/')),
    );
    return named.flatMap((what: string) => rule.verbs.map((verb: string) => `${verb} ${what}`));
  });
  return [...new Set<string>(lines)].sort();
}

// A list of rules has URLs of RoleBindings too, by which nobody gets anything: they are asked for one by one.
const URLS = ['get', 'post', 'patch'].flatMap((verb) => ['/example', '/example/one', '/other'].map((path) => [verb, path] as const));

async function reachedUrls(home: string): Promise<(readonly [string, string])[]> {
  const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${home}`, 'system:authenticated'];
  const answers = await Promise.all(
    URLS.map(([verb, url]) => {
      const spec = { user: `system:serviceaccount:${home}:flows`, groups, nonResourceAttributes: { verb, path: url } };
      return cluster.api.expect('POST', path, { spec });
    }),
  );
  return URLS.filter((_, i) => answers[i]?.body.status.allowed);
}

function isUrl(line: string, verb: string, path: string): boolean {
  const [allowed, url = ''] = line.split(' ');
  return ['*', verb].includes(allowed ?? '') && (url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1))));
}

function collectionOf({ kind, metadata }: KubeObject): string {
  const plural = `${kind.toLowerCase()}s`;
  return kind.startsWith('Cluster') ? `${RBAC}/${plural}` : `${RBAC}/namespaces/${metadata.namespace}/${plural}`;
}

/** As kubectl sends it: cdk8s gives every object the namespace of its chart. */
function withoutStray(object: KubeObject): KubeObject {
  const { namespace, ...metadata } = object.metadata;
  return object.kind.startsWith('Cluster') ? { ...object, metadata } : object;
}

// In groups that no API has: what is granted here changes nothing for other tests.
const some = <T>(values: T[]) => fc.subarray(values, { minLength: 1 });
const resourceRule = fc.record(
  {
    apiGroups: some(['example.com', 'other.example.com', '*.example.com']),
    resources: some(['widgets', 'widgets/status', 'gadgets', '*']),
    verbs: some(['get', 'list', 'create', '*']),
    resourceNames: fc.constantFrom([], ['one'], ['one', 'two']),
  },
  { requiredKeys: ['apiGroups', 'resources', 'verbs'] },
);
const urlRule = fc.record({ nonResourceURLs: some(['/example', '/example/*']), verbs: some(['get', 'post', '*']) });
const label = fc.constantFrom<Record<string, string>>({}, { to: 'a' }, { to: 'b' }, { to: 'a', and: 'c' });
const selector = fc.constantFrom<object>(
  { matchLabels: { 'example.com/to': 'a' } },
  { matchExpressions: [{ key: 'example.com/to', operator: 'In', values: ['a', 'b'] }] },
  { matchExpressions: [{ key: 'example.com/and', operator: 'Exists' }] },
  { matchLabels: { 'example.com/to': 'b' }, matchExpressions: [{ key: 'example.com/and', operator: 'DoesNotExist' }] },
  { matchLabels: { 'example.com/to': 'a' }, matchExpressions: [{ key: 'example.com/and', operator: 'NotIn', values: ['d'] }] },
);
const place = fc.constantFrom<keyof Names>('home', 'other');
const role = fc.record({
  cluster: fc.boolean(),
  place,
  rules: fc.array(resourceRule, { maxLength: 2 }),
  urls: fc.array(urlRule, { maxLength: 1 }),
  labels: label,
  selectors: fc.option(fc.array(selector, { minLength: 1, maxLength: 2 }), { freq: 3 }),
});
const subject = fc.constantFrom<(names: Names) => object>(
  ({ home }) => ({ kind: 'ServiceAccount', name: 'flows', namespace: home }),
  ({ other }) => ({ kind: 'ServiceAccount', name: 'flows', namespace: other }),
  ({ home }) => ({ kind: 'ServiceAccount', name: 'other', namespace: home }),
  ({ home }) => ({ kind: 'User', name: `system:serviceaccount:${home}:flows` }),
  ({ other }) => ({ kind: 'User', name: `system:serviceaccount:${other}:flows` }),
  () => ({ kind: 'User', name: 'flows' }),
  () => ({ kind: 'Group', name: 'system:serviceaccounts' }),
  ({ home }) => ({ kind: 'Group', name: `system:serviceaccounts:${home}` }),
  ({ other }) => ({ kind: 'Group', name: `system:serviceaccounts:${other}` }),
  () => ({ kind: 'Group', name: 'system:authenticated' }),
  () => ({ kind: 'Group', name: 'system:unauthenticated' }),
);
const binding = fc.record({
  role: fc.nat(4),
  everywhere: fc.boolean(),
  place,
  subjects: fc.array(subject, { minLength: 1, maxLength: 2 }),
});

const sets = fc
  .record({
    mutual: fc.nat(4).map((n) => n === 0),
    roles: fc.array(role, { minLength: 1, maxLength: 5 }),
    bindings: fc.array(binding, { minLength: 1, maxLength: 3 }),
  })
  .map(({ mutual, roles, bindings }) => (names: Names): { objects: object[]; mutual: boolean } => {
    const apiVersion = 'rbac.authorization.k8s.io/v1';
    // Names of cluster roles are of the whole cluster.
    const nameOf = (i: number) => `${names.home}-${i}`;
    const asRole = (it: (typeof roles)[number], i: number) => {
      const labels = Object.fromEntries(Object.entries(it.labels).map(([key, value]) => [`example.com/${key}`, value]));
      // None collects one that collects others, but where they may each other.
      const metadata = { name: nameOf(i), labels: it.selectors === null || mutual ? labels : {} };
      if (!it.cluster) return { apiVersion, kind: 'Role', metadata: { ...metadata, namespace: names[it.place] }, rules: it.rules };
      const aggregationRule = it.selectors === null ? {} : { aggregationRule: { clusterRoleSelectors: it.selectors } };
      return { apiVersion, kind: 'ClusterRole', metadata, rules: [...it.rules, ...it.urls], ...aggregationRule };
    };
    const asBinding = (it: (typeof bindings)[number], i: number) => {
      const target = roles[it.role % roles.length];
      const everywhere = it.everywhere && target?.cluster;
      return {
        apiVersion,
        kind: everywhere ? 'ClusterRoleBinding' : 'RoleBinding',
        metadata: { name: nameOf(i), ...(!everywhere && { namespace: names[it.place] }) },
        roleRef: {
          apiGroup: 'rbac.authorization.k8s.io',
          kind: target?.cluster ? 'ClusterRole' : 'Role',
          name: nameOf(it.role % roles.length),
        },
        // An API group is the default, but for accounts, which have none.
        subjects: it.subjects.map((make) => make(names)),
      };
    };
    return { objects: [...roles.map(asRole), ...bindings.map(asBinding)], mutual };
  });
