import { FakePrefectServer } from './fake-prefect-server';
import { ask, Clock, setFlowRun, setTaskRun } from './testing';

const clock = new Clock();
let server: FakePrefectServer;

beforeEach(async () => {
  server = new FakePrefectServer({ now: clock.now });
  await server.start();
});

afterEach(() => server.stop());

const schedule = () => server.scheduleRun({ flow: 'etl', path: '/flows/etl.py', tasks: [{ slug: 'extract-1' }] });

describe('refused, with 400 and nothing carried out', () => {
  const id = '11111111-1111-1111-1111-111111111111';
  test.each([
    ['an operation that is unknown', 'query { artifact { id } }', 'Cannot query field "artifact" on type "Query".'],
    [
      'a mutation that is unknown',
      `mutation { delete_flow_run(input: { flow_run_id: "${id}" }) { success } }`,
      /Cannot query field "delete_flow_run"/,
    ],
    ['a field that is unknown', 'query { flow_run { id duration } }', /Cannot query field "duration" on type "flow_run"/],
    [
      'an argument that is unknown',
      'query { flow_run(distinct_on: id) { id } }',
      'Unknown argument "distinct_on" on field "Query.flow_run".',
    ],
    [
      'a filter that is unknown',
      'query { flow_run(where: { id: { _neq: "x" } }) { id } }',
      /Field "_neq" is not defined by type "uuid_comparison_exp"/,
    ],
    ['an id that is none', 'query { flow_run_by_pk(id: "x") { id } }', /Could not parse UUID: x/],
    ['a time that is none', 'query { task_run(where: { state_timestamp: { _gte: "x" } }) { id } }', /Could not parse time: x/],
    [
      'a log level that is none',
      `mutation { write_run_logs(input: { logs: [{ flow_run_id: "${id}", level: LOUD }] }) { success } }`,
      /Value "LOUD" does not exist/,
    ],
    ['a missing argument', 'mutation { cancel_flow_run { state } }', /argument "input" of type "cancel_flow_run_input!" is required/],
    ['the tenant of a key on Server, which knows no keys', 'query { auth_info { tenant_id } }', /Cannot query field "auth_info"/],
  ])('%s', async (_, query, message) => {
    const { status, data, errors } = await ask(server, query);
    expect([status, data, errors?.[0].extensions.code]).toEqual([400, undefined, 'GRAPHQL_VALIDATION_FAILED']);
    expect(errors?.[0].message).toEqual(typeof message === 'string' ? message : expect.stringMatching(message));
  });

  test('what is not GraphQL', async () => {
    expect(await ask(server, 'query {')).toMatchObject({ status: 400, errors: [{ extensions: { code: 'GRAPHQL_PARSE_FAILED' } }] });
  });

  test('what is not JSON', async () => {
    const response = await fetch(`http://127.0.0.1:${server.port}`, { method: 'POST', body: 'query' });
    expect(response.status).toBe(400);
  });

  test('variables that do not fit', async () => {
    const mutation = 'mutation($input: cancel_flow_run_input!) { cancel_flow_run(input: $input) { state } }';
    const { status, errors } = await ask(server, mutation, { input: { flow_run_id: id, force: true } });
    expect([status, errors?.[0].message]).toEqual([400, expect.stringMatching(/Field "force" is not defined/)]);
  });
});

describe('flow runs are found', () => {
  const find = async (selection: string) =>
    (await ask(server, `query { flow_run(${selection}) { id } }`)).data.flow_run.map((run: { id: string }) => run.id);

  test('by some ids', async () => {
    const [first, , third] = [schedule(), schedule(), schedule()];
    expect(await find(`where: { id: { _in: ["${first}", "${third}"] } }`)).toEqual([first, third]);
  });

  test('by their state', async () => {
    const [run] = [schedule(), schedule()];
    server.setState(run, 'Failed');
    expect(await find('where: { state: { _eq: "Failed" } }')).toEqual([run]);
  });

  test('by one condition or another', async () => {
    const [first, second] = [schedule(), schedule(), schedule()];
    server.setState(first, 'Failed');
    server.setState(second, 'Success');
    expect(await find('where: { _or: [{ state: { _eq: "Failed" } }, { state: { _eq: "Success" } }] }')).toEqual([first, second]);
  });

  test('by the start time of a task run, of which those without one are none', async () => {
    const [early, late] = [schedule(), schedule(), schedule()];
    await setTaskRun(server, server.run(early).task_runs[0].id, 'Retrying', { start_time: clock.in(-10) });
    await setTaskRun(server, server.run(late).task_runs[0].id, 'Retrying', { start_time: clock.in(10) });
    expect(await find(`where: { task_runs: { state_start_time: { _lte: "${clock.in(0)}" } } }`)).toEqual([early]);
  });

  test('in order and in pages', async () => {
    const runs = [schedule(), schedule(), schedule()];
    for (const id of runs) {
      clock.pass(1);
      await setFlowRun(server, id, 'Running');
    }
    expect(await find('order_by: { updated: desc }, limit: 2, offset: 1')).toEqual([runs[1], runs[0]]);
  });
});

test('a sweeper sees what it asks for', async () => {
  const id = schedule();
  await setFlowRun(server, id, 'Running', { message: 'Running flow.' });
  const query = `query($ids: [uuid!]!) { flow_run(where: { id: { _in: $ids } }) {
    id state version heartbeat name updated state_message task_runs { id version state map_index task_id state_start_time serialized_state }
  } }`;
  const [taskRun] = server.run(id).task_runs;
  expect((await ask(server, query, { ids: [id] })).data.flow_run).toEqual([
    {
      id,
      state: 'Running',
      version: 2,
      heartbeat: clock.now().toISOString(),
      name: 'etl-1',
      updated: clock.now().toISOString(),
      state_message: 'Running flow.',
      task_runs: [
        {
          id: taskRun.id,
          version: 0,
          state: 'Pending',
          map_index: -1,
          task_id: taskRun.task_id,
          state_start_time: null,
          serialized_state: taskRun.serialized_state,
        },
      ],
    },
  ]);
});

test('task runs of a run are filtered where they are asked for', async () => {
  const id = schedule();
  const { data } = await ask(server, `query { flow_run_by_pk(id: "${id}") { task_runs(where: { map_index: { _eq: 3 } }) { id } } }`);
  expect(data).toEqual({ flow_run_by_pk: { task_runs: [] } });
});

test('a run that is not there is null', async () => {
  const { data } = await ask(server, 'query { flow_run_by_pk(id: "11111111-1111-1111-1111-111111111111") { id } }');
  expect(data).toEqual({ flow_run_by_pk: null });
});
