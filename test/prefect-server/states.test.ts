import { FakePrefectServer } from './fake-prefect-server';
import { ask, Clock, setFlowRun, setTaskRun } from './testing';

const SCRIPT = { flow: 'etl', path: '/flows/etl.py', tasks: [{ slug: 'extract-1' }, { slug: 'load-1' }] };

const clock = new Clock();
let server: FakePrefectServer;
let id: string;

beforeEach(async () => {
  server = new FakePrefectServer({ now: clock.now });
  await server.start();
  id = server.scheduleRun(SCRIPT);
});

afterEach(() => server.stop());

const states = (run = id) => server.history(run).map(({ serialized_state }) => serialized_state.type);
const taskRun = (index: number) => server.run(id).task_runs[index];

describe('flow runs', () => {
  test('are Scheduled when they are created, in version 1', () => {
    expect(server.run(id)).toMatchObject({ state: 'Scheduled', version: 1, state_message: 'Flow run scheduled.' });
  });

  test('start with a Pending task run for each task', () => {
    expect(server.run(id).task_runs).toMatchObject([
      { state: 'Pending', version: 0, map_index: -1, task: { slug: 'extract-1' } },
      { state: 'Pending', version: 0, map_index: -1, task: { slug: 'load-1' } },
    ]);
  });

  test('have one version more after each state', async () => {
    await setFlowRun(server, id, 'Submitted');
    await setFlowRun(server, id, 'Running');
    await setFlowRun(server, id, 'Success');
    expect(server.history(id).map(({ version, serialized_state }) => [version, serialized_state.type])).toEqual([
      [1, 'Scheduled'],
      [2, 'Submitted'],
      [3, 'Running'],
      [4, 'Success'],
    ]);
  });

  test('remember who set each state', async () => {
    await setFlowRun(server, id, 'Submitted', {}, { 'X-PREFECT-AGENT-ID': 'a1' });
    await setFlowRun(server, id, 'Running');
    server.setState(id, 'Failed');
    expect(server.history(id).map(({ by }) => by)).toEqual(['server', 'agent a1', 'client', 'ui']);
  });

  test('of the same flow share the flow, until it is registered differently', () => {
    const again = server.scheduleRun(SCRIPT);
    const other = server.scheduleRun({ ...SCRIPT, path: '/flows/other.py' });
    expect(server.run(again).flow).toBe(server.run(id).flow);
    expect(server.run(other).flow).not.toBe(server.run(id).flow);
  });

  test('need a script or a storage', () => {
    expect(() => server.scheduleRun({ flow: 'etl' })).toThrow(
      "the run of etl says neither where the flow's script is (path) nor its storage",
    );
  });

  test('are refused a state that Prefect does not know', async () => {
    const { status, data, errors } = await setFlowRun(server, id, 'Crashed');
    expect([status, data, errors?.[0].message]).toEqual([200, { set_flow_run_states: null }, 'Unsupported value: Crashed']);
    expect(states()).toEqual(['Scheduled']);
  });

  test('are refused a state of more than a megabyte', async () => {
    const { errors } = await setFlowRun(server, id, 'Running', { message: 'x'.repeat(1_000_000) });
    expect(errors?.[0].message).toBe('State payload is too large.');
  });

  test('that do not exist are refused a state', async () => {
    const { errors } = await setFlowRun(server, taskRun(0).id, 'Running');
    expect(errors?.[0]).toMatchObject({
      message: `State update failed for flow run ID ${taskRun(0).id}`,
      extensions: { code: 'INTERNAL_SERVER_ERROR' },
    });
  });

  test.each(['Running', 'Submitted', 'Cancelling'])('show life when they become %s', async (type) => {
    await setFlowRun(server, id, type);
    expect(server.run(id).heartbeat).toEqual(clock.now());
  });

  test('show life with a heartbeat, which is an update too', async () => {
    clock.pass(30);
    await ask(server, `mutation { update_flow_run_heartbeat(input: { flow_run_id: "${id}" }) { success } }`);
    expect(server.run(id)).toMatchObject({ heartbeat: clock.now(), updated: clock.now() });
  });

  test('are not submitted twice within 30 seconds', async () => {
    await setFlowRun(server, id, 'Submitted');
    clock.pass(29);
    const { errors } = await setFlowRun(server, id, 'Submitted');
    expect(errors?.[0].message).toBe('State update failed: this run has already been submitted.');
  });

  test('may be submitted again after 30 seconds', async () => {
    await setFlowRun(server, id, 'Submitted');
    clock.pass(30);
    await setFlowRun(server, id, 'Submitted');
    expect(states()).toEqual(['Scheduled', 'Submitted', 'Submitted']);
  });

  test('that are Paused wait for ten years', async () => {
    await setFlowRun(server, id, 'Paused');
    expect(server.run(id).state_start_time?.toISOString()).toBe(clock.in(10 * 365 * 24 * 3600));
  });

  test('take any version on Server, whatever the flow says', async () => {
    const locked = server.scheduleRun({ ...SCRIPT, settings: { version_locking_enabled: true } });
    expect((await setFlowRun(server, locked, 'Running', { version: 99 })).errors).toBeUndefined();
  });
});

