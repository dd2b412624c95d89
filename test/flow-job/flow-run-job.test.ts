import { Duration } from 'cdk8s';
import { DaskWorkerPolicy, EnvValue, FlowRunJob, type FlowRunJobProps, LogLevel, PodSecurity, PrefectApi, SecretKeyRef } from '../../lib';
import { everyDaskProp, everyFlowJobProp } from '../every-prop';
import { chartWith, container, literalEnv, type Manifest, newChart, only, synth, tree } from '../support';

const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://api.prefect.io' });
const flowRunId = '1a2b3c4d-2222-3333-4444-555555555555';
const job = (props: Partial<FlowRunJobProps> = {}): Manifest =>
  only(
    'Job',
    synth((chart) => new FlowRunJob(chart, 'Run', { api, flowRunId, ...props })),
  );
const podSpec = (props?: Partial<FlowRunJobProps>): Manifest => job(props).spec.template.spec;

const allProps: Required<FlowRunJobProps> = {
  ...everyFlowJobProp(new DaskWorkerPolicy(newChart('prefect'), 'Dask', everyDaskProp)),
  api: PrefectApi.server({ url: 'http://prefect:4200', tenantId: '11111111-2222-3333-4444-555555555555' }),
  flowRunId,
  logLevel: LogLevel.DEBUG,
  sendFlowRunLogs: false,
  resourceName: 'nightly-etl',
};

test('minimal', () => expect(job()).toMatchSnapshot());
test('all props', () => expect(job(allProps)).toMatchSnapshot());
test('paths are a contract', () => {
  expect(tree(chartWith((chart) => new FlowRunJob(chart, 'Run', { api, flowRunId })))).toEqual([
    'chart Chart',
    'chart/Run FlowRunJob',
    'chart/Run/Resource ApiObject',
  ]);
});

test('the Job runs this flow run, through the entrypoint of the image', () => {
  expect(container(job())).toMatchObject({ args: ['prefect', 'execute', 'flow-run'] });
  expect(container(job())).not.toHaveProperty('command');
  expect(literalEnv(job()).PREFECT__CONTEXT__FLOW_RUN_ID).toBe(flowRunId);
});
test('the Job is not run again by Kubernetes', () => {
  expect([job().spec.backoffLimit, podSpec().restartPolicy]).toEqual([0, 'Never']);
});
test('the Job is in the namespace of the chart', () => {
  expect(job().metadata.namespace).toBe('prefect');
});
test('the name is that of the run, in the letters of Kubernetes', () => {
  expect(job({ flowRunId: flowRunId.toUpperCase() }).metadata.name).toBe('flow-run-1a2b3c4d');
  expect(job({ resourceName: 'nightly-etl' }).metadata.name).toBe('nightly-etl');
});
test('Job and pod are found by the id of the run', () => {
  for (const { labels } of [job().metadata, job().spec.template.metadata]) expect(labels['prefect.io/flow_run_id']).toBe(flowRunId);
});
test('no agent takes the Job for its own', () => {
  expect(job().metadata.labels).not.toHaveProperty('prefect.io/identifier');
});
test('the key is a reference', () => {
  expect(container(job()).env).toContainEqual({
    name: 'PREFECT__CLOUD__API_KEY',
    valueFrom: { secretKeyRef: { name: 'prefect-api-key', key: 'key' } },
  });
});
test('logs are sent unless told otherwise', () => {
  expect(literalEnv(job())).not.toHaveProperty('PREFECT__CLOUD__SEND_FLOW_RUN_LOGS');
  expect(literalEnv(job({ sendFlowRunLogs: false })).PREFECT__CLOUD__SEND_FLOW_RUN_LOGS).toBe('false');
});
test('Server needs no key', () => {
  const env = literalEnv(job({ api: PrefectApi.server({ url: 'http://prefect:4200' }) }));
  expect(env).toMatchObject({ PREFECT__BACKEND: 'server', PREFECT__CLOUD__API: 'http://prefect:4200' });
  expect(env).not.toHaveProperty('PREFECT__CLOUD__API_KEY');
});
test('the tenant, if one was chosen', () => {
  expect(literalEnv(job())).not.toHaveProperty('PREFECT__CLOUD__TENANT_ID');
  expect(literalEnv(job(allProps)).PREFECT__CLOUD__TENANT_ID).toBe('11111111-2222-3333-4444-555555555555');
});
test('the image is known to the flow too', () => {
  expect(container(job()).image).toBe('prefecthq/prefect:1.4.1');
  expect(container(job(allProps)).image).toBe('registry.example/flows:42');
  expect(literalEnv(job(allProps)).PREFECT__CONTEXT__IMAGE).toBe('registry.example/flows:42');
});
test('logLevel', () => {
  expect(literalEnv(job()).PREFECT__LOGGING__LEVEL).toBe('INFO');
  expect(literalEnv(job({ logLevel: LogLevel.DEBUG })).PREFECT__LOGGING__LEVEL).toBe('DEBUG');
});
test('restricted: no privilege, and a home of its own', () => {
  expect(podSpec().securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 10001 });
  expect(literalEnv(job()).HOME).toBe('/home/prefect');
});
test('baseline: the user of the image', () => {
  expect(podSpec({ podSecurity: PodSecurity.BASELINE })).not.toHaveProperty('securityContext');
});
test('extraPipPackages', () => {
  expect(literalEnv(job({ extraPipPackages: ['a', 'b[c]==1.0'] })).EXTRA_PIP_PACKAGES).toBe('a b[c]==1.0');
});
test('podSpec loses nothing', () => {
  const podSpecHatch = { hostUsers: false, newField: [{ a: {} }] };
  expect(podSpec({ podSpec: podSpecHatch })).toMatchObject(podSpecHatch);
});

describe('refuses', () => {
  const cases: [string, Partial<FlowRunJobProps>, string][] = [
    ['an id that is none', { flowRunId: 'nightly' }, 'flowRunId is "nightly": it must be a UUID'],
    ['a name that Kubernetes refuses', { resourceName: 'Run' }, 'resourceName is "Run": it must be a DNS label'],
    ['an image without a tag', { image: 'flows' }, 'image is "flows": it must be an image with a tag'],
    ['the key as a variable', { env: { PREFECT__CLOUD__API_KEY: EnvValue.of('s3cret') } }, 'env.PREFECT__CLOUD__API_KEY must not be set'],
    ['the level of logs as a variable', { env: { PREFECT__LOGGING__LEVEL: EnvValue.of('DEBUG') } }, 'or logLevel of FlowRunJob'],
    ['a requirement with white space', { extraPipPackages: ['a >= 1'] }, 'extraPipPackages[0] must be a name'],
    ['containers', { podSpec: { containers: [] } }, 'podSpec.containers must not be set in podSpec'],
    ['a TTL of a minute', { ttlAfterFinished: Duration.minutes(1) }, 'ttlAfterFinished is 1 minute'],
  ];
  test.each(cases)('%s', (_name, props, message) => expect(() => job(props)).toThrow(message));

  test('a chart without a namespace', () => {
    expect(() => new FlowRunJob(newChart(), 'Run', { api, flowRunId })).toThrow('chart/Run: the namespace of its chart must be set');
  });
  test('two runs of one name', () => {
    expect(() =>
      synth((chart) => {
        new FlowRunJob(chart, 'One', { api, flowRunId });
        new FlowRunJob(chart, 'Two', { api, flowRunId });
      }),
    ).toThrow('resourceName is "flow-run-1a2b3c4d": it must be unique');
  });
});
