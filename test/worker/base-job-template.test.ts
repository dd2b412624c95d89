import { Duration, Size } from 'cdk8s';
import {
  BaseJobTemplate,
  type BaseJobTemplateProps,
  Cpu,
  EnvValue,
  EvictionPolicy,
  ImagePullPolicy,
  JobVariable,
  PodSecurity,
  Prefect3Api,
  SecretKeyRef,
} from '../../lib';
import { everyBaseJobTemplateProp } from '../every-prop';
import { chartWith, type Manifest, newChart, only, synth, tree } from '../support';

const api = Prefect3Api.server({ url: 'http://prefect-server.prefect:4200/api' });
type Props = Partial<BaseJobTemplateProps>;

const made = (props: Props = {}) => new BaseJobTemplate(newChart('prefect'), 'Template', { api, ...props });
const template = (props?: Props): Manifest => made(props).toJson();
const job = (props?: Props): Manifest => template(props).job_configuration.job_manifest;
const podSpec = (props?: Props): Manifest => job(props).spec.template.spec;
const flow = (props?: Props): Manifest => podSpec(props).containers[0];
const effective = (props: Props, variables?: object): Manifest => made(props).effectiveJob({}, { ...variables });

test('minimal: template', () => expect(template()).toMatchSnapshot('template'));
test('all props: template', () => expect(template(everyBaseJobTemplateProp)).toMatchSnapshot('template'));
test('all props: Job of a flow run', () =>
  expect(
    made(everyBaseJobTemplateProp).effectiveJob(
      { name: 'brave-lynx', flowName: 'etl', deploymentName: 'nightly', workPoolName: 'k8s' },
      { team: 'risk', env: { STAGE: 'test' } },
    ),
  ).toMatchSnapshot('Job'));
test('paths are a contract', () => {
  const chart = chartWith((scope) => new BaseJobTemplate(scope, 'Template', { api, onEviction: EvictionPolicy.PROTECT }));
  expect(tree(chart)).toEqual(['chart Chart', 'chart/Template BaseJobTemplate', 'chart/Template/PodDisruptionBudget ApiObject']);
});

