// Values at, and now and then just beyond, the edges of what the constructs accept.
import { Duration, Size } from 'cdk8s';
import { ConfigMapKeyRef, type ContainerResources, Cpu, EnvFrom, EnvValue, SecretKeyRef, Volume } from '../../../lib';
import fc from '../../fast-check';

/** A value that is made, or refused, only while the construct is built; a counterexample shows the call. */
export class Call<T> {
  constructor(
    private readonly text: string,
    readonly make: () => T,
  ) {}

  [fc.toStringMethod](): string {
    return this.text;
  }
}

/** Props of which any part may still be a call. */
export type Spec<T> =
  | T
  | Call<T>
  | (T extends readonly (infer U)[]
      ? Spec<U>[]
      : T extends (...args: never[]) => unknown
        ? T
        : T extends object
          ? { [K in keyof T]: Spec<T[K]> }
          : T);

export function made<T>(spec: Spec<NoInfer<T>>): T {
  if (spec instanceof Call) return made<T>(spec.make());
  if (Array.isArray(spec)) return spec.map((item) => made(item)) as T;
  if (spec === null || typeof spec !== 'object' || ![Object.prototype, null].includes(Object.getPrototypeOf(spec))) return spec as T;
  return Object.fromEntries(Object.entries(spec).map(([key, value]) => [key, made(value)])) as T;
}

/** `name(argument)`, of any argument that `argument` generates. */
export function call<A, T>(name: string, make: (argument: A) => T, argument: fc.Arbitrary<A>): fc.Arbitrary<Call<T>> {
  return argument.map((value) => new Call(`${name}(${fc.stringify(value)})`, () => make(value)));
}

/** Mostly the first; one time in eight hundred what some part of Kubernetes or of ours refuses, so that most sets are still accepted. */
export function seldom<T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 799, arbitrary: usual }, { weight: 1, arbitrary: odd });
}

const of = fc.constantFrom;
export const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

export const dnsLabel = seldom(
  fc.oneof(of('a', '0', 'a--b', 'xn--a', '0'.repeat(63), `a${'-'.repeat(61)}b`), fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)),
  of('', 'A', 'a.b', 'a'.repeat(64), '-a', 'constructor'),
);
export const dnsSubdomain = seldom(
  fc.oneof(
    of('a', '0.0', `${'a.'.repeat(126)}a`, `${'a'.repeat(200)}.b`, 'a'.repeat(253)),
    fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,9}[a-z0-9])?){0,3}$/),
  ),
  of('', 'A', 'a..b', 'a'.repeat(254), 'a.-b'),
);
const labelName = fc.oneof(
  of('A', '0', 'a_b.C-d', 'Z'.repeat(63), `0${'._-'.repeat(20)}9`),
  fc.stringMatching(/^[A-Za-z0-9]([-_.A-Za-z0-9]{0,30}[A-Za-z0-9])?$/),
);
const qualified = fc.oneof(
  labelName,
  fc.tuple(dnsSubdomain, labelName).map((parts) => parts.join('/')),
);
export const labelKey = seldom(
  qualified,
  of(
    '/a',
    'a/b/c',
    'a b',
    'job-name',
    'controller-uid',
    'batch.kubernetes.io/job-name',
    'batch.kubernetes.io/controller-uid',
    'pod-template-hash',
  ),
);
export const labelValue = seldom(fc.oneof(of(''), labelName), of(' ', '-', 'a b', 'Z'.repeat(64)));
export const labels = fc.dictionary(labelKey, labelValue, { maxKeys: 4 });

