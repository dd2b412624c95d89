import { gzipSync } from 'node:zlib';
import { FakePrefectServer } from './fake-prefect-server';
import { ask, Clock, setFlowRun } from './testing';

const clock = new Clock();
let server: FakePrefectServer;
let project: string;

beforeEach(async () => {
  server = new FakePrefectServer({ now: clock.now, tenants: [{ slug: 'default' }, { slug: 'other' }] });
  await server.start();
  project = (await createProject('tutorial')).data.create_project.id;
});

afterEach(() => server.stop());

const createProject = (name: string, tenant = 'default') =>
  ask(server, 'mutation($input: create_project_input!) { create_project(input: $input) { id } }', {
    input: { name, tenant_id: server.tenant(tenant).id },
  });

const register = (serialized: object | string, more: object = {}) =>
  ask(server, 'mutation($input: create_flow_from_compressed_string_input!) { create_flow_from_compressed_string(input: $input) { id } }', {
    input: {
      project_id: project,
      serialized_flow: typeof serialized === 'string' ? serialized : gzipSync(JSON.stringify(serialized)).toString('base64'),
      ...more,
    },
  });

const etl = (more: object = {}) => ({
  name: 'etl',
  tasks: [{ slug: 'extract-1', max_retries: 2, retry_delay: 60 }],
  parameters: [],
  storage: { type: 'Git' },
  run_config: { type: 'KubernetesRun', labels: ['kube'] },
  __version__: '1.4.1',
  ...more,
});

const registered = async (...args: Parameters<typeof register>): Promise<string> =>
  (await register(...args)).data.create_flow_from_compressed_string.id;

const run = (input: object) => ask(server, 'mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }', { input });
const ran = async (input: object): Promise<string> => (await run(input)).data.create_flow_run.id;

const found = async (selection: string) =>
  (await ask(server, `query { flow(${selection}) { id version archived project { name } } }`)).data.flow;

describe('a project', () => {
  test('is found by its name', async () => {
    const { data } = await ask(server, 'query { project(where: { name: { _eq: "tutorial" } }) { id } }');
    expect(data.project).toEqual([{ id: project }]);
  });

  test('has a name of its own among those of its tenant', async () => {
    expect((await createProject('tutorial')).errors?.[0].message).toBe('Uniqueness violation.');
    expect((await createProject('tutorial', 'other')).errors).toBeUndefined();
  });
});

describe('a flow', () => {
  test('is registered as a version of the flows of its name in its project, of which the newest is not archived', async () => {
    const ids = [await registered(etl(), { idempotency_key: 'a' }), await registered(etl(), { idempotency_key: 'b' })];
    expect(await found('order_by: { version: desc }')).toEqual([
      { id: ids[1], version: 2, archived: false, project: { name: 'tutorial' } },
      { id: ids[0], version: 1, archived: true, project: { name: 'tutorial' } },
    ]);
  });

  test('is not registered again with the key of the registration before', async () => {
    const key = { idempotency_key: 'a' };
    expect(await registered(etl(), key)).toBe(await registered(etl(), key));
  });

  test('is registered again with an older key', async () => {
    for (const idempotency_key of ['a', 'b', 'a']) await registered(etl(), { idempotency_key });
    expect(await found('where: { archived: { _eq: false } }')).toMatchObject([{ version: 3 }]);
  });

  test('is found by its name and its project', async () => {
    const id = await registered(etl());
    const where = (projectName: string) =>
      `where: { _and: { name: { _eq: "etl" }, project: { name: { _eq: "${projectName}" } } }, archived: { _eq: false } }`;
    expect(await found(where('tutorial'))).toMatchObject([{ id }]);
    expect(await found(where('flows'))).toEqual([]);
  });

  test.each([
    ['that is not compressed', () => register('{}'), 'Unable to decompress serialized flow'],
    ['of no project', () => register(etl(), { project_id: '11111111-1111-1111-1111-111111111111' }), 'Invalid project.'],
  ])('%s is refused', async (_, request, message) => {
    expect((await request()).errors?.[0].message).toBe(message);
  });
});

describe('a flow run', () => {
  test('has the tasks, the labels and the run config of its flow', async () => {
    const made = server.run(await ran({ flow_id: await registered(etl()) }));
    expect(made).toMatchObject({ state: 'Scheduled', labels: ['kube'], run_config: { type: 'KubernetesRun' } });
    expect(made.task_runs.map(({ task }) => task)).toMatchObject([{ slug: 'extract-1', max_retries: 2, retry_delay: 60 }]);
  });

  test.each([
    ['its own', { labels: ['b', 'a'], run_config: { labels: ['c'] } }, ['a', 'b']],
    ['those of its own run config', { run_config: { labels: ['c'] } }, ['c']],
    ['none of the flow with a run config without labels', { run_config: {} }, []],
  ])('has %s labels', async (_, input, labels) => {
    expect(server.run(await ran({ flow_id: await registered(etl()), ...input })).labels).toEqual(labels);
  });

  describe('with parameters', () => {
    const parameters = [
      { name: 'source', required: true },
      { name: 'limit', required: false, default: 10 },
    ];

    test('has the defaults of those that it does not give', async () => {
      const id = await ran({ flow_id: await registered(etl({ parameters })), parameters: { source: 's3' } });
      expect(server.run(id).parameters).toEqual({ source: 's3', limit: 10 });
    });

    test('is refused without a required one', async () => {
      const { errors } = await run({ flow_id: await registered(etl({ parameters })) });
      expect(errors?.[0].message).toBe("Required parameters were not supplied: {'source'}");
    });
  });

  test('is made once for a key', async () => {
    const input = { flow_id: await registered(etl()), idempotency_key: 'a' };
    expect(await ran(input)).toBe(await ran(input));
    expect(server.runs()).toHaveLength(1);
  });

  test('of a flow that does not exist is refused', async () => {
    const flow_id = '11111111-1111-1111-1111-111111111111';
    expect((await run({ flow_id })).errors?.[0].message).toBe(`Flow ${flow_id} not found`);
  });

  test('that waits is cancelled when its flow is archived, and no other is made of it', async () => {
    const flow_id = await registered(etl());
    const [waiting, running] = [await ran({ flow_id }), await ran({ flow_id })];
    await setFlowRun(server, running, 'Running');
    await registered(etl());
    expect(server.run(waiting)).toMatchObject({ state: 'Cancelled', state_message: `Flow ${flow_id} was archived.` });
    expect(server.run(running).state).toBe('Running');
    expect((await run({ flow_id })).errors?.[0].message).toBe(`Flow ${flow_id} is archived.`);
  });

  test('shows its states and its logs in the order of time, after a time', async () => {
    const id = await ran({ flow_id: await registered(etl()) });
    clock.pass(1);
    await setFlowRun(server, id, 'Running');
    const write = 'mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }';
    const logs = [3, 1, 2].map((seconds) => ({ flow_run_id: id, message: `${seconds}`, timestamp: clock.in(seconds) }));
    await ask(server, write, { input: { logs } });
    const after = `where: { _and: [{ timestamp: { _lte: "${clock.in(9)}" } }, { timestamp: { _gt: "${clock.in(1)}" } }, {}] }`;
    const query = `query { flow_run { states { timestamp serialized_state } logs(order_by: { timestamp: asc }, ${after}) { message } } }`;
    const [shown] = (await ask(server, query)).data.flow_run;
    expect(shown.states.map(({ serialized_state }: { serialized_state: { type: string } }) => serialized_state.type)).toEqual([
      'Scheduled',
      'Running',
    ]);
    expect(shown.logs).toEqual([{ message: '2' }, { message: '3' }]);
  });
});