test('Kubernetes never runs a flow again, and its Job is kept for an hour', () => {
  expect(job().spec).toMatchObject({ backoffLimit: 0, ttlSecondsAfterFinished: 3600 });
  expect(podSpec().restartPolicy).toBe('Never');
});
test.each([
  [undefined, 'reschedule'],
  [EvictionPolicy.RUN_AGAIN, 'reschedule'],
  [EvictionPolicy.FAIL, 'crash'],
  [EvictionPolicy.PROTECT, 'crash'],
])('on eviction %s: %s', (onEviction, behavior) => {
  expect(template({ onEviction }).job_configuration.env).toMatchObject({ PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR: behavior });
});
test('protect: a budget over the pods of the flow runs, where they are', () => {
  const props: BaseJobTemplateProps = { api, onEviction: EvictionPolicy.PROTECT, flowNamespace: 'flows' };
  const budget = only(
    'PodDisruptionBudget',
    synth((chart) => new BaseJobTemplate(chart, 'Template', props)),
  );
  expect(budget.metadata.namespace).toBe('flows');
  const pod = effective(props).spec.template;
  expect(pod.metadata.labels).toMatchObject(budget.spec.selector.matchLabels);
  expect(pod.metadata.annotations).toMatchObject({ 'karpenter.sh/do-not-disrupt': 'true' });
});
test('Jobs are where the template says', () => {
  expect(template({ flowNamespace: 'flows' }).job_configuration.namespace).toBe('flows');
  expect(effective({ flowNamespace: 'flows' }).metadata.namespace).toBe('flows');
});
test('what is not declared is refused by the API', () => {
  expect(template().variables.additionalProperties).toBe(false);
  expect(Object.keys(template().variables.properties)).toEqual(['image']);
  expect(template({ jobVariables: {} }).variables).toEqual({ type: 'object', properties: {}, additionalProperties: false });
});
test('a prop is the default of the variable of its meaning', () => {
  const names = ['image', 'image_pull_policy', 'memory_limit', 'cpu_limit', 'service_account_name'];
  const props: Props = {
    image: 'registry.example/flows:42',
    imagePullPolicy: ImagePullPolicy.ALWAYS,
    resources: { memoryLimit: Size.gibibytes(2) },
    serviceAccountName: 'flows',
    ttlAfterFinished: Duration.hours(2),
    jobVariables: {
      ...Object.fromEntries(names.map((name) => [name, JobVariable.string()])),
      finished_job_ttl: JobVariable.integer(),
    },
  };
  const properties = template(props).variables.properties;
  expect(Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, (schema as Manifest).default]))).toEqual({
    image: 'registry.example/flows:42',
    image_pull_policy: 'Always',
    memory_limit: '2Gi',
    cpu_limit: undefined,
    service_account_name: 'flows',
    finished_job_ttl: 7200,
  });
  expect(effective(props, { memory_limit: '4Gi', cpu_limit: '2' }).spec.template.spec.containers[0].resources.limits).toEqual({
    memory: '4Gi',
    cpu: '2',
  });
  expect(effective(props).spec.template.spec.containers[0].resources.limits).toEqual({ memory: '2Gi' });
});
test('a placeholder stands wherever text does', () => {
  const props: Props = {
    jobVariables: { team: JobVariable.choice(['a', 'b'], { default: 'a' }), count: JobVariable.integer({ default: 1 }) },
    nodeSelector: { team: '{{ team }}', pool: 'pool-{{team}}' },
    env: { TEAM: EnvValue.of('{{ team }}') },
    podSpec: { custom: ['{{ count }}', 'n{{ count }}'] },
  };
  expect(podSpec(props)).toMatchObject({ nodeSelector: { team: '{{ team }}', pool: 'pool-{{ team }}' } });
  expect(effective(props, { team: 'b', count: 3 }).spec.template.spec).toMatchObject({
    nodeSelector: { team: 'b', pool: 'pool-b' },
    custom: [3, 'n3'],
  });
});
test('text that is no placeholder stays', () => {
  const args = ['--format={{ a b }}', '{% if x %}', '{ {x} }'];
  const props: Props = { sidecars: [{ name: 's', image: 's:1', args }] };
  expect(effective(props).spec.template.spec.initContainers[0].args).toEqual(args);
});
test('a required variable has no default, and must be there', () => {
  const props: Props = { jobVariables: { image: JobVariable.string({ required: true }) } };
  expect(template(props).variables).toMatchObject({ required: ['image'] });
  expect(() => effective(props)).toThrow('jobVariables.image must have a value');
});
test('secrets are references in Jobs, the certificate authorities a file that they mount', () => {
  const cloud = Prefect3Api.cloud({
    accountId: '11111111-2222-3333-4444-555555555555',
    workspaceId: '66666666-7777-8888-9999-000000000000',
    apiKey: SecretKeyRef.of('prefect', 'key'),
    certificateAuthorities: everyBaseJobTemplateProp.api.certificateAuthorities,
  });
  const pod = new BaseJobTemplate(newChart('prefect'), 'Template', { api: cloud }).effectiveJob() as Manifest;
  const { env, volumeMounts } = pod.spec.template.spec.containers[0];
  expect(env).toContainEqual({ name: 'PREFECT_API_KEY', valueFrom: { secretKeyRef: { name: 'prefect', key: 'key' } } });
  expect(env).toContainEqual({ name: 'PREFECT_API_SSL_CERT_FILE', value: '/etc/prefect/ca/ca.crt' });
  expect(volumeMounts).toContainEqual({ name: 'ca', mountPath: '/etc/prefect/ca', readOnly: true });
});
test('baseline: the user of the image', () => {
  expect(podSpec({ podSecurity: PodSecurity.BASELINE })).not.toHaveProperty('securityContext');
  expect(flow({ podSecurity: PodSecurity.BASELINE })).not.toHaveProperty('securityContext');
});
test("settings of Prefect come before the worker's own, but for those of secrets", () => {
  const env = {
    PREFECT_LOGGING_LEVEL: EnvValue.of('DEBUG'),
    PREFECT_X: EnvValue.fromSecret(SecretKeyRef.of('a', 'b')),
    A: EnvValue.of('b'),
  };
  expect(template({ env }).job_configuration.env).toMatchObject({
    PREFECT_LOGGING_LEVEL: 'DEBUG',
    PREFECT_SERVER_EPHEMERAL_ENABLED: 'false',
  });
  expect(flow({ env }).env.map(({ name }: Manifest) => name)).toEqual(['HOME', 'USER', 'PREFECT_X', 'A']);
});
test('a variable may have the name of what every object has', () => {
  const props: Props = { jobVariables: { constructor: JobVariable.string() }, podAnnotations: { note: '{{ constructor }}' } };
  expect(effective(props).spec.template.metadata.annotations).toEqual({});
  expect(effective(props, { constructor: 'a' }).spec.template.metadata.annotations).toEqual({ note: 'a' });
});
test('toJson is a copy', () => {
  const one = made();
  (one.toJson() as Manifest).job_configuration.namespace = 'other';
  expect((one.toJson() as Manifest).job_configuration.namespace).toBe('prefect');
});

