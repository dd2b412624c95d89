/** The fake Prefect API against the real Prefect: its agent, its flows and its client, in the `python3` of PATH. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { eventually } from '../cluster/harness/eventually';
import { FakePrefectServer } from '../prefect-server/fake-prefect-server';
import { tasksOf } from '../prefect-server/flow-file';
import { prefectSchema } from '../prefect-server/schema';

const PYTHON = join(__dirname, '..', 'prefect-server', 'python');
const FLOWS = join(PYTHON, 'flows.py');

let home: string;
let server: FakePrefectServer;
let agents: ChildProcess[];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'prefect-'));
  agents = [];
});

afterEach(async () => {
  await Promise.all(agents.map(end));
  await server.stop();
  rmSync(home, { recursive: true });
});

async function start(...options: ConstructorParameters<typeof FakePrefectServer>): Promise<void> {
  server = new FakePrefectServer(...options);
  await server.start();
}

/** Prefect's own settings, with its intervals shortened to a second. */
function environment(settings: Record<string, string>): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: home,
    PREFECT__BACKEND: 'server',
    PREFECT__CLOUD__API: `http://127.0.0.1:${server.port}`,
    PREFECT__CLOUD__SEND_FLOW_RUN_LOGS: 'true',
    PREFECT__CLOUD__HEARTBEAT_INTERVAL: '1',
    PREFECT__CLOUD__CHECK_CANCELLATION_INTERVAL: '1',
    PREFECT__CLOUD__LOGGING_HEARTBEAT: '1',
    ...settings,
  };
}

const agentLog = () => join(home, 'agents.log');

function startAgent(settings: Record<string, string> = {}, ...args: string[]): void {
  const log = openSync(agentLog(), 'a');
  agents.push(spawn('python3', [join(PYTHON, 'agent.py'), ...args], { env: environment(settings), stdio: ['ignore', log, log] }));
  closeSync(log);
}

async function end(agent: ChildProcess): Promise<void> {
  if (agent.exitCode !== null) return;
  const exit = new Promise((resolve) => agent.once('exit', resolve));
  // the agent ends on SIGINT alone
  agent.kill('SIGINT');
  await exit;
}

/** Runs a command, and gives what it prints. */
async function run(command: string, args: string[], settings: Record<string, string> = {}): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { env: environment(settings) });
  return stdout.trim();
}

/** Runs a program with a `client`, and gives what it prints. */
function python(program: string, settings?: Record<string, string>): Promise<string> {
  const source = `import prefect\nfrom prefect import Client\nfrom prefect.engine import state\nclient = Client()\n${program}`;
  return run('python3', ['-c', source], settings);
}

/** Runs Prefect's command line, and gives what it prints. */
const prefect = (args: string[], settings?: Record<string, string>) => run('prefect', args, settings);

/** Prints the name of the exception that a statement raises, and its text. */
const raised = (statement: string) => `try:\n    ${statement}\nexcept BaseException as e:\n    print(type(e).__name__, e)`;

const schedule = (flow: string, request = {}) => server.scheduleRun({ flow, path: FLOWS, tasks: tasksOf(FLOWS, flow), ...request });
const state = (id: string) => server.run(id).state;
const history = (id: string) => server.history(id).map(({ serialized_state }) => serialized_state.type);
const taskStates = (id: string) =>
  server.run(id).task_runs.map(({ task, map_index, state: type }) => `${task.slug}${map_index < 0 ? '' : `[${map_index}]`} ${type}`);
const refused = () => server.calls.filter(({ errors }) => errors.length > 0);

const until = (what: string, holds: () => boolean): Promise<void> =>
  eventually(() => expect(holds()).toBe(true), { interval: 100, state: async () => `${what}\n${readFileSync(agentLog(), 'utf8')}` });

/** Waits for the end of a run, and shows its log if it ends otherwise. */
async function ended(id: string, type: string): Promise<void> {
  await until('the end of the run', () => ['Success', 'Failed', 'Cancelled'].includes(state(id)));
  const log = server.logs(id).map(({ message }) => message);
  if (state(id) !== type) throw new Error([`${history(id).join(', ')} instead of ${type}:`, ...log].join('\n'));
}

