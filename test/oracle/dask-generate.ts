import { Duration, Size } from 'cdk8s';
import {
  Cpu,
  DaskDeployMode,
  type DaskPodOptions,
  type DaskWorkerPolicyProps,
  EnvFrom,
  EnvValue,
  type FlowJobProps,
  type PodOptions,
  PodSecurity,
  SecretKeyRef,
  TaintEffect,
  Volume,
} from '../../lib';
import fc from '../fast-check';
import { dnsLabel, envVars, isAccepted } from './generate';

/** Text that has gone wrong between YAML as JavaScript writes it and as Python reads it, in Python's literals, and in Dask's expansion. */
const NASTY = [
  ...['', ' ', '\t', 'a\nb\n', ' lead', 'trail ', '~', 'null', 'on', '012', '1_000', '0x1F', '1e3', '1:30', '2001-12-14', '.inf'],
  ...[
    '=',
    '<<',
    '0o17',
    '- a',
    'a: b',
    '# c',
    '@a',
    '%a',
    '!a',
    '&a',
    '*a',
    '|',
    '>',
    '"',
    "'",
    "it's",
    '\\',
    '{',
    '}',
    '{POD_NAME}',
    '{{}}',
  ],
  ...['$', '$$', '$$(A)', '$(HOME)', '$(DASK_SCHEDULER_ADDRESS)', '$.', 'größe', '数据', '😀', 'a\rb', '\u001b'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: what Dask would expand
  ...['$HOME', '${HOME}', '$$HOME', 'x'.repeat(3000)],
];
const text = fc
  .oneof({ weight: 9, arbitrary: fc.constantFrom(...NASTY) }, fc.string({ unit: 'grapheme', maxLength: 20 }))
  .filter(isAccepted);

const key = fc.constantFrom('team', 'example.com/stage', 'a.b-c_D', 'on', '012', '1e3', 'x'.repeat(63));
const value = fc.constantFrom('', 'data', 'on', '012', '1e3', '1_000', '2001-12-14', 'null', 'x'.repeat(63));
const labels = fc.dictionary(key, value, { maxKeys: 3 });
const seconds = fc.integer({ min: 1, max: 100_000 }).map((amount) => Duration.seconds(amount));

const env = fc
  .tuple(fc.dictionary(fc.constantFrom('A', 'TEAM', '_a.b-c', 'items'), text, { maxKeys: 3 }), envVars)
  .map(([nasty, others]) => Object.fromEntries(Object.entries({ ...others, ...nasty }).map(([name, given]) => [name, EnvValue.of(given)])));

const expressions = fc.constantFrom(
  [{ key: 'zone', operator: 'In', values: ['on', '012'] }],
  [{ key: 'spot', operator: 'DoesNotExist' }],
  [{ key: 'cores', operator: 'Gt', values: ['8'] }],
);
const term = expressions.map((matchExpressions) => ({ matchExpressions }));
const podTerm = fc.record({ labelSelector: term, topologyKey: fc.constant('kubernetes.io/hostname'), namespaces: fc.constant(['a', 'b']) });
const affinity: fc.Arbitrary<Record<string, unknown>> = fc.record(
  {
    nodeAffinity: fc.record(
      {
        requiredDuringSchedulingIgnoredDuringExecution: fc.record({ nodeSelectorTerms: fc.array(term, { minLength: 1, maxLength: 2 }) }),
        preferredDuringSchedulingIgnoredDuringExecution: fc.array(
          fc.record({ weight: fc.integer({ min: 1, max: 100 }), preference: term }),
          {
            maxLength: 2,
          },
        ),
      },
      { requiredKeys: [] },
    ),
    podAffinity: fc.record({
      preferredDuringSchedulingIgnoredDuringExecution: fc.array(fc.record({ weight: fc.constant(1), podAffinityTerm: podTerm }), {
        maxLength: 2,
      }),
    }),
    podAntiAffinity: fc.record({ requiredDuringSchedulingIgnoredDuringExecution: fc.array(podTerm, { maxLength: 2 }) }),
  },
  { requiredKeys: [] },
);

/** Fields that every Kubernetes client of Python knows. */
const podSpec: fc.Arbitrary<Record<string, unknown>> = fc.record(
  {
    hostAliases: fc.constant([{ ip: '192.0.2.1', hostnames: ['a.example', 'on'] }]),
    dnsConfig: fc.constant({
      nameservers: ['192.0.2.53'],
      searches: ['example'],
      options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }],
    }),
    dnsPolicy: fc.constantFrom('None', 'Default'),
    enableServiceLinks: fc.boolean(),
    preemptionPolicy: fc.constant('Never'),
    runtimeClassName: dnsLabel,
    schedulerName: dnsLabel,
    shareProcessNamespace: fc.boolean(),
    topologySpreadConstraints: term.map((labelSelector) => [
      { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway', labelSelector },
    ]),
  },
  { requiredKeys: [] },
);