const text = fc.oneof(
  of('', ' ', '\n', '\t\r', '数据 😀', '$(HOME) $$', '\'"\\', 'x'.repeat(5_000)),
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }),
);
const annotationKey = seldom(
  fc.oneof(qualified, of('Example.COM/Key')),
  of(
    'controller.kubernetes.io/pod-deletion-cost',
    'kubernetes.io/config.mirror',
    'scheduler.alpha.kubernetes.io/critical-pod',
    'scheduler.alpha.kubernetes.io/tolerations',
    'seccomp.security.alpha.kubernetes.io/pod',
    'container.seccomp.security.alpha.kubernetes.io/flow',
    'security.alpha.kubernetes.io/sysctls',
  ),
);
const annotationValue = fc.oneof({ weight: 20, arbitrary: text }, { weight: 1, arbitrary: of('-1', 'runtime/default', '[]') });
/** Up to the 262,144 bytes that an object may have, to which some constructs add their own. */
const large = fc
  .integer({ min: 262_144 - 200, max: 262_144 })
  .map((size) => new Call(`{ a: 'x'.repeat(${size - 1}) }`, () => ({ a: 'x'.repeat(size - 1) })));
export const annotations: fc.Arbitrary<Spec<Record<string, string>>> = fc.oneof(
  { weight: 50, arbitrary: fc.dictionary(annotationKey, annotationValue, { maxKeys: 4 }) },
  { weight: 1, arbitrary: large },
);
/** And what they may say of a container. */
export const annotationsOf = (container: string) =>
  fc.oneof(
    { weight: 19, arbitrary: annotations },
    {
      weight: 1,
      arbitrary: fc
        .tuple(
          seldom(of(container), of('', 'nobody')),
          seldom(of('', 'runtime/default', 'localhost/größe', 'localhost/'), of('unconfined', 'x')),
        )
        .map(([name, profile]) => ({ [`container.apparmor.security.beta.kubernetes.io/${name}`]: profile })),
    },
  );

const dataKey = seldom(
  fc.oneof(of('a', '.a', '_', '-', 'A.b', 'k'.repeat(253)), fc.stringMatching(/^[-_A-Za-z0-9][-._A-Za-z0-9]{0,20}$/)),
  of('', '.', '..', '...', 'a/b', 'ä'),
);
export const secretKeyRef = call('SecretKeyRef.of', ([name, key]) => SecretKeyRef.of(name, key), fc.tuple(dnsSubdomain, dataKey));
export const configMapKeyRef = call('ConfigMapKeyRef.of', ([name, key]) => ConfigMapKeyRef.of(name, key), fc.tuple(dnsSubdomain, dataKey));
const fieldPath = seldom(
  fc.oneof(
    of('metadata.name', 'metadata.namespace', 'metadata.uid', 'spec.nodeName', 'spec.serviceAccountName', 'status.hostIP', 'status.podIP'),
    qualified.map((key) => `metadata.labels['${key}']`),
    qualified.map((key) => `metadata.annotations['${key}']`),
    of("metadata.annotations['Example.COM/Key']"),
  ),
  fc.oneof(
    of(
      '',
      'status.phase',
      "metadata.labels['a b']",
      "metadata.labels['a/b/c']",
      "metadata.annotations['/']",
      "metadata.labels['Example.COM/a']",
    ),
    fc.string({ minLength: 1, maxLength: 3 }).map((key) => `metadata.labels['${key}']`),
  ),
);
const envValue: fc.Arbitrary<Spec<EnvValue>> = fc.oneof(
  {
    weight: 1,
    arbitrary: of(1_000_000, 1_048_576).map((size) => new Call(`EnvValue.of('x'.repeat(${size}))`, () => EnvValue.of('x'.repeat(size)))),
  },
  { weight: 300, arbitrary: call('EnvValue.of', EnvValue.of, text) },
  { weight: 100, arbitrary: call('EnvValue.fromField', EnvValue.fromField, fieldPath) },
  {
    weight: 100,
    arbitrary: secretKeyRef.map((ref) => new Call(`EnvValue.fromSecret(${fc.stringify(ref)})`, () => EnvValue.fromSecret(made(ref)))),
  },
  {
    weight: 100,
    arbitrary: configMapKeyRef.map(
      (ref) => new Call(`EnvValue.fromConfigMap(${fc.stringify(ref)})`, () => EnvValue.fromConfigMap(made(ref))),
    ),
  },
);
const envName = seldom(
  fc.oneof(of('A', '_', '-', '.a', 'a.b-C_9', 'N'.repeat(300)), fc.stringMatching(/^[-_A-Za-z][-._A-Za-z0-9]{0,20}$/)),
  of('', '.', '..', '1A', 'A B', 'A=B', 'Ä', 'constructor', 'HOME', 'PREFECT__CLOUD__API_KEY'),
);
export const env = fc.dictionary(envName, envValue, { maxKeys: 4 });
const envFromOptions = fc.record({ prefix: optional(envName), optional: optional(fc.boolean()) });
export const envFrom = fc.array(
  fc.oneof(
    call('EnvFrom.secret', ([name, options]) => EnvFrom.secret(name, options), fc.tuple(dnsSubdomain, envFromOptions)),
    call('EnvFrom.configMap', ([name, options]) => EnvFrom.configMap(name, options), fc.tuple(dnsSubdomain, envFromOptions)),
  ),
  { maxLength: 2 },
) as fc.Arbitrary<Spec<EnvFrom[]>>;

