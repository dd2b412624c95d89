import { FakePrefectServer } from './fake-prefect-server';
import { ask, queue, setFlowRun } from './testing';

const started: FakePrefectServer[] = [];

async function start(...options: ConstructorParameters<typeof FakePrefectServer>): Promise<FakePrefectServer> {
  const server = new FakePrefectServer(...options);
  await server.start();
  started.push(server);
  return server;
}

afterEach(() => Promise.all(started.splice(0).map((server) => server.stop())));

const HELLO = 'query { hello }';
const SCRIPT = { flow: 'etl', path: '/flows/etl.py' };

describe('Cloud', () => {
  const a = { Authorization: 'Bearer key-a' };
  const cloud = () =>
    start({
      backend: 'cloud',
      tenants: [
        { slug: 'a', key: 'key-a' },
        { slug: 'b', key: 'key-b' },
        { slug: 'a2', key: 'key-a' },
      ],
    });

  test('needs a key for every tenant', () => {
    expect(() => new FakePrefectServer({ backend: 'cloud', tenants: [{ slug: 'a' }] })).toThrow(
      'the tenant a has no key: nobody could reach it',
    );
  });

  test('says whose key it is', async () => {
    const server = await cloud();
    expect((await ask(server, 'query { auth_info { tenant_id } }', null, a)).data.auth_info).toEqual({ tenant_id: server.tenant('a').id });
  });

  test.each([[{}], [{ Authorization: 'Bearer wrong' }], [{ Authorization: 'key-a' }]])('refuses the key of %j', async (headers) => {
    const server = await cloud();
    const { status, errors } = await ask(server, 'query { flow_run { id } }', null, headers);
    expect([status, errors?.[0].extensions.code]).toEqual([200, 'UNAUTHENTICATED']);
  });

  test('knows every key of a tenant, until it is revoked', async () => {
    const server = await cloud();
    const tenantOf = async (headers: Record<string, string>) =>
      (await ask(server, 'query { auth_info { tenant_id } }', null, headers)).data;
    const second = { Authorization: 'Bearer second' };
    server.addKey('a', 'second');
    expect(await tenantOf(second)).toEqual(await tenantOf(a));
    server.revokeKey('a', 'key-a');
    expect((await tenantOf(a)).auth_info).not.toEqual({ tenant_id: server.tenant('a').id });
    expect((await tenantOf(second)).auth_info).toEqual({ tenant_id: server.tenant('a').id });
    expect(() => server.revokeKey('a', 'key-a')).toThrow('the tenant a has no such key');
  });

  test('says hello to everybody', async () => {
    expect((await ask(await cloud(), HELLO)).errors).toBeUndefined();
  });

  test('acts for the first tenant of a key, if no header names one', async () => {
    expect((await ask(await cloud(), 'query { tenant { slug } }', null, a)).data).toEqual({ tenant: [{ slug: 'a' }] });
  });

  test('acts for the tenant that the header names, if the key opens it', async () => {
    const server = await cloud();
    const headers = { ...a, 'X-PREFECT-TENANT-ID': server.tenant('a2').id };
    expect((await ask(server, 'query { tenant { slug } }', null, headers)).data).toEqual({ tenant: [{ slug: 'a2' }] });
  });

  test('refuses a tenant that the key does not open', async () => {
    const server = await cloud();
    const { errors } = await ask(server, 'query { tenant { slug } }', null, { ...a, 'X-PREFECT-TENANT-ID': server.tenant('b').id });
    expect(errors?.[0].extensions.code).toBe('UNAUTHENTICATED');
  });

  test('does not show a run of another tenant', async () => {
    const server = await cloud();
    server.scheduleRun({ ...SCRIPT, tenant: 'b' });
    expect((await ask(server, 'query { flow_run { id } }', null, a)).data).toEqual({ flow_run: [] });
  });

  test('does not set the state of a run of another tenant', async () => {
    const server = await cloud();
    const id = server.scheduleRun({ ...SCRIPT, tenant: 'b' });
    expect((await setFlowRun(server, id, 'Running', {}, a)).errors?.[0].message).toBe(`State update failed for flow run ID ${id}`);
  });

  test('does not show the agent configurations of another tenant', async () => {
    const server = await cloud();
    server.createAgentConfig({}, 'b');
    expect((await ask(server, 'query { agent_config { settings } }', null, a)).data).toEqual({ agent_config: [] });
  });

  test('registers no agent in another tenant', async () => {
    const server = await cloud();
    const mutation = `mutation { register_agent(input: { type: "KubernetesAgent", tenant_id: "${server.tenant('b').id}" }) { id } }`;
    expect((await ask(server, mutation, null, a)).errors?.[0].message).toBe('No tenant found.');
  });

  test('does not queue the runs of another tenant', async () => {
    const server = await cloud();
    server.scheduleRun({ ...SCRIPT, tenant: 'b' });
    expect(await queue(server, [], { tenant: 'b', headers: a })).toEqual([]);
  });
});

