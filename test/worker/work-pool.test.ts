import { BaseJobTemplate, EnvValue, Manifests, Prefect3Api, SecretKeyRef, WorkPool, type WorkPoolProps } from '../../lib';
import { everyWorkPoolProp } from '../every-prop';
import { chartWith, container, type Manifest, only, synth, tree } from '../support';

const api = Prefect3Api.server({ url: 'http://prefect-server.prefect:4200/api', authString: SecretKeyRef.of('prefect', 'auth') });
const build = (props: Partial<WorkPoolProps> = {}) =>
  chartWith((chart) => {
    const baseJobTemplate = new BaseJobTemplate(chart, 'Template', { api });
    new WorkPool(chart, 'Pool', { name: 'k8s', baseJobTemplate, ...props });
  });
const job = (props?: Partial<WorkPoolProps>): Manifest => only('Job', build(props).toJson());
const file = (props?: Partial<WorkPoolProps>): Manifest => JSON.parse(only('ConfigMap', build(props).toJson()).data['work-pool.json']);

test('minimal', () => expect(Manifests.of(build()).withoutPrograms().all).toMatchSnapshot());
test('all props: Job', () => {
  const chart = chartWith((scope) => new WorkPool(scope, 'Pool', everyWorkPoolProp(scope)));
  expect(Manifests.of(chart).withoutPrograms().one('Job')).toMatchSnapshot('Job');
});
test('paths are a contract', () => {
  expect(tree(build())).toEqual([
    'chart Chart',
    'chart/Template BaseJobTemplate',
    'chart/Pool WorkPool',
    'chart/Pool/ConfigMap ApiObject',
    'chart/Pool/Resource ApiObject',
  ]);
});
test('the Job and its files have a name of their content, since neither can change', () => {
  const names = (props?: Partial<WorkPoolProps>) => [
    ...new Set(
      build(props)
        .toJson()
        .map(({ metadata }) => metadata.name),
    ),
  ];
  expect(names()).toHaveLength(1);
  expect(names()).toEqual(names());
  for (const change of [
    { name: 'other' },
    { lock: false },
    { image: 'registry.example/worker:1' },
    { env: { A: EnvValue.of('1') } },
    { podSpec: { hostUsers: false } },
    { nodeSelector: { a: 'b' } },
    { affinity: { nodeAffinity: {} } },
  ]) {
    expect(names(change)).not.toEqual(names());
  }
});
test('the pool is locked, unless it is not to be', () => {
  expect(file().base_job_template.variables.additionalProperties).toBe(false);
  expect(file({ lock: false }).base_job_template.variables).not.toHaveProperty('additionalProperties');
});
test('the program has no token of Kubernetes, and its secret by reference', () => {
  expect(job().spec.template.spec.automountServiceAccountToken).toBe(false);
  expect(container(job()).env).toContainEqual({
    name: 'PREFECT_API_AUTH_STRING',
    valueFrom: { secretKeyRef: { name: 'prefect', key: 'auth' } },
  });
});
test('a template for two pools', () => {
  const manifests = synth((chart) => {
    const baseJobTemplate = new BaseJobTemplate(chart, 'Template', { api });
    for (const name of ['a', 'b']) new WorkPool(chart, name, { name, baseJobTemplate });
  });
  expect(new Set(manifests.map(({ metadata }) => metadata.name)).size).toBe(2);
});

describe('refuses', () => {
  test.each<[string, Partial<WorkPoolProps>, string]>([
    ['a name that Prefect keeps', { name: 'Prefect-k8s' }, 'name is "Prefect-k8s": it must not begin with "prefect"'],
    ['a name that the API refuses', { name: 'a/b' }, 'name is "a/b": it must not be blank or have "/"'],
    ['a blank name', { name: '" "' }, 'name is "\\" \\"": it must not be blank'],
    [
      'an image without prefect-kubernetes',
      { image: 'prefecthq/prefect:3.9.1-python3.11' },
      'it must be Prefect 3.9 or newer with prefect-kubernetes',
    ],
    ['an older worker', { image: 'prefecthq/prefect:3.8.8-python3.11-kubernetes' }, 'it must be Prefect 3.9 or newer'],
    ['too long a name of objects', { resourceName: 'a'.repeat(55) }, 'it must be at most 54 characters, since a checksum is added'],
    ['a variable that the construct sets', { env: { PREFECT_API_URL: EnvValue.of('x') } }, 'env.PREFECT_API_URL must not be set in env'],
    ['containers', { podSpec: { containers: [] } }, 'podSpec.containers must not be set in podSpec'],
  ])('%s', (_name, props, message) => expect(() => build(props)).toThrow(message));
});