export const mountPath = seldom(
  fc.oneof(
    of('/a', '/mnt/a b', '/mnt/größe', '/...', '/mnt/..a', '/etc/prefect2', '/mnt/a,b', '/mnt/$(X)', `/${'m'.repeat(300)}`),
    // Two that are alike are refused.
    fc.stringMatching(/^(\/[A-Za-z0-9_-]{4,12}){1,3}$/),
    fc.stringMatching(/^(\/[A-Za-z0-9_-]{4,12}){1,3}$/),
  ),
  fc.oneof(of('', '/', '/a/', '/a//b', '/a/../b', 'a', '/a:b', '/.', '/a/./b', '/a\n', '/a\\b'), fc.stringMatching(/^(\/[^/]{1,3}){1,3}$/)),
);
const subPath = seldom(
  of('a', 'a/b', '...', '..a/b', 'größe', 'a b', '$(X)'),
  of('', '.', './a', 'a//b', 'a/', '/a', '..', 'a/..', 'a\\..\\b', 'a\n'),
);
const mount = { mountPath, subPath: optional(subPath), readOnly: optional(fc.boolean()) };
const dataMount = {
  ...mount,
  defaultMode: optional(seldom(of(0, 0o400, 0o777), of(-1, 0o1000, 0.5))),
  items: optional(
    fc
      .dictionary(dataKey, seldom(of('a', 'a/b', '.ssh/id'), of('', '/a', '../a', 'a/../b')), { maxKeys: 2 })
      // Paths of their own, below their first folder.
      .filter((items) => new Set(Object.values(items).map((path) => path.split('/')[0])).size === Object.keys(items).length),
  ),
  optional: optional(fc.boolean()),
};
/** Sources that Pod Security "restricted" allows, and two that it does not. */
const source = of<Record<string, unknown>>(
  { csi: { driver: 'csi.example', readOnly: true } },
  { projected: { sources: [{ secret: { name: 'a' } }] } },
  { downwardAPI: { items: [{ path: 'a', fieldRef: { fieldPath: 'metadata.name' } }] } },
  { ephemeral: { volumeClaimTemplate: { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } } } },
  { nfs: { server: 'files.example', path: '/a' } },
  { hostPath: { path: '/a' } },
);
const volume: fc.Arbitrary<Spec<Volume>> = fc.oneof(
  call('Volume.emptyDir', Volume.emptyDir, fc.record({ ...mount, inMemory: optional(fc.boolean()) })),
  call('Volume.fromSecret', ([name, options]) => Volume.fromSecret(name, options), fc.tuple(dnsSubdomain, fc.record(dataMount))),
  call('Volume.fromConfigMap', ([name, options]) => Volume.fromConfigMap(name, options), fc.tuple(dnsSubdomain, fc.record(dataMount))),
  call('Volume.fromSource', ([source, options]) => Volume.fromSource(source, options), fc.tuple(source, fc.record(mount))),
  call(
    'Volume.fromPersistentVolumeClaim',
    ([name, options]) => Volume.fromPersistentVolumeClaim(name, options),
    fc.tuple(dnsSubdomain, fc.record(mount)),
  ),
);
export const volumes = fc.dictionary(dnsLabel, volume, { maxKeys: 3 });

