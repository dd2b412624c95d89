// What the sweeper asks of Prefect, by the real client of Prefect 1.4.1.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { FakePrefectServer } from '../prefect-api/fake-prefect-server';
import { setTaskRun } from '../prefect-api/testing';
import { PythonOracle } from './oracle';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** A sweeper's side of an API. */
function sweeperOf(port: number, key?: string): PythonOracle {
  const oracle = new PythonOracle('python3', ['-B', join(__dirname, 'sweeper_oracle.py'), ...(key ? [key] : [])], {
    PATH: process.env.PATH,
    HOME: '/nonexistent',
    PREFECT__BACKEND: key ? 'cloud' : 'server',
    PREFECT__CLOUD__API: `http://127.0.0.1:${port}`,
  });
  stops.push(() => oracle.stop());
  return oracle;
}

async function start(key?: string): Promise<{ server: FakePrefectServer; sweeper: PythonOracle }> {
  const server = new FakePrefectServer(key ? { backend: 'cloud', tenants: [{ slug: 'a', key }] } : {});
  await server.start();
  stops.push(() => server.stop());
  return { server, sweeper: sweeperOf(server.port, key) };
}

const schedule = (server: FakePrefectServer, settings = {}) =>
  server.scheduleRun({ flow: 'etl', path: '/flows/etl.py', tasks: [{ slug: 'extract-1' }], settings });

/** Without what the client asks for itself: whose key it is. */
const operations = (server: FakePrefectServer) => server.calls.map(({ operation }) => operation).filter((name) => name !== 'auth_info');

test.each([undefined, 'key-a'])('flow runs are asked for, a hundred at a time; with the key %s', async (key) => {
  const { server, sweeper } = await start(key);
  const ids = Array.from({ length: 201 }, () => schedule(server));
  const unknown = '11111111-2222-3333-4444-555555555555';
  server.setState(ids[0] as string, 'Running');
  server.setState(ids[1] as string, 'Cancelled');
  const runs = await sweeper.ask({ runs: [...ids, unknown] });
  expect(Object.keys(runs).sort()).toEqual([...ids].sort());
  expect(operations(server)).toEqual(['flow_run', 'flow_run', 'flow_run']);
  expect(runs[ids[0] as string]).toMatchObject({ state: 'Running', finished: false, version: 2, heartbeat: expect.any(String) });
  expect(runs[ids[1] as string]).toMatchObject({ state: 'Cancelled', finished: true });
  expect(runs[ids[2] as string]).toMatchObject({ state: 'Scheduled', finished: false, version: 1, heartbeat: null });
});

test('Prefect is asked even if there are no flow runs', async () => {
  const { server, sweeper } = await start();
  expect(await sweeper.ask({ runs: [] })).toEqual({});
  expect(operations(server)).toEqual(['flow_run']);
});

/** A flow run of which one task runs, one waits and one has succeeded. */
async function atWork(server: FakePrefectServer): Promise<{ id: string; tasks: string[] }> {
  const slugs = ['extract-1', 'transform-1', 'load-1'];
  const id = server.scheduleRun({ flow: 'etl', path: '/flows/etl.py', tasks: slugs.map((slug) => ({ slug })) });
  server.setState(id, 'Running');
  const tasks = server.run(id).task_runs.map((task) => task.id);
  for (const [i, state] of ['Running', 'Retrying', 'Success'].entries()) await setTaskRun(server, tasks[i] as string, state);
  return { id, tasks };
}

test('a flow run is looked at with its task runs that run or wait', async () => {
  const { server, sweeper } = await start();
  const { id, tasks: all } = await atWork(server);
  const { run, tasks } = await sweeper.ask({ closely: id });
  expect(run).toMatchObject({ id, state: 'Running' });
  expect(tasks).toEqual([
    { id: all[0], state: 'Running', version: 1 },
    { id: all[1], state: 'Retrying', version: 1 },
  ]);
});

test('those flow runs of which a task waits are found at once', async () => {
  const { server, sweeper } = await start();
  const { id } = await atWork(server);
  expect(await sweeper.ask({ waiting: [id, ...Array.from({ length: 20 }, () => schedule(server))] })).toEqual([id]);
  expect(operations(server).filter((operation) => operation === 'flow_run')).toHaveLength(1);
});

test.each(['Failed', 'Cancelled', 'Scheduled'])('a flow run is set to %s, with the reason', async (state) => {
  const { server, sweeper } = await start();
  const id = schedule(server);
  server.setState(id, 'Running');
  await sweeper.ask({ set_run: { id, state, message: 'its pod is gone' } });
  expect(server.run(id)).toMatchObject({ state, state_message: 'its pod is gone' });
});

test('a task run is set to Pending', async () => {
  const { server, sweeper } = await start();
  const { id } = await atWork(server);
  await sweeper.ask({ set_task: { id, state: 'Pending', message: 'its pod is gone' } });
  expect(server.run(id).task_runs[0]).toMatchObject({ state: 'Pending', state_message: 'its pod is gone' });
});

test('a flow run that has changed is left alone, where versions are locked', async () => {
  const { server, sweeper } = await start('key-a');
  const id = schedule(server, { version_locking_enabled: true });
  server.setState(id, 'Running');
  const answer = await sweeper.ask({ set_run: { id, state: 'Failed', message: 'its pod is gone', version: 1 } });
  expect(answer).toMatchObject({ refused: 'Conflict' });
  expect(server.run(id).state).toBe('Running');
});

describe('an API that answers unlike Prefect', () => {
  async function answering(status: number, body: string): Promise<PythonOracle> {
    const server: Server = createServer((request, response) => {
      request.resume();
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    stops.push(() => server.close());
    return sweeperOf((server.address() as AddressInfo).port);
  }
  const id = '11111111-2222-3333-4444-555555555555';
  const row = { id, state: 'Running', version: 2, heartbeat: null };
  const rows = (...some: object[]) => JSON.stringify({ data: { flow_run: some } });

  test('its rows, if they were right', async () => {
    expect(Object.keys(await (await answering(200, rows(row))).ask({ runs: [id] }))).toEqual([id]);
  });
  test.each([
    ['a page of a proxy', 200, '<html>'],
    ['nothing', 200, ''],
    ['no data', 200, '{}'],
    ['null for the rows', 200, '{"data":{"flow_run":null}}'],
    ['a text for the rows', 200, '{"data":{"flow_run":"x"}}'],
    ['errors', 200, '{"errors":[{"message":"no"}]}'],
    ['that it knows nobody', 401, '{}'],
    ['rows of others', 200, rows({ ...row, id: '99999999-2222-3333-4444-555555555555' })],
    ['a row twice', 200, rows(row, row)],
    ['a state that there is not', 200, rows({ ...row, state: 'Gone' })],
    ['no state', 200, rows({ ...row, state: null })],
    ['no version', 200, rows({ ...row, version: null })],
    ['a row without fields', 200, rows({ id })],
  ])('%s', async (_, status, body) => {
    const sweeper = await answering(status, body);
    const answer = await sweeper.ask({ runs: [id] }).catch(({ message }: Error) => ({ refused: message }));
    expect(answer).toMatchObject({ refused: expect.any(String) });
  });
});