describe('the real agent and flows', () => {
  test('run a scheduled run to Success, once, and report each step', async () => {
    await start();
    const id = schedule('hello', { parameters: { name: 'Kubernetes' } });
    startAgent();
    await ended(id, 'Success');

    const [agent] = server.agents;
    expect(server.history(id).map(({ by, serialized_state }) => [serialized_state.type, by])).toEqual([
      ['Scheduled', 'server'],
      ['Submitted', `agent ${agent.id}`],
      ['Running', 'client'],
      ['Success', 'client'],
    ]);
    expect(server.run(id).agent_id).toBe(agent.id);
    expect(taskStates(id).sort()).toEqual([
      'Constant[list]-1 Success',
      'greet-1 Cached',
      'name Success',
      'square-1 Mapped',
      'square-1[0] Success',
      'square-1[1] Success',
      'square-1[2] Success',
    ]);
    await until('logs', () => server.logs(id).some(({ message }) => message?.includes('squaring 3')));
    expect(refused()).toEqual([]);
  });

  test('end Failed when a task fails, and so do the tasks after it', async () => {
    await start();
    const id = schedule('failing');
    startAgent();
    await ended(id, 'Failed');
    expect(taskStates(id)).toEqual(['fail-1 Failed', 'square-1 TriggerFailed']);
    expect(refused()).toEqual([]);
  });

  test('retry a task', async () => {
    await start();
    const id = schedule('flaky');
    startAgent();
    await ended(id, 'Success');
    const states = server.run(id).task_runs[0].states.map(({ serialized_state }) => serialized_state.type);
    expect(states).toEqual(['Pending', 'Running', 'Failed', 'Retrying', 'Running', 'Success']);
    expect(refused()).toEqual([]);
  });

  test('show life while a task runs, and end Cancelled when the run is cancelled', async () => {
    await start();
    const id = schedule('endless');
    startAgent();
    await until('a task runs', () => taskStates(id).includes('wait-1 Running'));
    const { heartbeat } = server.run(id);
    await until('a heartbeat', () => (server.run(id).heartbeat ?? 0) > (heartbeat ?? 0));
    server.cancel(id);
    await ended(id, 'Cancelled');
    expect(history(id)).toEqual(['Scheduled', 'Submitted', 'Running', 'Cancelling', 'Cancelled']);
    expect(taskStates(id)).toEqual(['square-1 Cancelled', 'wait-1 Cancelled']);
    expect(refused()).toEqual([]);
  });

  test('begin with a heartbeat, and send no other where heartbeats are off', async () => {
    await start();
    const env = { PREFECT__CLOUD__HEARTBEAT_MODE: 'off', PREFECT__CLOUD__HEARTBEAT_INTERVAL: '0.1' };
    const id = schedule('hello', {
      parameters: { name: 'Kubernetes' },
      runConfig: { type: 'UniversalRun', labels: [], __version__: '1.4.1', env },
    });
    startAgent();
    await ended(id, 'Success');
    const operations = server.calls.map(({ operation }) => operation);
    expect(operations.filter((operation) => operation === 'update_flow_run_heartbeat')).toHaveLength(1);
  });

  test('take the runs of their labels alone', async () => {
    await start();
    const runs = {
      a: schedule('hello', { labels: ['a'] }),
      b: schedule('hello', { labels: ['b'] }),
      c: schedule('hello', { labels: ['c'] }),
    };
    startAgent({ PREFECT__CLOUD__AGENT__NAME: 'agent-a', PREFECT__CLOUD__AGENT__LABELS: '["a"]' });
    startAgent({ PREFECT__CLOUD__AGENT__NAME: 'agent-b', PREFECT__CLOUD__AGENT__LABELS: '["b"]' });
    await Promise.all([ended(runs.a, 'Success'), ended(runs.b, 'Success')]);
    const submitter = (id: string) => server.agents.find((agent) => agent.id === server.run(id).agent_id)?.name;
    expect([submitter(runs.a), submitter(runs.b), state(runs.c)]).toEqual(['agent-a', 'agent-b', 'Scheduled']);
    expect(refused()).toEqual([]);
  });

  test('take the runs of their tenant alone', async () => {
    await start({
      backend: 'cloud',
      tenants: [
        { slug: 'a', key: 'key-a' },
        { slug: 'b', key: 'key-b' },
      ],
    });
    const [a, b] = [schedule('hello', { tenant: 'a' }), schedule('hello', { tenant: 'b' })];
    startAgent({ PREFECT__BACKEND: 'cloud', PREFECT__CLOUD__API_KEY: 'key-a' });
    await ended(a, 'Success');
    expect(state(b)).toBe('Scheduled');
    expect(new Set(server.calls.map(({ tenant, authorization }) => `${tenant} ${authorization}`))).toEqual(new Set(['a Bearer key-a']));
    expect(refused()).toEqual([]);
  });

  test('live through an outage of the API', async () => {
    await start();
    startAgent();
    await until('a poll', () => server.calls.some(({ operation }) => operation === 'get_runs_in_queue'));
    await server.pause();
    const id = schedule('hello');
    await sleep(2_000);
    await server.resume();
    await ended(id, 'Success');
    expect(history(id)).toEqual(['Scheduled', 'Submitted', 'Running', 'Success']);
  });

  test('send every operation of the schema, with the client', async () => {
    const key = { PREFECT__BACKEND: 'cloud', PREFECT__CLOUD__API_KEY: 'key-a' };
    await start({ backend: 'cloud', tenants: [{ slug: 'a', key: 'key-a' }] });
    const id = schedule('hello');
    startAgent(key, server.createAgentConfig({}));
    await ended(id, 'Success');
    await prefect(['create', 'project', 'tests'], key);
    await prefect(['register', '--project', 'tests', '--path', FLOWS, '--name', 'hello'], key);
    await prefect(['run', '--name', 'hello', '--project', 'tests'], key);
    // what is asked for when states collide, by a user, and when a run waits for long
    const [taskRun] = server.run(id).task_runs;
    await python(
      [
        `client.get_task_run_state("${taskRun.id}")`,
        `client.cancel_flow_run("${id}")`,
        'from prefect.backend.flow_run import check_for_compatible_agents',
        'check_for_compatible_agents([])',
      ].join('\n'),
      key,
    );
    const schema = prefectSchema('cloud');
    const operations = { ...schema.getQueryType()?.getFields(), ...schema.getMutationType()?.getFields() };
    expect([...new Set(server.calls.map(({ operation }) => operation))].sort()).toEqual(Object.keys(operations).sort());
    expect(refused()).toEqual([]);
  });
});