const smallCpu = fc.oneof(
  call('Cpu.millis', Cpu.millis, fc.integer({ min: 1, max: 999 })),
  call('Cpu.units', Cpu.units, of(0.001, 0.25, 1)),
);
const largeCpu = fc.oneof(
  call('Cpu.units', Cpu.units, fc.integer({ min: 1, max: 1_000_000 })),
  call(
    'Cpu.millis',
    Cpu.millis,
    seldom(of(1_000, 2 ** 31, Number.MAX_SAFE_INTEGER), of(0, 0.5, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e21, 1e22, 2 ** 63)),
  ),
);
const smallSize = fc.oneof(
  call(
    'Size.kibibytes',
    Size.kibibytes,
    seldom(fc.oneof(of(0.5, 1.25), fc.integer({ min: 0, max: 1_024 })), of(0.0001, 1.3, Number.NaN, -1)),
  ),
);
const largeSize = fc.oneof(
  call('Size.mebibytes', Size.mebibytes, fc.integer({ min: 1, max: 1_000_000 })),
  call('Size.gibibytes', Size.gibibytes, of(1, 1.5, 1_024, 2 ** 20)),
  call('Size.tebibytes', Size.tebibytes, of(1, 8_191)),
  call('Size.pebibyte', Size.pebibyte, seldom(of(1, 7), of(8, 8_192, 2 ** 40, 1e22, Number.POSITIVE_INFINITY))),
);
const amounts = <T>(name: 'cpu' | 'memory' | 'ephemeralStorage', small: fc.Arbitrary<Call<T>>, large: fc.Arbitrary<Call<T>>) =>
  fc.oneof(
    of({}),
    large.map((limit) => ({ [`${name}Limit`]: limit })),
    large.map((request) => ({ [`${name}Request`]: request })),
    fc.oneof(small, large).map((both) => ({ [`${name}Request`]: both, [`${name}Limit`]: both })),
    fc.tuple(small, large).map(([request, limit]) => ({ [`${name}Request`]: request, [`${name}Limit`]: limit })),
  );
export const resources = fc
  .tuple(amounts('cpu', smallCpu, largeCpu), amounts('memory', smallSize, largeSize), amounts('ephemeralStorage', smallSize, largeSize))
  .map((parts) => Object.assign({}, ...parts) as Spec<ContainerResources>);

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
export const image = seldom(
  of(
    'a:1',
    `a@${digest}`,
    `registry.example:5000/team/prefect:42@${digest}`,
    'localhost/a:_',
    'LOCALHOST:5000/a__b/c--d:V.1-x',
    `a:${'t'.repeat(128)}`,
    `${'p'.repeat(400)}:1`,
    'prefecthq/prefect:1.4.1-python3.7',
    'docker.io/prefecthq/prefect:1.2.4',
  ),
  of('a', 'a:latest', 'A:1', 'a:1 ', ' a:1', 'a:1\n', `a:${'t'.repeat(129)}`, 'a@sha256:0', '[::1]:5000/a:1', 'prefecthq/prefect:2.0.0'),
);

/** Whole seconds, up to the most that is accepted. */
export const duration = (min: number, max: number) =>
  seldom(
    call('Duration.seconds', Duration.seconds, fc.oneof(of(min, max), fc.integer({ min, max }))),
    fc.oneof(
      call('Duration.seconds', Duration.seconds, of(0, 0.5, 119, 2 ** 31, 2 ** 53, 1e19, 1e21, 1e22)),
      call('Duration.hours', Duration.hours, of(0.3, 1, 1e16, 1e20)),
    ),
  );