const podOptions = {
  podLabels: labels,
  podAnnotations: fc.dictionary(key, text, { maxKeys: 3 }),
  nodeSelector: labels,
  tolerations: fc.array(
    fc.constantFrom(
      {},
      { key: 'gpu', effect: TaintEffect.NO_SCHEDULE },
      { key: '012', value: 'on' },
      { key: 'spot', effect: TaintEffect.NO_EXECUTE, tolerationSeconds: Duration.minutes(5) },
    ),
    { maxLength: 3 },
  ),
  affinity,
  priorityClassName: dnsLabel,
  imagePullSecrets: fc.uniqueArray(dnsLabel, { maxLength: 2 }),
  omitRunAsUser: fc.boolean(),
  podSpec,
} satisfies { [prop in keyof Required<PodOptions>]: unknown };

const resources = fc.record(
  {
    cpuRequest: fc.constantFrom(Cpu.millis(1), Cpu.units(2)),
    cpuLimit: fc.constantFrom(Cpu.millis(2500), Cpu.units(64)),
    memoryRequest: fc.constantFrom(Size.kibibytes(1), Size.mebibytes(1500)),
    memoryLimit: fc.constantFrom(Size.mebibytes(2500), Size.gibibytes(4), Size.kibibytes(3_000_001)),
    ephemeralStorageLimit: fc.constant(Size.gibibytes(10)),
    extendedResources: fc.constant({ 'nvidia.com/gpu': 2 }),
  },
  { requiredKeys: [] },
);

const daskPod: fc.Arbitrary<DaskPodOptions> = fc.record({ ...podOptions, resources, env }, { requiredKeys: [] });

export const policyProps: fc.Arbitrary<DaskWorkerPolicyProps> = fc.record(
  {
    deployMode: fc.oneof({ weight: 4, arbitrary: fc.constant(DaskDeployMode.REMOTE) }, fc.constant(DaskDeployMode.LOCAL)),
    worker: daskPod,
    scheduler: daskPod,
    threads: fc.integer({ min: 1, max: 1024 }),
    deathTimeout: seconds,
    clientTimeout: seconds,
    idleTimeout: seconds,
    networkPolicy: fc.boolean(),
    resourceName: dnsLabel,
  },
  { requiredKeys: [] },
);

export const flowJobProps: fc.Arbitrary<FlowJobProps> = fc.record(
  {
    ...podOptions,
    image: fc.constantFrom('registry.example:5000/team/flows:42', `flows@sha256:${'0'.repeat(64)}`),
    resources,
    env,
    volumes: fc.constantFrom<Record<string, Volume>>(
      { cache: Volume.emptyDir({ mountPath: '/cache', inMemory: true }), tmp: Volume.emptyDir({ mountPath: '/on' }) },
      { data: Volume.fromPersistentVolumeClaim('data', { mountPath: '/data', readOnly: true, subPath: '012' }) },
      {
        certs: Volume.fromSecret('certs', { mountPath: '/certs', defaultMode: 0o400, items: { '012': 'a$HOME' }, optional: true }),
        store: Volume.fromSource({ csi: { driver: 'csi.example', readOnly: true } }, { mountPath: '/store' }),
        aws: Volume.fromSecret('aws', { mountPath: '/home/prefect/.aws' }),
        team: Volume.fromConfigMap('team', { mountPath: '/etc/prefect/team' }),
      },
    ),
    serviceAccountName: dnsLabel,
    initContainers: fc.constant([
      {
        name: 'fetch',
        image: 'fetch:1',
        command: ['sh', '-c'],
        args: ['echo "$(A)"'],
        env: { KEY: EnvValue.fromSecret(SecretKeyRef.of('s', 'k')) },
      },
    ]),
    envFrom: fc.constant([EnvFrom.secret('settings', { prefix: 'A_' }), EnvFrom.configMap('more', { optional: true })]),
    sidecars: fc.constant([{ name: 'proxy', image: 'proxy:1', startupProbe: { tcpSocket: { port: 5432 } } }]),
    activeDeadline: seconds,
    terminationGracePeriod: seconds,
    extraPipPackages: fc.constantFrom(['pandas>=1.5,<2'], ['dask-kubernetes==2024.4.2', 's3fs']),
    podSecurity: fc.constantFrom(...Object.values(PodSecurity)),
  },
  { requiredKeys: [] },
);
