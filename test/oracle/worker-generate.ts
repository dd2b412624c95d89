import { Duration, Size } from 'cdk8s';
import {
  type BaseJobTemplateProps,
  ConfigMapKeyRef,
  Cpu,
  EnvValue,
  EvictionPolicy,
  ImagePullPolicy,
  JobVariable,
  PodSecurity,
  Prefect3Api,
  SecretKeyRef,
  TaintEffect,
  Volume,
  type WorkerFlowRun,
} from '../../lib';
import fc from '../fast-check';
import * as generate from './generate';

export const KEY = SecretKeyRef.of('prefect-api-key', 'token');
export const CA = ConfigMapKeyRef.of('team-ca', 'bundle.pem');

/** Connections, each with what a worker with it is told. */
export const apis = {
  server: { api: Prefect3Api.server({ url: 'http://prefect.example:4200/api' }), env: {} },
  auth: {
    api: Prefect3Api.server({
      url: 'https://prefect.example/api',
      authString: KEY,
      proxy: { url: 'http://proxy.example:3128', noProxy: ['.example.com'] },
    }),
    env: {
      PREFECT_API_AUTH_STRING: 'marker-of-the-secret',
      PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_NAME: KEY.name,
      PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_KEY: KEY.key,
    },
  },
  cloud: {
    api: Prefect3Api.cloud({
      accountId: '11111111-2222-3333-4444-555555555555',
      workspaceId: '66666666-7777-8888-9999-000000000000',
      apiKey: KEY,
      certificateAuthorities: CA,
    }),
    env: {
      PREFECT_API_KEY: 'marker-of-the-secret',
      PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_KEY_SECRET_NAME: KEY.name,
      PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_KEY_SECRET_KEY: KEY.key,
    },
  },
};

