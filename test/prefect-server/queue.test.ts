import { FakePrefectServer } from './fake-prefect-server';
import { ask, Clock, queue, setFlowRun, setTaskRun } from './testing';

const clock = new Clock();
let server: FakePrefectServer;

beforeEach(async () => {
  server = new FakePrefectServer({ now: clock.now, tenants: [{ slug: 'default' }, { slug: 'other' }] });
  await server.start();
});

afterEach(() => server.stop());

const schedule = (request = {}) => server.scheduleRun({ flow: 'etl', path: '/flows/etl.py', tasks: [{ slug: 'extract-1' }], ...request });

const register = (name: string, labels: string[], headers = {}) =>
  ask(
    server,
    'mutation($input: register_agent_input!) { register_agent(input: $input) { id } }',
    { input: { type: 'KubernetesAgent', name, labels, tenant_id: server.tenant('default').id } },
    headers,
  ).then(({ data }) => data.register_agent.id as string);

describe('the queue', () => {
  test.each([
    ['a run with a label to an agent with that label', ['a'], ['a'], true],
    ['a run with a label to an agent with more labels', ['a'], ['a', 'b'], true],
    ['no run with two labels to an agent with one of them', ['a', 'b'], ['a'], false],
    ['no run with a label to an agent without', ['a'], [], false],
    ['no run without labels to an agent with', [], ['a'], false],
    ['a run without labels to an agent without', [], [], true],
  ])('gives %s', async (_, run, agent, given) => {
    const id = schedule({ labels: run });
    expect(await queue(server, agent)).toEqual(given ? [id] : []);
  });

  test('takes the labels of the run config if the run has none of its own', async () => {
    const id = schedule({ runConfig: { type: 'KubernetesRun', labels: ['a'] } });
    expect(await queue(server, ['a'])).toEqual([id]);
  });

  test('gives no run before its time', async () => {
    schedule({ startTime: new Date(clock.in(11)) });
    expect(await queue(server, [], { before: clock.in(10) })).toEqual([]);
  });

  test('gives a run whose time comes before the one asked for', async () => {
    const id = schedule({ startTime: new Date(clock.in(10)) });
    expect(await queue(server, [], { before: clock.in(10) })).toEqual([id]);
  });

  test('gives the runs that wait longest first', async () => {
    const second = schedule();
    const first = schedule({ startTime: new Date(clock.in(-60)) });
    expect(await queue(server)).toEqual([first, second]);
  });

  test('gives 25 runs at a time', async () => {
    for (let i = 0; i < 26; i++) schedule();
    expect(await queue(server)).toHaveLength(25);
  });

  test('looks at 75 runs only: labelled ones behind them wait', async () => {
    for (let i = 0; i < 75; i++) schedule({ startTime: new Date(clock.in(-60)) });
    schedule({ labels: ['a'] });
    expect(await queue(server, ['a'])).toEqual([]);
  });

  test('gives no run of another tenant', async () => {
    schedule({ tenant: 'other' });
    expect(await queue(server)).toEqual([]);
  });

  test('gives no running run', async () => {
    await setFlowRun(server, schedule(), 'Running');
    expect(await queue(server)).toEqual([]);
  });

  test.each(['Submitted', 'Cancelling', 'Success'])('gives no run that is %s, even if a task waits for its retry', async (type) => {
    const id = schedule();
    await setFlowRun(server, id, type);
    await setTaskRun(server, server.run(id).task_runs[0].id, 'Retrying');
    expect(await queue(server)).toEqual([]);
  });

  test('gives a running run of which a task waits for its retry', async () => {
    const id = schedule();
    await setFlowRun(server, id, 'Running');
    await setTaskRun(server, server.run(id).task_runs[0].id, 'Retrying', { start_time: clock.in(5) });
    expect(await queue(server, [], { before: clock.in(4) })).toEqual([]);
    expect(await queue(server, [], { before: clock.in(5) })).toEqual([id]);
  });
});

describe('agents', () => {
  test('that are alike are one agent', async () => {
    expect(await register('agent', ['b', 'a'])).toBe(await register('agent', ['a', 'b']));
    expect(server.agents).toMatchObject([{ name: 'agent', labels: ['a', 'b'] }]);
  });

  test('with other labels or another version are other agents', async () => {
    await register('agent', ['a']);
    await register('agent', ['b']);
    await register('agent', ['b'], { 'X-PREFECT-CORE-VERSION': '1.4.1' });
    expect(server.agents).toHaveLength(3);
  });

  test('show when they last asked for runs', async () => {
    const id = await register('agent', []);
    expect(server.agents[0].last_queried).toBeNull();
    clock.pass(10);
    await queue(server, [], { headers: { 'X-PREFECT-AGENT-ID': id } });
    expect(server.agents[0].last_queried).toEqual(clock.now());
  });

  test('are named in the run that they submit', async () => {
    const [agent, run] = [await register('agent', []), schedule()];
    await setFlowRun(server, run, 'Submitted', {}, { 'X-PREFECT-AGENT-ID': agent });
    expect(server.run(run).agent_id).toBe(agent);
  });

  test('that are not registered are not', async () => {
    const run = schedule();
    await setFlowRun(server, run, 'Submitted', {}, { 'X-PREFECT-AGENT-ID': 'stranger' });
    expect(server.run(run).agent_id).toBeNull();
  });

  test('find their configuration', async () => {
    const id = server.createAgentConfig({ limit: 3 });
    const { data } = await ask(server, `query { agent_config(where: { id: { _eq: "${id}" } }) { settings } }`);
    expect(data).toEqual({ agent_config: [{ settings: { limit: 3 } }] });
  });
});
