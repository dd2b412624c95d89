// What the sweeper asks of Prefect, by the real client of Prefect 1.4.1.
import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FakePrefectServer } from '../prefect-server/fake-prefect-server';
import { serverOf, textOf } from '../prefect-server/listener';
import { setTaskRun } from '../prefect-server/testing';
import { PythonOracle, prefectOf } from './oracle';
import releases from './releases.json';

const folder = mkdtempSync(join(tmpdir(), 'sweeper-'));
const ALIVE = join(folder, 'alive');
afterAll(() => rmSync(folder, { recursive: true }));

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** A sweeper's side of an API. */
function sweeperOf(port: number, key?: string, release?: string): PythonOracle {
  const oracle = oracleOf(port, key, release);
  stops.push(() => oracle.stop());
  return oracle;
}

function oracleOf(port: number, key?: string, release?: string): PythonOracle {
  return new PythonOracle('python3', ['-B', join(__dirname, 'sweeper_oracle.py'), ...(key ? [key] : [])], {
    PATH: process.env.PATH,
    HOME: '/nonexistent',
    ALIVE,
    PREFECT__BACKEND: key ? 'cloud' : 'server',
    PREFECT__CLOUD__API: `http://127.0.0.1:${port}`,
    ...(release && { PYTHONPATH: prefectOf(release) }),
  });
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
  const tasksOfFlow = slugs.map((slug, i) => ({ slug, max_retries: i }));
  const id = server.scheduleRun({ flow: 'etl', path: '/flows/etl.py', tasks: tasksOfFlow });
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
    { id: all[0], state: 'Running', version: 1, may_retry: false },
    { id: all[1], state: 'Retrying', version: 1, may_retry: true },
  ]);
});

test('the task runs of many flow runs are asked for at once', async () => {
  const { server, sweeper } = await start();
  const { id } = await atWork(server);
  const others = Array.from({ length: 20 }, () => schedule(server));
  const { [id]: own, ...rest } = await sweeper.ask({ tasks: [id, ...others] });
  expect(own).toMatchObject([{ state: 'Running' }, { state: 'Retrying' }]);
  expect(Object.values(rest)).toEqual(others.map(() => []));
  expect(operations(server).filter((operation) => operation === 'flow_run')).toHaveLength(1);
});

test.each(['Failed', 'Cancelled', 'Scheduled'])('a flow run is set to %s, with the reason', async (state) => {
  const { server, sweeper } = await start();
  const id = schedule(server);
  server.setState(id, 'Running');
  await sweeper.ask({ set_run: { id, state, message: 'its pod is gone' } });
  expect(server.run(id)).toMatchObject({ state, state_message: 'its pod is gone' });
});

test('task runs are set to Pending, all by one request', async () => {
  const { server, sweeper } = await start();
  const { id } = await atWork(server);
  const before = operations(server).length;
  await sweeper.ask({ set_tasks: { id, state: 'Pending', message: 'its pod is gone' } });
  const [first, second] = server.run(id).task_runs;
  for (const task of [first, second]) expect(task).toMatchObject({ state: 'Pending', state_message: 'its pod is gone' });
  expect(operations(server).slice(before)).toEqual(['flow_run', 'set_task_run_states']);
});

describe.each(releases.prefect)('a write is sent once, by Prefect %s,', (release) => {
  const setRun = (id: string) => ({ set_run_at: { id, version: 2, state: 'Scheduled', message: 'its pod is gone' } });

  /** Before a Prefect: what it does with each write, which reaches Prefect or does not. */
  async function withWrites(onWrite: (response: ServerResponse, forward: () => Promise<string>) => void) {
    const server = new FakePrefectServer();
    await server.start();
    stops.push(() => server.stop());
    let writes = 0;
    const front = serverOf(async (request, response) => {
      const body = await textOf(request);
      const forward = async () => (await fetch(`http://127.0.0.1:${server.port}`, { method: 'POST', body })).text();
      if (body.includes('set_flow_run_states')) {
        writes++;
        onWrite(response, forward);
      } else {
        response.end(await forward());
      }
    });
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    stops.push(
      () => front.close(),
      () => front.closeAllConnections(),
    );
    const id = schedule(server);
    server.setState(id, 'Running');
    const sweeper = sweeperOf((front.address() as AddressInfo).port, undefined, release);
    const refused = await sweeper.ask(setRun(id)).then(
      () => '',
      ({ message }: Error) => message,
    );
    return { state: server.run(id).state, refused, writes };
  }

  test('where the rate is limited: it does not nap and send it again', async () => {
    const limited = await withWrites((response) => response.writeHead(429).end('{}'));
    expect(limited).toEqual({ state: 'Running', refused: expect.stringContaining('429'), writes: 1 });
  });
  test('where the answer is 503', async () => {
    const failed = await withWrites((response) => response.writeHead(503).end('{}'));
    expect(failed).toEqual({ state: 'Running', refused: expect.stringContaining('503'), writes: 1 });
  });
  test('where the API says API_ERROR', async () => {
    const failed = await withWrites((response) => response.end('{"errors":[{"message":"API_ERROR","extensions":{"code":"API_ERROR"}}]}'));
    expect(failed).toEqual({ state: 'Running', refused: expect.stringContaining('API_ERROR'), writes: 1 });
  });
  test('where it is sent elsewhere', async () => {
    const sent = await withWrites((response) => response.writeHead(307, { location: '/' }).end());
    expect(sent).toEqual({ state: 'Running', refused: expect.any(String), writes: 1 });
    expect(sent.refused).not.toBe('');
  });
  test('where it is carried out, and its answer gets lost', async () => {
    const lost = await withWrites((response, forward) => forward().then(() => response.destroy()));
    expect(lost).toEqual({ state: 'Scheduled', refused: expect.stringContaining('Connection'), writes: 1 });
  });
  test('where its answer trickles in: it is over in time as a whole', async () => {
    const late = await withWrites(async (response, forward) => {
      await forward();
      response.writeHead(200, { 'content-length': 1000 });
      const trickle = setInterval(() => response.write(' '), 500);
      response.on('close', () => clearInterval(trickle));
    });
    expect(late).toEqual({ state: 'Scheduled', refused: expect.stringContaining('Late'), writes: 1 });
  });
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

test.each(releases.prefect)('with Prefect %s, a client that waits because it is rate-limited shows life', async (release) => {
  const server = new FakePrefectServer();
  await server.start();
  stops.push(() => server.stop());
  const sweeper = oracleOf(server.port, undefined, release);
  await server.pause(429);
  writeFileSync(ALIVE, '');
  const asked = sweeper.ask({ runs: [] }).catch(() => undefined);
  // Each sign after the request comes from the wait.
  for (let signs = 0; signs < 2; signs++) {
    utimesSync(ALIVE, 0, 0);
    while (statSync(ALIVE).mtimeMs === 0) await sleep(100);
  }
  await sweeper.end();
  await asked;
});
