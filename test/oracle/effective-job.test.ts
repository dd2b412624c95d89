import { App, Chart, Duration, Size, Testing } from 'cdk8s';
import {
  Cpu,
  EnvFrom,
  EnvValue,
  EvictionPolicy,
  FlowJobTemplate,
  type FlowJobTemplateProps,
  type FlowRun,
  ImagePullPolicy,
  type KubernetesRun,
  PodSecurity,
  PrefectAgent,
  PrefectApi,
  SecretKeyRef,
} from '../../lib';
import fc from '../fast-check';
import { type Manifest, only } from '../support';
import * as generate from './generate';
import { type ContainerView, containerView } from './kubelet';
import { Oracle } from './oracle';
import releases from './releases.json';

const MARKER = 'marker-of-the-api-key';
const TENANT = '11111111-2222-3333-4444-555555555555';
const RUNS_PER_AGENT = 10;

const image = fc.constantFrom('registry.example/flows:1', 'flows:2@sha256:0');
const quantity = fc.constantFrom('1', '500m', '2Gi');
const runEnv = fc.dictionary(
  fc.oneof(generate.envName, fc.constantFrom('PREFECT__LOGGING__LEVEL', 'PREFECT__BACKEND', 'PREFECT__CLOUD__SEND_FLOW_RUN_LOGS', 'HOME')),
  fc.constantFrom('a', '', 'DEBUG', 'false'),
  { maxKeys: 3 },
);

/** A flow's own template: as little as Prefect wants, or more than it overwrites. */
const ownTemplate = fc.constantFrom(
  { spec: { template: { spec: {} } } },
  { metadata: { name: 'a-name-longer-than-the-48-characters-that-prefect-keeps-of-it' }, spec: { template: { spec: { containers: [] } } } },
  {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'mine', labels: { 'prefect.io/flow_id': 'x', 'cdk8s-prefect/on-eviction': 'fail', team: 'a' } },
    spec: {
      backoffLimit: 3,
      template: {
        metadata: { labels: { stage: 'test' }, annotations: { a: 'b' } },
        spec: {
          restartPolicy: 'OnFailure',
          serviceAccountName: 'own',
          imagePullSecrets: [{ name: 'own' }],
          containers: [
            {
              name: 'main',
              image: 'own:1',
              env: [
                { name: 'PREFECT__BACKEND', value: 'x' },
                { name: 'OWN', value: '1' },
              ],
              resources: { limits: { cpu: '9' } },
            },
            { name: 'other', image: 'other:1' },
          ],
        },
      },
    },
  },
);

const runConfig: fc.Arbitrary<KubernetesRun> = fc.record(
  {
    jobTemplate: ownTemplate,
    image,
    env: runEnv,
    cpuLimit: quantity,
    cpuRequest: quantity,
    memoryLimit: quantity,
    memoryRequest: quantity,
    serviceAccountName: fc.constantFrom('runner', ''),
    imagePullSecrets: fc.array(generate.dnsLabel, { maxLength: 2 }),
    imagePullPolicy: fc.constantFrom('Always', 'Never'),
  },
  { requiredKeys: [] },
);

interface Run {
  readonly run: FlowRun;
  /** The storage and class of run config in which the same run reaches Prefect. */
  readonly storage: string;
  readonly universal: boolean;
}

const storages = ['Docker', 'Local', 'S3', 'GCS', 'Git', 'GitHub', 'Module'];
const coreVersion = fc.constantFrom(
  '0.12.6',
  '0.13.0rc1',
  '0.13.0',
  '0.13.0+5.gabc',
  '0.14.22',
  '0.15.13',
  '1.0.0',
  '1.2.4',
  '1.4.1',
  '1.4.1+2.g0',
);