describe('cancelling', () => {
  test('a running run makes it Cancelling', async () => {
    await setFlowRun(server, id, 'Running');
    server.cancel(id);
    expect(server.run(id).state).toBe('Cancelling');
  });

  test('a run that does not run yet makes it Cancelled', () => {
    server.cancel(id);
    expect(server.run(id).state).toBe('Cancelled');
  });

  test('a finished run changes nothing', async () => {
    await setFlowRun(server, id, 'Success');
    server.cancel(id);
    expect(states()).toEqual(['Scheduled', 'Success']);
  });

  test('through the API answers with the new state', async () => {
    const { data } = await ask(server, `mutation { cancel_flow_run(input: { flow_run_id: "${id}" }) { state } }`);
    expect(data).toEqual({ cancel_flow_run: { state: 'Cancelled' } });
  });

  test('ends the unfinished task runs and no other', async () => {
    await setFlowRun(server, id, 'Running');
    await setTaskRun(server, taskRun(0).id, 'Success');
    await setFlowRun(server, id, 'Cancelled');
    expect(server.run(id).task_runs.map(({ state }) => state)).toEqual(['Success', 'Cancelled']);
  });
});

describe('task runs', () => {
  test.each(['Scheduled', 'Submitted', 'Cancelling', 'Cancelled', 'Failed'])('may not run while the flow run is %s', async (type) => {
    await setFlowRun(server, id, type);
    const { errors } = await setTaskRun(server, taskRun(0).id, 'Running');
    expect(errors?.[0].message).toMatch(/provided a running state but associated flow run .* is not in a running state/);
  });

  test('may run while the flow run runs', async () => {
    await setFlowRun(server, id, 'Running');
    await setTaskRun(server, taskRun(0).id, 'Running');
    expect(taskRun(0)).toMatchObject({ state: 'Running', version: 1 });
  });

  test('may end after the flow run has', async () => {
    await setFlowRun(server, id, 'Failed');
    await setTaskRun(server, taskRun(0).id, 'Success');
    expect(taskRun(0).state).toBe('Success');
  });

  test('keep the inputs that an earlier state has cached', async () => {
    await setTaskRun(server, taskRun(0).id, 'Retrying', { cached_inputs: { n: { type: 'SafeResult' } } });
    await setTaskRun(server, taskRun(0).id, 'Failed', { cached_inputs: {} });
    expect(taskRun(0).serialized_state.cached_inputs).toEqual({ n: { type: 'SafeResult' } });
  });

  test('of mapped tasks are created when they are first asked for, and once', async () => {
    const { task_id } = taskRun(0);
    const mutation = `mutation { get_or_create_task_run_info(input: { flow_run_id: "${id}", task_id: "${task_id}", map_index: 2 }) { id version } }`;
    const [first, second] = [await ask(server, mutation), await ask(server, mutation)];
    expect(first.data).toEqual({ get_or_create_task_run_info: { id: taskRun(2).id, version: 0 } });
    expect(second.data).toEqual(first.data);
    expect(server.run(id).task_runs).toHaveLength(3);
  });

  test('of a task that the flow does not have are refused', async () => {
    const { errors } = await ask(
      server,
      `mutation { get_or_create_task_run_info(input: { flow_run_id: "${id}", task_id: "${id}" }) { id } }`,
    );
    expect(errors?.[0].message).toBe('Invalid task ID');
  });

  test('can be named', async () => {
    await ask(server, `mutation { set_task_run_name(input: { task_run_id: "${taskRun(0).id}", name: "first" }) { success } }`);
    expect(taskRun(0).name).toBe('first');
  });
});

test('logs keep their order, their level and their task run', async () => {
  const mutation = 'mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }';
  await ask(server, mutation, { input: { logs: [{ flow_run_id: id, message: 'one', level: 'ERROR', task_run_id: taskRun(0).id }] } });
  // `prefect execute flow-run` sends one that is not in a list
  await ask(server, mutation, { input: { logs: { flow_run_id: id, message: 'two' } } });
  expect(server.logs(id)).toMatchObject([
    { message: 'one', level: 'ERROR', task_run_id: taskRun(0).id },
    { message: 'two', level: 'INFO', task_run_id: null, timestamp: clock.now() },
  ]);
});

describe('version locking in Cloud', () => {
  const key = { Authorization: 'Bearer k' };
  let locked: string;

  beforeEach(async () => {
    await server.stop();
    server = new FakePrefectServer({ backend: 'cloud', tenants: [{ slug: 'default', key: 'k' }] });
    await server.start();
    locked = server.scheduleRun({ ...SCRIPT, settings: { version_locking_enabled: true } });
  });

  test('refuses a version that is not the current one', async () => {
    const { errors } = await setFlowRun(server, locked, 'Running', { version: 7 }, key);
    expect(errors?.[0]).toMatchObject({
      message: `State update failed for flow run ID ${locked}: provided version 7 but current version is 1.`,
      extensions: { code: 'VERSION_LOCKING_ERROR' },
    });
  });

  test('takes the current version', async () => {
    await setFlowRun(server, locked, 'Running', { version: 1 }, key);
    expect(states(locked)).toEqual(['Scheduled', 'Running']);
  });

  test('asks nothing of a client that sends no version', async () => {
    await setFlowRun(server, locked, 'Failed', {}, key);
    expect(states(locked)).toEqual(['Scheduled', 'Failed']);
  });

  test('is off unless the flow turns it on', async () => {
    const open = server.scheduleRun(SCRIPT);
    await setFlowRun(server, open, 'Running', { version: 7 }, key);
    expect(states(open)).toEqual(['Scheduled', 'Running']);
  });
});