describe('refuses', () => {
  const text = JobVariable.string();
  const cases: [string, Props, string][] = [
    [
      'a placeholder that is not declared',
      { nodeSelector: { a: '{{ team }}' } },
      'nodeSelector.a is "{{ team }}": it must have only placeholders of jobVariables: image',
    ],
    ['a setting of the worker', { env: { A: EnvValue.of('{{ $HOME }}') } }, 'env.A is "{{ $HOME }}"'],
    ['a block', { podAnnotations: { a: '{{ prefect.blocks.secret.x }}' } }, 'podAnnotations.a is'],
    ['a nested one', { podSpec: { a: [{ b: '{{ image.tag }}' }] } }, 'podSpec.a[0].b is'],
    ['one of other letters', { podAnnotations: { a: '{{ größe }}' } }, 'podAnnotations.a is "{{ größe }}"'],
    ['one in a key', { podSpec: { '{{ image }}': 1 } }, 'podSpec is "{{ image }}": it must not be a key'],
    [
      'a variable that changes nothing',
      { jobVariables: { memory: text } },
      'jobVariables.memory must be named by a placeholder, or be one of image, ',
    ],
    ['the name of a list', { jobVariables: { required: text } }, 'jobVariables.required must have a name of letters'],
    ['a name with a dot', { jobVariables: { 'a.b': text } }, 'jobVariables.a.b must have a name of letters'],
    [
      'the namespace as a variable',
      { jobVariables: { namespace: text } },
      'jobVariables.namespace must not be declared: one template has one namespace',
    ],
    ['the command as a variable', { jobVariables: { command: text } }, 'jobVariables.command must not be declared'],
    ['a map of text', { jobVariables: { env: text } }, 'jobVariables.env is "a string": it must be a map'],
    [
      'a map elsewhere',
      { jobVariables: { team: JobVariable.map() }, nodeSelector: { a: '{{ team }}' } },
      'nodeSelector.a is "{{ team }}": it must not name a JobVariable.map()',
    ],
    [
      'a number where Kubernetes wants text',
      { jobVariables: { size: JobVariable.integer() }, env: { A: EnvValue.of('{{ size }}') } },
      'env.A is "{{ size }}": it must be text, and size is of type integer',
    ],
    [
      'a choice that is no label',
      { jobVariables: { team: JobVariable.choice(['a', 'a b']) }, nodeSelector: { team: '{{ team }}' } },
      'nodeSelector["team"] is "a b": it must be empty or at most 63',
    ],
    [
      'a choice that is no amount',
      { jobVariables: { memory_limit: JobVariable.choice(['2 GB']) } },
      'jobVariables.memory_limit.values[0] is "2 GB"',
    ],
    [
      'a limit below the request, for runs that say nothing',
      {
        resources: { memoryRequest: Size.gibibytes(2) },
        jobVariables: { memory_limit: JobVariable.string({ default: '1024Mi' }) },
      },
      'jobVariables.memory_limit is "1024Mi": it must be at least the request, 2Gi: Kubernetes would refuse the Job, and the run would crash; change one of them',
    ],
    [
      'a choice below the request',
      { resources: { memoryRequest: Size.gibibytes(2) }, jobVariables: { memory_limit: JobVariable.choice(['4Gi', '1Gi']) } },
      'jobVariables.memory_limit is "1Gi": it must be at least the request, 2Gi',
    ],
    [
      'a choice above the limit',
      { resources: { cpuLimit: Cpu.units(2) }, jobVariables: { cpu_request: JobVariable.choice(['1500m', '2.5']) } },
      'jobVariables.cpu_request is "2.5": it must be at most the limit, 2000m',
    ],
    [
      'choices of which no two go together',
      {
        jobVariables: {
          cpu_request: JobVariable.choice(['2', '4'], { default: '2' }),
          cpu_limit: JobVariable.choice(['1', '4'], { default: '4' }),
        },
      },
      'jobVariables.cpu_limit is "1": it must be at least the request, 2, 4',
    ],
    [
      'a prop that breaks the rule',
      { image: 'other.example/a:1', jobVariables: { image: JobVariable.string({ pattern: '^registry' }) } },
      'image is "other.example/a:1": it must match pattern "^registry", as jobVariables.image says',
    ],
    [
      'two defaults',
      { image: 'a:1', jobVariables: { image: JobVariable.string({ default: 'b:1' }) } },
      'jobVariables.image.default is "b:1": it must not be given together with the prop image',
    ],
    [
      'a default of what is required',
      { image: 'a:1', jobVariables: { image: JobVariable.string({ required: true }) } },
      'jobVariables.image is "required": it must not be declared together with the prop image',
    ],
    [
      'a secret as a default',
      { jobVariables: { image: JobVariable.string({ default: '{{ prefect.blocks.x.y }}' }) } },
      'jobVariables.image.default is',
    ],
    [
      'too short a TTL as a rule',
      { jobVariables: { finished_job_ttl: JobVariable.integer({ minimum: 60 }) } },
      'jobVariables.finished_job_ttl.minimum is 60: it must be at least 600',
    ],
    [
      'a TTL in which a worker misses the end',
      { ttlAfterFinished: Duration.minutes(9) },
      'ttlAfterFinished is "540 s": it must be at least 600 seconds',
    ],
    [
      'another container',
      { podSpec: { containers: [] } },
      'podSpec.containers must not be set in podSpec; the worker decides on the first one',
    ],
    ['another restart policy', { podSpec: { restartPolicy: 'OnFailure' } }, 'podSpec.restartPolicy must not be set in podSpec'],
    [
      'a variable that the worker sets',
      { env: { PREFECT__FLOW_RUN_ID: EnvValue.of('x') } },
      'env.PREFECT__FLOW_RUN_ID must not be set: the worker',
    ],
    [
      'the key',
      { env: { prefect_api_key: EnvValue.of('s3cret') } },
      'env.prefect_api_key must not be set in env; use the prop api: the key',
    ],
    [
      'what becomes of an evicted run',
      { env: { PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR: EnvValue.of('x') } },
      'env.PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR must not be set in env; use the prop onEviction',
    ],
    [
      'a label of Prefect',
      { jobLabels: { 'prefect.io/flow-run-id': 'x' } },
      'jobLabels is "prefect.io/flow-run-id": it must not be one of the names that the construct sets',
    ],
    ['labels that Prefect changes', { podLabels: { team: 'a--b' } }, 'podLabels is "team: a--b": it must not have "--"'],
    ['a name that Prefect changes', { resourceName: 'a--b' }, 'resourceName is "a--b": it must not have "--"'],
    [
      'annotations of the Job that the worker would put over the protection of the pod',
      { onEviction: EvictionPolicy.PROTECT, jobAnnotations: { 'karpenter.sh/do-not-disrupt': 'false' } },
      'jobAnnotations is "karpenter.sh/do-not-disrupt": it must not be one of the names that the construct sets',
    ],
    [
      'annotations of the pod that the worker would lose',
      { podAnnotations: { team: 'a' }, jobAnnotations: { team: 'b' } },
      'podAnnotations["team"] is "a": it must be that of jobAnnotations, "b": the worker copies it to the pod; leave one of them out',
    ],
    [
      'annotations of the Job that no pod may have',
      { jobAnnotations: { 'container.apparmor.security.beta.kubernetes.io/flow': 'runtime/default' } },
      'jobAnnotations["container.apparmor.security.beta.kubernetes.io/flow"] must name a container of the pod: prefect-job',
    ],
    [
      'more annotations than a pod may have',
      { podAnnotations: { a: 'x'.repeat(131_072) }, jobAnnotations: { b: 'x'.repeat(131_071) } },
      'jobAnnotations and podAnnotations is "262145 bytes": it must be at most 262144 bytes in total',
    ],
    [
      'a choice that Prefect changes in labels',
      { jobVariables: { team: JobVariable.choice(['a', 'b--c']) }, podLabels: { team: '{{ team }}' } },
      'podLabels is "team: b--c": it must not have "--"',
    ],
    [
      'a placeholder where its value cannot be checked',
      { jobVariables: { proxy: JobVariable.string() }, sidecars: [{ name: 'proxy', image: '{{ proxy }}' }] },
      'sidecars[0].image is "{{ proxy }}": it must be an image with a tag',
    ],
    ['an image of Prefect 1', { image: 'prefecthq/prefect:1.4.1' }, 'image is "prefecthq/prefect:1.4.1": it must be an image of Prefect 3'],
    ['an image without a tag', { image: 'flows' }, 'image is "flows": it must be an image with a tag'],
    ['a flowNamespace that Kubernetes refuses', { flowNamespace: 'A' }, 'flowNamespace is "A": it must be a DNS label'],
  ];
  test.each(cases)('%s', (_name, props, message) => expect(() => made(props)).toThrow(`chart/Template: ${message}`));

  test('a key in the place of its reference is not repeated', () => {
    expect(() => made({ env: { PREFECT_API_KEY: EnvValue.of('s3cret') } })).toThrow(/^(?!.*s3cret)/s);
  });
  test('a chart without a namespace', () => {
    expect(() => new BaseJobTemplate(newChart(), 'Template', { api })).toThrow('the namespace of its chart must be set');
  });
  test('the name of a run that Prefect would spell with tables of its own', () => {
    expect(() => made().effectiveJob({ name: 'größe' })).toThrow('the name of the run is "größe": it must be printable ASCII');
  });
  test.each<[object, string]>([
    [{ imagee: 'a' }, 'jobVariables.imagee must be one that the template declares: image'],
    [{ image: null }, 'jobVariables.image must'],
    [{ image: 'a b' }, 'jobVariables.image must match pattern'],
  ])('the job variables %j', (variables, message) => expect(() => effective({}, variables)).toThrow(message));
  test('a request above its limit, which the API takes and Kubernetes refuses', () => {
    const props: Props = {
      resources: { memoryRequest: Size.gibibytes(2) },
      jobVariables: Object.fromEntries(['memory_limit', 'cpu_request', 'cpu_limit'].map((name) => [name, JobVariable.string()])),
    };
    const message = 'chart/Template: jobVariables.memory_limit is "1.5Gi": it must be at least the request, 2Gi: Kubernetes would refuse';
    expect(() => effective(props, { memory_limit: '1.5Gi' })).toThrow(message);
    expect(() => effective(props, { cpu_request: '1' })).not.toThrow();
    expect(() => effective(props, { cpu_request: '1', cpu_limit: '999m' })).toThrow('jobVariables.cpu_limit is "999m"');
    expect(() => effective(props, { cpu_request: '1', cpu_limit: '1000m', memory_limit: '2G' })).toThrow(
      'jobVariables.memory_limit is "2G"',
    );
    expect(() => effective(props, { cpu_request: '1', cpu_limit: '1000m', memory_limit: '2Gi' })).not.toThrow();
  });
  test('keys of maps that the template sets', () => {
    const props: Props = { jobVariables: { env: JobVariable.map(), labels: JobVariable.map(), annotations: JobVariable.map() } };
    for (const variables of [
      { env: { PREFECT_API_URL: 'x' } },
      { env: { HOME: 'x' } },
      { env: { PREFECT__FLOW_RUN_ID: 'x' } },
      { labels: { 'prefect.io/flow-run-id': 'x' } },
      { labels: { 'cdk8s-prefect/base-job-template': 'x' } },
      { annotations: { 'karpenter.sh/do-not-disrupt': 'false' } },
    ]) {
      expect(() => effective(props, variables)).toThrow('must not have the key');
    }
    expect(() => effective(props, { env: { HOMES: 'x' }, labels: { team: 'x' }, annotations: { a: 'b' } })).not.toThrow();
  });
});
