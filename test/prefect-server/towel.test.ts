import { FakePrefectServer } from './fake-prefect-server';
import { Clock, setFlowRun, setTaskRun } from './testing';

const clock = new Clock();
let server: FakePrefectServer;

beforeEach(async () => {
  server = new FakePrefectServer({ now: clock.now });
  await server.start();
});

afterEach(() => server.stop());

const schedule = (request = {}) =>
  server.scheduleRun({ flow: 'etl', path: '/flows/etl.py', tasks: [{ slug: 'extract-1', max_retries: 1, retry_delay: 60 }], ...request });

async function runningRun(request = {}, task = 'Running'): Promise<string> {
  const id = schedule(request);
  await setFlowRun(server, id, 'Running');
  await setTaskRun(server, server.run(id).task_runs[0].id, task);
  return id;
}

const state = (id: string) => server.run(id).state;
const taskState = (id: string) => server.run(id).task_runs[0].state;
const NO_LIFE = 600;

describe('Lazarus', () => {
  test.each(['Submitted', 'Running'])('schedules a run again that is %s and shows no life for 10 minutes', async (type) => {
    const id = schedule();
    await setFlowRun(server, id, type);
    clock.pass(NO_LIFE);
    server.lazarus();
    expect(server.run(id)).toMatchObject({ state: 'Scheduled', state_start_time: clock.now(), times_resurrected: 1 });
    expect(server.history(id).at(-1)?.by).toBe('lazarus');
  });

  test('leaves a run alone that showed life since', async () => {
    const id = await runningRun({}, 'Success');
    clock.pass(NO_LIFE - 1);
    server.lazarus();
    expect(state(id)).toBe('Running');
  });

  test.each(['Running', 'Retrying', 'Paused'])('leaves a run alone of which a task is %s', async (task) => {
    const id = await runningRun({}, task);
    clock.pass(NO_LIFE);
    server.lazarus();
    expect(state(id)).toBe('Running');
  });

  test.each(['Scheduled', 'Cancelling', 'Cancelled', 'Failed'])('leaves a run alone that is %s', async (type) => {
    const id = await runningRun({}, 'Success');
    await setFlowRun(server, id, type);
    clock.pass(NO_LIFE);
    server.lazarus();
    expect(state(id)).toBe(type);
  });

  test.each(['lazarus_enabled', 'heartbeat_enabled'])('leaves a run alone whose flow turned %s off', async (setting) => {
    const id = await runningRun({ settings: { [setting]: false } }, 'Success');
    clock.pass(NO_LIFE);
    server.lazarus();
    expect(state(id)).toBe('Running');
  });

  test('fails a run that it scheduled three times', async () => {
    const id = schedule();
    for (let attempt = 0; attempt < 4; attempt++) {
      await setFlowRun(server, id, 'Submitted');
      clock.pass(NO_LIFE);
      server.lazarus();
    }
    expect(state(id)).toBe('Failed');
    expect(server.logs(id).map(({ level }) => level)).toEqual(['INFO', 'INFO', 'INFO', 'ERROR']);
  });

  test('can be told how old a heartbeat may be', async () => {
    const id = await runningRun({}, 'Success');
    server.lazarus(clock.now());
    expect(state(id)).toBe('Scheduled');
  });
});

describe('the Zombie Killer', () => {
  test('retries a running task of a run without life, after its delay', async () => {
    const id = await runningRun();
    clock.pass(NO_LIFE);
    server.zombieKiller();
    expect(server.run(id).task_runs[0]).toMatchObject({ state: 'Retrying', state_start_time: new Date(clock.in(60)) });
    expect(server.logs(id).at(-1)).toMatchObject({ level: 'ERROR', task_run_id: server.run(id).task_runs[0].id });
  });

  test('fails a task that has no retries left', async () => {
    const id = await runningRun();
    clock.pass(NO_LIFE);
    server.zombieKiller();
    await setTaskRun(server, server.run(id).task_runs[0].id, 'Running');
    server.zombieKiller();
    expect(taskState(id)).toBe('Failed');
  });

  test('fails a task whose run does not run any more', async () => {
    const id = await runningRun();
    await setFlowRun(server, id, 'Cancelling');
    clock.pass(NO_LIFE);
    server.zombieKiller();
    expect(taskState(id)).toBe('Failed');
  });

  test('fails a run that is being cancelled and shows no life', async () => {
    const id = await runningRun();
    server.cancel(id);
    clock.pass(NO_LIFE);
    server.zombieKiller();
    expect(server.history(id).at(-1)).toMatchObject({ serialized_state: { type: 'Failed' }, by: 'zombie killer' });
  });

  test('leaves a running run to Lazarus', async () => {
    const id = await runningRun();
    clock.pass(NO_LIFE);
    server.zombieKiller();
    expect(state(id)).toBe('Running');
  });

  test('leaves a run alone that showed life since', async () => {
    const id = await runningRun();
    clock.pass(NO_LIFE - 1);
    server.zombieKiller();
    expect(taskState(id)).toBe('Running');
  });

  test('leaves a run alone whose flow turned its heartbeat off', async () => {
    const id = await runningRun({ settings: { heartbeat_enabled: false } });
    clock.pass(NO_LIFE);
    server.zombieKiller();
    expect(taskState(id)).toBe('Running');
  });
});