describe('the real command line', () => {
  const register = (flow: string, ...more: string[]) =>
    prefect(['register', '--project', 'tests', '--path', FLOWS, '--name', flow, ...more]);

  test('creates a project once', async () => {
    await start();
    expect(await prefect(['create', 'project', 'tests'])).toBe('tests created');
    expect(await prefect(['create', 'project', 'tests', '--skip-if-exists'])).toBe('tests already exists');
    expect(await python('print(client.create_project("tests"))')).toMatch(/^[0-9a-f-]{36}$/);
    expect(server.calls.flatMap(({ errors }) => errors)).toEqual(['Uniqueness violation.']);
  });

  test('registers a flow as a new version where it differs', async () => {
    await start();
    await prefect(['create', 'project', 'tests']);
    expect(await register('hello')).toMatch(/Version: 1[\s\S]*1 registered/);
    expect(await register('hello')).toMatch(/1 skipped/);
    expect(await register('hello', '--label', 'kube')).toMatch(/Version: 2[\s\S]*1 registered/);
    expect(refused()).toEqual([]);
  });

  test('runs a registered flow on the real agent, and watches it to its end', async () => {
    await start();
    await prefect(['create', 'project', 'tests']);
    await register('hello', '--label', 'kube');
    startAgent({ PREFECT__CLOUD__AGENT__LABELS: `["kube", "${hostname()}"]` });
    const watched = await prefect(['run', '--name', 'hello', '--project', 'tests', '--param', 'name=Kubernetes', '--watch']);
    expect(watched).toMatch(/Entered state <Scheduled>[\s\S]*Entered state <Running>[\s\S]*squaring 3[\s\S]*Flow run succeeded!$/);
    expect(server.runs()).toMatchObject([{ state: 'Success', parameters: { name: 'Kubernetes' } }]);
    expect(refused()).toEqual([]);
  });

  test('says that a flow was not found', async () => {
    await start();
    const stdout = expect.stringContaining('No results found while querying for flows');
    await expect(prefect(['run', '--name', 'hello', '--project', 'tests'])).rejects.toMatchObject({ stdout });
  });
});