const run: fc.Arbitrary<Run> = fc
  .record({
    id: generate.uuid,
    flowId: generate.uuid,
    name: fc.option(generate.longText, { nil: undefined }),
    flowName: fc.option(fc.constantFrom('etl', 'größe: "a"'), { nil: undefined }),
    coreVersion,
    storage: fc.constantFrom(...storages),
    universal: fc.boolean(),
    runConfig: fc.option(runConfig, { nil: undefined }),
  })
  .map(({ storage, universal, runConfig: config, ...rest }) => ({
    storage,
    universal,
    run: {
      ...rest,
      dockerStorageImage: storage === 'Docker' ? 'registry.example/team/flow:2020' : undefined,
      runConfig: config && universal ? { env: config.env } : config,
    },
  }));

const someRuns = fc.array(run, { minLength: RUNS_PER_AGENT, maxLength: RUNS_PER_AGENT });

const templateProps: fc.Arbitrary<FlowJobTemplateProps> = fc.record(
  {
    image: fc.constant('registry.example/flows:42'),
    imagePullPolicy: fc.constantFrom(...Object.values(ImagePullPolicy)),
    resources: fc.constant({ cpuRequest: Cpu.millis(100), memoryLimit: Size.gibibytes(1) }),
    env: fc.record({ REGION: generate.longText.map(EnvValue.of), OWN: fc.constant(EnvValue.fromSecret(SecretKeyRef.of('own', 'key'))) }),
    serviceAccountName: fc.constant('flows'),
    automountServiceAccountToken: fc.boolean(),
    envFrom: fc.constant([EnvFrom.secret('settings', { prefix: 'A_' })]),
    omitRunAsUser: fc.boolean(),
    imagePullSecrets: fc.constant(['registry']),
    jobLabels: fc.constant({ team: 'data' }),
    podLabels: fc.constant({ stage: 'test' }),
    podAnnotations: generate.longText.map((text) => ({ note: text })),
    sidecars: fc.constant([{ name: 'proxy', image: 'proxy:1' }]),
    activeDeadline: fc.constant(Duration.hours(1)),
    terminationMessageFromLog: fc.boolean(),
    extraPipPackages: fc.constant(['pandas']),
    podSecurity: fc.constantFrom(...Object.values(PodSecurity)),
    onEviction: fc.constantFrom(...Object.values(EvictionPolicy)),
  },
  { requiredKeys: [] },
);

const agentProps = fc.record({
  labels: fc.uniqueArray(fc.constantFrom('kube', "it's", 'a b', '\\', '$HOME', 'größe'), { maxLength: 3 }),
  flowEnvVars: fc.dictionary(fc.constantFrom('TEAM', 'PREFECT__CLOUD__HEARTBEAT_MODE', 'STAGE'), fc.constantFrom('a', 'thread', '$HOME'), {
    maxKeys: 2,
  }),
  sendFlowRunLogs: fc.boolean(),
  deleteFinishedJobs: fc.boolean(),
  server: fc.boolean(),
});

/** The flow run as Prefect's API describes it. */
function graphql({ run: described, storage, universal }: Run): object {
  const { id, flowId, name, flowName, coreVersion: version, dockerStorageImage, runConfig: config } = described;
  const [registry, ...path] = (dockerStorageImage ?? '').split(':')[0]?.split('/') ?? [];
  const storages: Record<string, object> = {
    Docker: { type: 'Docker', registry_url: registry, image_name: path.join('/'), image_tag: dockerStorageImage?.split(':')[1] },
    Local: { type: 'Local', directory: '/flows' },
    S3: { type: 'S3', bucket: 'flows' },
    GCS: { type: 'GCS', bucket: 'flows' },
    Git: { type: 'Git', repo: 'a/b', flow_path: 'flow.py' },
    GitHub: { type: 'GitHub', repo: 'a/b', path: 'flow.py' },
    Module: { type: 'Module', module: 'flows' },
  };
  const snake = Object.fromEntries(
    Object.entries(config ?? {}).map(([name, value]) => [name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]),
  );
  return {
    id,
    name,
    flow: {
      id: flowId,
      name: flowName,
      core_version: version,
      storage: { ...storages[storage], flows: {}, secrets: [], __version__: version },
    },
    run_config: config ? { type: universal ? 'UniversalRun' : 'KubernetesRun', __version__: version, labels: [], ...snake } : null,
  };
}

