// Kubernetes' own code is asked what the upgrade review takes for granted: the types of its fields, and what rules cover.
import { join } from 'node:path';
import { KEYS } from '../../lib/kubernetes/_apply';
import { type Rule, uncovered } from '../../lib/kubernetes/_permissions';
import { MAPS, POINTERS_TO_TEXT, QUANTITIES, quantityOf, RESOURCES, VALUES } from '../../lib/kubernetes/_stored';
import { buildModule } from '../cluster/harness/own/binaries';
import fc from '../fast-check';
import { PythonOracle } from './oracle';

let oracle: PythonOracle;
beforeAll(async () => {
  const programs = await buildModule(join(__dirname, 'modules/upgrade-review'), '1 minute');
  oracle = new PythonOracle(join(programs, 'upgrade-review'), [], process.env);
});
afterAll(() => oracle?.stop());

interface Field {
  readonly path: string;
  readonly type: string;
  readonly pointer: boolean;
  readonly key?: string;
}

/** Names that two types have, as a value in one and as a pointer in the other: taken for what the more common one is. */
const AMBIGUOUS = new Set([
  ...[
    'csi.readOnly',
    'azureDisk.readOnly',
    'fc.lun',
    'iscsi.lun',
    'clientIP.timeoutSeconds',
    'spec.resources',
    'NetworkPolicy.podSelector',
  ],
  ...['httpGet.port', 'tcpSocket.port', 'grpc.port', 'ports.targetPort', 'ports.port', 'metadata.creationTimestamp'],
]);
const TEXT = ['type', 'fsType', 'kind', 'name', 'signerName', 'apiGroup', 'namespace', 'restartPolicy', 'protocol', 'service', 'mode'];
const MORE_TEXT = ['value', 'podGroupName', 'containerName', 'succeededIndexes'];

test('which fields tell none from zero, are maps or quantities, or have keys, is as in k8s.io/api', async () => {
  const fields: Field[] = await oracle.ask({ types: true });
  expect(fields.length).toBeGreaterThan(1_000);
  const wrong = fields.filter(({ path, type, pointer, key }) => {
    const [parent, name = ''] = path.split('.').slice(-2);
    if (AMBIGUOUS.has(`${parent}.${name}`)) return false;
    if (key !== undefined && KEYS.get(name)?.[0] !== key && !UNUSED.has(name) && path !== 'Service.ports') return true;
    if (type.startsWith('quantity')) return type.endsWith('map') ? !RESOURCES.has(name) || !MAPS.has(name) : !QUANTITIES.has(name);
    if (type.startsWith('list')) return false;
    if (type === 'map') return !MAPS.has(name) && !['options', 'selector'].includes(name);
    if (type === 'string') return POINTERS_TO_TEXT.has(name) !== pointer && ![...TEXT, ...MORE_TEXT].includes(name);
    return /^(bool|u?int\d*|struct)$/.test(type) && VALUES.has(name) === pointer;
  });
  expect(wrong).toEqual([]);
});
/** Keyed lists that nothing fills in defaults of, so that they are merged as a whole. */
const UNUSED = new Set(['ownerReferences', 'ephemeralContainers', 'schedulingGates', 'resourceClaims', 'evictionResponders', 'secrets']);

test('what rules cover is what k8s.io/component-helpers says, of 5,000 pairs of rule sets', async () => {
  const some = (...words: string[]) => fc.uniqueArray(fc.constantFrom(...words), { maxLength: 3 });
  const rule: fc.Arbitrary<Rule> = fc.record(
    {
      apiGroups: some('', 'batch', 'apps', '*'),
      resources: some('pods', 'jobs', 'pods/log', 'jobs/status', '*', '*/status', 'pods/*', '*/*', 'a/b/c', '*/b/c'),
      resourceNames: some('a', 'b', ''),
      nonResourceURLs: some('/version', '/healthz/*', '/healthz/a', '*', '/heal*', '/', '**'),
      verbs: some('get', 'list', 'create', '*'),
    },
    { requiredKeys: ['verbs'] },
  );
  const rules = fc.array(rule, { maxLength: 4 });
  const seen = { covered: 0, not: 0 };
  await fc.assert(
    fc.asyncProperty(rules, rules, async (owner, servant) => {
      const covers: boolean = await oracle.ask({ owner, servant });
      seen[covers ? 'covered' : 'not'] += 1;
      expect(uncovered(owner, servant).length === 0).toBe(covers);
    }),
    { numRuns: 5_000 },
  );
  // Or they agree on one answer alone.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(500);
});

test('amounts are equal when they are', () => {
  for (const [a, b] of [
    ['100m', '0.1'],
    ['256Mi', '268435456'],
    ['256Mi', '262144Ki'],
    ['256Mi', '0.25Gi'],
    ['256Mi', '268.435456M'],
    ['1e3', '1k'],
    ['0.0001', '1m'],
    ['+1', 1],
    ['1E', '1000P'],
  ] as const) {
    expect([a, quantityOf(a, true)]).toEqual([a, quantityOf(b, true)]);
  }
  for (const [a, b] of [
    ['256Mi', '256M'],
    ['1', '1m'],
    ['1E', '1e1'],
    ['', '0'],
    ['x', 'y'],
  ])
    expect(quantityOf(a, true)).not.toEqual(quantityOf(b, true));
  expect(quantityOf(`1e${'9'.repeat(9)}`, true)).toBe(`1e${'9'.repeat(9)}`);
});