describe('the real client', () => {
  test('finds the default tenant of Server', async () => {
    await start({ tenants: [{ slug: 'first' }, { slug: 'second' }] });
    expect(await python('print(client.tenant_id)')).toBe(server.tenant('first').id);
  });

  test('finds the tenant of its key in Cloud', async () => {
    await start({ backend: 'cloud', tenants: [{ slug: 'a', key: 'key-a' }] });
    expect(await python('print(client.tenant_id)', { PREFECT__BACKEND: 'cloud', PREFECT__CLOUD__API_KEY: 'key-a' })).toBe(
      server.tenant('a').id,
    );
  });

  test('raises AuthorizationError for a key that Cloud does not know', async () => {
    await start({ backend: 'cloud', tenants: [{ slug: 'a', key: 'key-a' }] });
    const error = await python(raised('client.tenant_id'), { PREFECT__BACKEND: 'cloud', PREFECT__CLOUD__API_KEY: 'wrong' });
    expect(error).toMatch(/^AuthorizationError .*UNAUTHENTICATED/);
  });

  test('raises ClientError for an operation that is unknown', async () => {
    await start();
    const error = await python(raised('client.graphql("mutation { delete_flow_run(input: {}) { success } }")'));
    expect(error).toMatch(/^ClientError 400 Client Error[\s\S]*GRAPHQL_VALIDATION_FAILED: Cannot query field "delete_flow_run"/);
  });

  test('raises ClientError for a state that is refused, in the words by which the agent knows it', async () => {
    await start();
    const id = schedule('failing');
    const submit = `client.set_flow_run_state("${id}", state.Submitted())`;
    expect(await python(`${submit}\n${raised(submit)}`)).toMatch(/^ClientError .*State update failed: this run has already been submitted/);
  });

  test('raises VersionLockMismatchSignal for an old version in Cloud', async () => {
    await start({ backend: 'cloud', tenants: [{ slug: 'a', key: 'key-a' }] });
    const id = schedule('failing', { settings: { version_locking_enabled: true } });
    const error = await python(raised(`client.set_flow_run_state("${id}", state.Running(), version=7)`), {
      PREFECT__BACKEND: 'cloud',
      PREFECT__CLOUD__API_KEY: 'key-a',
    });
    expect(error).toMatch(/^VersionLockMismatchSignal /);
  });

  test('tries again after a server error and after a lost answer', async () => {
    await start();
    server.failNext('hello', 1, 503);
    server.failNext('hello', 1, 'lost answer');
    expect(await python('print(client.graphql("query { hello }").data.hello)')).not.toBe('');
    expect(server.calls.map(({ fault }) => fault)).toEqual([503, 'lost answer', undefined]);
  });

  test('reads the states that the server itself sets', async () => {
    await start();
    const id = schedule('failing');
    const types: string[] = [];
    for (const change of [() => server.lazarus(new Date()), () => server.cancel(id), () => server.setState(id, 'Paused')]) {
      server.setState(id, 'Running');
      change();
      types.push(await python(`print(type(client.get_flow_run_state("${id}")).__name__)`));
    }
    expect(types).toEqual(['Scheduled', 'Cancelling', 'Paused']);
  });
});