/** The random part of names and labels, as `effectiveJob` writes it. */
function withoutIdentifier(job: Manifest): Manifest {
  const identifier = job.metadata.labels['prefect.io/identifier'];
  expect(identifier).toMatch(/^[0-9a-f]{8}$/);
  return JSON.parse(JSON.stringify(job).replaceAll(identifier, '00000000'));
}

describe.each(releases.prefect)('Prefect %s', (release) => {
  const oracle = new Oracle(`prefect==${release}`);
  afterAll(() => oracle.stop());

  function build(
    props: typeof agentProps extends fc.Arbitrary<infer T> ? T : never,
    template: FlowJobTemplateProps,
  ): [PrefectAgent, ContainerView] {
    const chart = new Chart(new App(), 'chart', { namespace: 'prefect' });
    const apiKey = SecretKeyRef.of('prefect-api-key', 'token');
    const agent = new PrefectAgent(chart, 'Agent', {
      ...props,
      api: props.server
        ? PrefectApi.server({ url: 'http://prefect:4200' })
        : PrefectApi.cloud({ apiKey, url: 'https://prefect.example', tenantId: TENANT }),
      jobTemplate: new FlowJobTemplate(chart, 'Jobs', template),
      prefectVersion: release,
    });
    const manifests = Testing.synth(chart);
    return [agent, containerView(only('Deployment', manifests), manifests, { 'prefect-api-key': { token: MARKER } })];
  }

  test('effectiveJob is the Job that the real agent makes of 400 generated runs', async () => {
    await fc.assert(
      fc.asyncProperty(agentProps, templateProps, someRuns, async (props, template, runs) => {
        const [agent, container] = build(props, template);
        const jobs: Manifest[] = await oracle.ask({ job: { container, runs: runs.map(graphql), launcher: true } });
        expect(jobs.map(withoutIdentifier)).toEqual(runs.map(({ run: described }) => agent.effectiveJob(described)));
        expect(JSON.stringify(jobs)).not.toContain(MARKER);
      }),
      { numRuns: 40 },
    );
  });

  test('the launcher changes nothing of 400 generated Jobs but the key, our labels and annotations, and the token', async () => {
    await fc.assert(
      fc.asyncProperty(agentProps, templateProps, someRuns, async (props, template, runs) => {
        const [, container] = build(props, template);
        const ask = (launcher: boolean) => oracle.ask({ job: { container, runs: runs.map(graphql), launcher } });
        const [ours, stock] = [await ask(true), await ask(false)];
        expect(ours.map(withoutIdentifier).map(undone)).toEqual(stock.map(withoutIdentifier).map(undone));
        if (!props.server) expect(JSON.stringify(stock)).toContain(MARKER);
      }),
      { numRuns: 40 },
    );
  });
});

/** A Job without its key, our labels and annotations, and whether it has a token. */
function undone(job: Manifest): Manifest {
  for (const entry of job.spec.template.spec.containers[0].env) {
    if (['PREFECT__CLOUD__API_KEY', 'PREFECT__CLOUD__AUTH_TOKEN'].includes(entry.name)) {
      delete entry.value;
      delete entry.valueFrom;
    }
  }
  const { spec, metadata } = job.spec.template;
  delete spec.automountServiceAccountToken;
  for (const name of Object.keys(metadata.annotations ?? {})) if (name.startsWith('cdk8s-prefect/')) delete metadata.annotations[name];
  if (Object.keys(metadata.annotations ?? {}).length === 0) delete metadata.annotations;
  for (const { labels } of [job.metadata, job.spec.template.metadata]) {
    for (const label of Object.keys(labels)) if (label.startsWith('cdk8s-prefect/')) delete labels[label];
  }
  return job;
}