const name = fc.oneof(
  fc.constantFrom('brave-lynx', 'ETL (nightly)', "it's", 'a--b', '1,000 rows', '_x_', '--', "''", 'a'.repeat(70), '{{ image }}', '$(HOME)'),
  fc.stringMatching(/^[ -%'-~]{1,60}$/),
);

/** Names that Prefect's API takes for flows and deployments. */
const plainName = name.filter((text) => !/[/%&<>]/.test(text) && text.trim() !== '');

/** A flow run, complete. */
export const run: fc.Arbitrary<Required<Omit<WorkerFlowRun, 'prefectVersion'>>> = fc.record({
  id: generate.uuid,
  name: name.filter((text) => text.trim() !== ''),
  flowId: generate.uuid,
  flowName: plainName,
  deploymentId: generate.uuid,
  deploymentName: plainName,
  workPoolId: generate.uuid,
  workPoolName: fc.constantFrom('k8s', 'Team A', 'a--b'),
  workerId: generate.uuid,
  workerName: fc.constantFrom('worker', 'KubernetesWorker 3f2c', 'a.b_c'),
});

/** Variables that a template may declare, each with values that it takes and values that it does not. */
interface Declared {
  readonly variable: fc.Arbitrary<JobVariable>;
  readonly good: fc.Arbitrary<unknown>;
  readonly bad: fc.Arbitrary<unknown>;
}
const quantity = (...good: string[]): Declared => ({
  variable: fc.constant(JobVariable.string()),
  good: fc.constantFrom(...good),
  bad: fc.constantFrom('2 GB', 2, '', null, true, ['1'], '-1', 'two'),
});
/** Below each limit: the API takes a request above it, and Kubernetes does not. */
const request = quantity('1', '500m', '1.5');
const map = (taken: string, locked: string, ...more: object[]): Declared => ({
  variable: fc.constant(JobVariable.map({ description: 'More.' })),
  good: fc.constantFrom({}, { [taken]: 'a' }, { [taken]: 'b', 'other.x': '' }, ...more),
  bad: fc.constantFrom({ [locked]: 'x' }, { [taken]: 1 }, null, 'a', ['a']),
});
const text = (good: unknown[], bad: unknown[], variable: JobVariable): Declared => ({
  variable: fc.constant(variable),
  good: fc.constantFrom(...good),
  bad: fc.constantFrom(...bad),
});
export const declared: Record<string, Declared> = {
  image: text(['registry.example/other:1', 'a'], ['', 'a b', '{{ prefect.blocks.secret.x }}', null, 7], JobVariable.string()),
  image_pull_policy: text(['Always', 'Never'], ['always', '', null], JobVariable.string()),
  cpu_request: request,
  cpu_limit: quantity('2', '2Gi', '1P'),
  memory_request: request,
  memory_limit: text(['1Gi', '4Gi'], ['2Gi', '', null, 1], JobVariable.choice(['1Gi', '4Gi'])),
  service_account_name: text(['runner', 'a.b'], ['Runner', '', null, 'a_b'], JobVariable.string()),
  finished_job_ttl: text([600, 7200], [599, '600', 600.5, true, null], JobVariable.integer()),
  name: text(['nightly', 'A b--c', ''], ['{{ ctx.flow.name }}', null, 1], JobVariable.string()),
  env: map('TEAM', 'PREFECT__FLOW_RUN_ID', { TEAM: null }, { PREFECT_LOGGING_LEVEL: null, OWN: null }),
  labels: map('team', 'prefect.io/flow-run-id'),
  annotations: map('example.com/team', 'karpenter.sh/do-not-disrupt'),
  team: text(['fraud', 'risk'], ['other', null, 1, ['risk']], JobVariable.choice(['fraud', 'risk'], { default: 'risk' })),
  note: text(['', 'a {{ b }} "c"', 'x'], [1, null, {}], JobVariable.string({ description: 'A note.' })),
  stage: text(['s1', 's20'], ['s', 'S1', 'xs1', null], JobVariable.string({ pattern: '^s[0-9]+$', default: 's1' })),
  size: text([0, 4], [-1, 5, '1', 1.5, true, null], JobVariable.integer({ minimum: 0, maximum: 4, default: 1 })),
  open: text([-7, 12], ['1', null], JobVariable.integer()),
  quick: text([true, false], ['true', 0, null], JobVariable.boolean()),
};

export interface Values {
  readonly values: Record<string, unknown>;
  readonly good: boolean;
}

/** Values for a template's variables: good ones, or with one that is refused. */
export function valuesFor(names: string[]): fc.Arbitrary<Values> {
  const entries = names.map((key) =>
    fc.option(declared[key]?.good.map((value) => [key, value] as const) ?? fc.constant(undefined), { nil: undefined }),
  );
  const good = fc
    .tuple(...entries)
    .map((found) => Object.fromEntries(found.filter((entry) => entry !== undefined)) as Record<string, unknown>);
  const bads = [
    fc.constantFrom('imagee', 'memory', 'env.FOO', 'constructor').map((key) => [key, 'x'] as const),
    ...names.map((key) => (declared[key] as Declared).bad.map((value) => [key, value] as const)),
  ];
  return fc.oneof(
    { weight: 3, arbitrary: good.map((values) => ({ values, good: true })) },
    {
      weight: 2,
      arbitrary: fc.tuple(good, fc.oneof(...bads)).map(([values, [key, value]]) => ({ values: { ...values, [key]: value }, good: false })),
    },
  );
}

/** Placeholders of the variables that have no place of their own. */
const placeholders: Record<string, Partial<BaseJobTemplateProps>> = {
  team: { nodeSelector: { team: '{{ team }}', pool: 'p-{{team}}' }, jobLabels: { owner: '{{ team }}' } },
  note: { podAnnotations: { note: '{{ note }}', more: 'a {{ note }} b {{ note }}' } },
  stage: { podLabels: { stage: '{{ stage }}' }, tolerations: [{ key: 'stage', value: '{{ stage }}', effect: TaintEffect.NO_SCHEDULE }] },
  size: { podSpec: { terminationMessageSize: '{{ size }}', dnsConfig: { options: [{ name: 'ndots', value: 'n{{ size }}' }] } } },
  open: { affinity: { weight: ['{{ open }}', 1] } },
  quick: { jobAnnotations: { quick: 'q-{{ quick }}' } },
};

const props: fc.Arbitrary<Partial<BaseJobTemplateProps>> = fc.record(
  {
    flowNamespace: fc.constantFrom('flows', 'team-a'),
    image: fc.constant('registry.example/flows:42'),
    imagePullPolicy: fc.constantFrom(...Object.values(ImagePullPolicy)),
    resources: fc.constantFrom(
      { cpuRequest: Cpu.millis(100), memoryLimit: Size.gibibytes(1) },
      { extendedResources: { 'nvidia.com/gpu': 1 }, ephemeralStorageLimit: Size.gibibytes(1) },
    ),
    env: fc
      .record({ REGION: generate.longText, TEAM: generate.longText, PREFECT_LOGGING_LEVEL: fc.constantFrom('DEBUG', 'INFO') })
      .map((values) => ({
        ...Object.fromEntries(
          Object.entries(values)
            .filter(([, value]) => !/\{\{/.test(value))
            .map(([key, value]) => [key, EnvValue.of(value)]),
        ),
        OWN: EnvValue.fromSecret(SecretKeyRef.of('own', 'key')),
      })),
    volumes: fc.constant({ cache: Volume.fromPersistentVolumeClaim('cache', { mountPath: '/cache' }) }),
    serviceAccountName: fc.constant('flows'),
    imagePullSecrets: fc.constant(['registry']),
    jobLabels: fc.constant({ team: 'data', 'example.com/x': '' }),
    jobAnnotations: fc.constant({ 'example.com/a--b': 'x--y' }),
    podLabels: fc.constant({ stage: 'test', 'app.kubernetes.io/instance': 'a_b.c' }),
    podAnnotations: generate.longText.filter((value) => !/\{\{/.test(value)).map((value) => ({ note: value })),
    initContainers: fc.constant([{ name: 'fetch', image: 'registry.example/fetch:1', command: ['fetch', '--all', '{{ a b }}'] }]),
    sidecars: fc.constant([{ name: 'proxy', image: 'proxy:1' }]),
    activeDeadline: fc.constantFrom(Duration.seconds(1), Duration.hours(1)),
    ttlAfterFinished: fc.constant(Duration.days(1)),
    terminationGracePeriod: fc.constantFrom(Duration.seconds(1), Duration.seconds(90)),
    podSecurity: fc.constantFrom(...Object.values(PodSecurity)),
    onEviction: fc.constantFrom(...Object.values(EvictionPolicy)),
    podSpec: fc.constant({ hostAliases: [{ ip: '192.0.2.1', hostnames: ['a.example'] }], completions: 1 }),
  },
  { requiredKeys: [] },
);

export interface Generated {
  readonly props: Partial<BaseJobTemplateProps>;
  readonly names: string[];
}

/** Props of templates, with the variables that they declare; without `jobVariables` at times. */
export const template: fc.Arbitrary<Generated> = fc
  .tuple(props, fc.option(fc.subarray(Object.keys(declared)), { nil: undefined }))
  .chain(([some, names]): fc.Arbitrary<Generated> => {
    if (names === undefined) return fc.constant({ props: some, names: ['image'] });
    const jobVariables = fc.record(Object.fromEntries(names.map((key) => [key, (declared[key] as Declared).variable])));
    return jobVariables.map((variables) => {
      const all = names.reduce<Partial<BaseJobTemplateProps>>((sum, key) => merge(sum, placeholders[key] ?? {}), some);
      // The default of a choice must be one of its values.
      const resources = names.includes('memory_limit') ? { ...all.resources, memoryLimit: Size.gibibytes(1) } : all.resources;
      return { props: { ...all, ...(resources && { resources }), jobVariables: variables }, names };
    });
  });

function merge(a: Partial<BaseJobTemplateProps>, b: Partial<BaseJobTemplateProps>): Partial<BaseJobTemplateProps> {
  // biome-ignore lint/suspicious/noExplicitAny: props of every kind
  const all: any = { ...a };
  for (const [key, value] of Object.entries(b)) all[key] = Array.isArray(value) ? value : { ...all[key], ...(value as object) };
  return all;
}