test('Server shows every tenant, whatever key is sent', async () => {
  const server = await start({ tenants: [{ slug: 'a' }, { slug: 'b' }] });
  const { data } = await ask(server, 'query { tenant { slug } }', null, { Authorization: 'Bearer any' });
  expect(data.tenant).toEqual([{ slug: 'a' }, { slug: 'b' }]);
});

test('a tenant that does not exist is named, with those that do', async () => {
  const server = await start();
  expect(() => server.scheduleRun({ ...SCRIPT, tenant: 'x' })).toThrow('no tenant x: there are default');
});

describe('outages', () => {
  test('refuse connections, until the API is back on the same port', async () => {
    const server = await start();
    const { port } = server;
    await server.pause();
    await expect(ask(server, HELLO)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
    await server.resume();
    expect([(await ask(server, HELLO)).status, server.port]).toEqual([200, port]);
  });

  test.each([429, 500, 503] as const)('answer %d to everything, until the API is back', async (status) => {
    const server = await start();
    await server.pause(status);
    expect((await ask(server, HELLO)).status).toBe(status);
    await server.resume();
    expect((await ask(server, HELLO)).status).toBe(200);
  });
});

describe('faults', () => {
  const run = (server: FakePrefectServer) => server.scheduleRun(SCRIPT);

  test('hit the next requests of one operation', async () => {
    const server = await start();
    server.failNext('hello', 2, 503);
    expect((await ask(server, 'query { tenant { id } }')).status).toBe(200);
    expect([(await ask(server, HELLO)).status, (await ask(server, HELLO)).status, (await ask(server, HELLO)).status]).toEqual([
      503, 503, 200,
    ]);
  });

  test.each([
    ['reset', ['Scheduled']],
    [500, ['Scheduled']],
    ['lost answer', ['Scheduled', 'Running']],
  ] as const)('of kind %s leave the run %j', async (fault, states) => {
    const server = await start();
    const id = run(server);
    server.failNext('set_flow_run_states', 1, fault);
    await setFlowRun(server, id, 'Running').catch(() => undefined);
    expect(server.history(id).map(({ serialized_state }) => serialized_state.type)).toEqual(states);
    expect(server.calls).toMatchObject([{ operation: 'set_flow_run_states', fault }]);
  });

  test.each(['reset', 'lost answer'] as const)('of kind %s close the connection', async (fault) => {
    const server = await start();
    server.failNext('hello', 1, fault);
    await expect(ask(server, HELLO)).rejects.toThrow('fetch failed');
  });
});

test('calls say what was asked, by whom and with what result', async () => {
  const server = await start({ backend: 'cloud', tenants: [{ slug: 'a', key: 'key-a' }], now: () => new Date(0) });
  const headers = { Authorization: 'Bearer key-a', 'X-PREFECT-AGENT-ID': 'agent-1' };
  await ask(server, 'query { nothing }', null, headers);
  expect(server.calls).toEqual([
    {
      operation: 'nothing',
      at: new Date(0),
      agentId: 'agent-1',
      tenant: 'a',
      authorization: 'Bearer key-a',
      fault: undefined,
      status: 400,
      errors: ['Cannot query field "nothing" on type "Query".'],
    },
  ]);
});
