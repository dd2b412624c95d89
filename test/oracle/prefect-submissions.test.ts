/** What becomes of a flow run while the real worker of Prefect 3 submits it, and Prefect's API or Kubernetes answers badly. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as ask, createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../cluster/harness/eventually';
import { kubernetesAt, PREFECT3_NEWEST, Prefect3Server, WorkerProgram } from './prefect3';

/** What happens to a request: a status instead of an answer, or the request arrives and its answer is lost. */
type Fault = number | 'answer lost';
type Faults = (method: string, path: string, authorization?: string) => Fault | undefined;
const NONE: Faults = () => undefined;

/** The first `times` requests that match meet a fault. */
function first(times: number, matching: RegExp, fault: Fault): Faults & { met: number } {
  const faults = Object.assign(
    (method: string, path: string) => {
      if (faults.met === times || !matching.test(`${method} ${path}`)) return undefined;
      faults.met += 1;
      return fault;
    },
    { met: 0 },
  );
  return faults;
}

/** Of several faults, the first one that there still is. */
function inTurn(...all: Faults[]): Faults {
  return (...request) => {
    for (const each of all) {
      const fault = each(...request);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };
}

const textOf = async (message: IncomingMessage): Promise<string> => (await message.setEncoding('utf8').toArray()).join('');

async function listen(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

/** Stands between the worker and Prefect's API. */
class Between {
  faults = NONE;
  private readonly server = createServer((request, response) => void this.handle(request, response));
  private port = 0;

  static async start(to: string): Promise<Between> {
    const between = new Between(new URL(to));
    between.port = await listen(between.server);
    return between;
  }

  private constructor(private readonly to: URL) {
    // Events of Prefect have a WebSocket.
    this.server.on('upgrade', (request, socket, head) => {
      const there = connect(Number(to.port), to.hostname, () => {
        const headers = request.rawHeaders.map((text, i) => text + (i % 2 ? '\r\n' : ': ')).join('');
        there.write(`${request.method} ${request.url} HTTP/1.1\r\n${headers}\r\n`);
        there.write(head);
        there.pipe(socket).pipe(there);
      });
      for (const each of [there, socket]) each.on('error', () => [there.destroy(), socket.destroy()]);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/api`;
  }

  private async handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '', headers } = incoming;
    const fault = this.faults(method, path, headers.authorization);
    const body = await textOf(incoming);
    if (typeof fault === 'number') {
      response.writeHead(fault, { 'content-type': 'application/json' }).end('{}');
      return;
    }
    const forwarded = ask({
      host: this.to.hostname,
      port: this.to.port,
      method,
      path,
      headers: { ...headers, 'accept-encoding': 'identity' },
      agent: false,
    });
    forwarded.on('error', () => response.destroy());
    forwarded.on('response', async (answer: IncomingMessage) => {
      const text = await textOf(answer);
      if (fault === 'answer lost') response.destroy();
      else response.writeHead(answer.statusCode ?? 500, { 'content-type': 'application/json' }).end(text);
    });
    forwarded.end(body);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** The Jobs of an API server, which makes names of its own and refuses a name that is there. */
class Jobs {
  faults = NONE;
  readonly names = new Map<string, string>();
  private readonly server = createServer((request, response) => void this.handle(request, response));
  port = 0;

  static async start(): Promise<Jobs> {
    const jobs = new Jobs();
    jobs.port = await listen(jobs.server);
    return jobs;
  }

  of(run: string): string[] {
    return [...this.names].flatMap(([name, of]) => (of === run ? [name] : []));
  }

  private async handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { metadata } = JSON.parse(await textOf(incoming));
    const fault = this.faults(incoming.method ?? '', incoming.url ?? '');
    const answer = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (typeof fault === 'number') return answer(fault, { reason: 'Conflict', message: 'refused by the test' });
    const name = metadata.name ?? metadata.generateName + Math.random().toString(36).slice(2, 7);
    const isThere = this.names.has(name);
    if (!isThere) this.names.set(name, metadata.labels['prefect.io/flow-run-id']);
    if (fault === 'answer lost') response.destroy();
    else if (isThere) answer(409, { reason: 'AlreadyExists', message: `jobs.batch "${name}" already exists` });
    else answer(201, { metadata: { ...metadata, name, namespace: 'default' } });
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
  }
}

let server: Prefect3Server;
let api: Between;
let jobs: Jobs;
let deployment: string;
let worker: WorkerProgram;
const created: string[] = [];

beforeAll(async () => {
  server = await Prefect3Server.start(PREFECT3_NEWEST);
  await server.ask('POST', '/work_pools/', { name: 'k8s', type: 'kubernetes' });
  const { body: flow } = await server.ask('POST', '/flows/', { name: 'flow' });
  const { body } = await server.ask('POST', '/deployments/', { name: 'd', flow_id: flow.id, work_pool_name: 'k8s', entrypoint: 'a.py:a' });
  deployment = body.id;
});
beforeEach(async () => {
  api = await Between.start(server.url);
  jobs = await Jobs.start();
});
afterEach(async () => {
  await worker.stop();
  // What is still Scheduled is not for the next worker.
  for (const run of created.splice(0)) await server.ask('DELETE', `/flow_runs/${run}`);
  await api.stop();
  await jobs.stop();
});
afterAll(async () => {
  await server.stop();
});

function start(options = ['--finish-within=60']): void {
  const env = {
    PREFECT_API_URL: api.url,
    PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_ENABLED: 'false',
    // Without a pause.
    ...Object.fromEntries(
      ['DELAY', 'JITTER_MIN', 'JITTER_MAX'].map((of) => [`PREFECT_INTEGRATIONS_KUBERNETES_WORKER_CREATE_JOB_RETRY_${of}_SECONDS`, '0']),
    ),
    PREFECT_WORKER_QUERY_SECONDS: '1',
    // Each bad answer shall reach the worker.
    PREFECT_CLIENT_MAX_RETRIES: '0',
  };
  const before = [
    kubernetesAt(jobs.port),
    `sys.path.insert(0, ${JSON.stringify(join(__dirname, '../../lib/worker/program'))})`,
    'import answers, credentials, job_creation',
    'answers.LONGEST_PAUSE_SECONDS = job_creation.PAUSE_SECONDS = 0.1',
    'credentials.SECONDS = 0.5',
  ].join('\n');
  const args = ['--signs=HOME', ...options, 'worker', 'start', '--type=kubernetes', '--pool=k8s', '--name=w'];
  worker = new WorkerProgram('start_worker.py', args, env, before);
}

async function create(): Promise<string> {
  const { body } = await server.ask('POST', `/deployments/${deployment}/create_flow_run`, { state: { type: 'SCHEDULED' } });
  created.push(body.id);
  return body.id;
}

const read = async (run: string) => (await server.ask('GET', `/flow_runs/${run}`)).body;

/** Somebody else sets the state of a flow run. */
async function set(run: string, type: string, name?: string): Promise<void> {
  const { body } = await server.ask('POST', `/flow_runs/${run}/set_state`, { state: { type, name } });
  expect(body.status).toBe('ACCEPT');
}

const settled = (holds: () => Promise<void>): Promise<void> => eventually(holds, { interval: 200, state: async () => worker.log });

/** It has one Job, and Prefect knows its name. */
const submitted = (run: string): Promise<void> =>
  settled(async () => {
    const { infrastructure_pid } = await read(run);
    expect(infrastructure_pid).not.toBeNull();
    expect(jobs.of(run).map((name) => `default:${name}`)).toEqual([infrastructure_pid]);
  });

const SET_STATE = /^POST \/api\/flow_runs\/[^/]+\/set_state$/;
const SET_LABELS = /^PATCH \/api\/flow_runs\/[^/]+\/labels$/;
const READ_DEPLOYMENT = /^GET \/api\/deployments\/[^/]+$/;
const CREATE_JOB = /^POST .*\/jobs$/;
const EACH = Number.POSITIVE_INFINITY;

describe('each request of a submission meets bad answers, and is repeated', () => {
  const REQUESTS = {
    'reads the deployment': READ_DEPLOYMENT,
    'sets a state': SET_STATE,
    'sets the labels': SET_LABELS,
    'sets the name of the Job': /^PATCH \/api\/flow_runs\/[^/]+$/,
  };
  test.each(Object.entries(REQUESTS))('%s: 500, 503, 401 and lost answers', async (_name, matching) => {
    const faults = [500, 503, 401, 'answer lost' as const].map((fault) => first(2, matching, fault));
    api.faults = inTurn(...faults);
    const run = await create();
    start();
    await settled(async () => expect(faults.map(({ met }) => met)).toEqual([2, 2, 2, 2]));
    await submitted(run);
    expect(worker.log).toContain("A submission waits for Prefect's API: 500 to ");
    expect((await read(run)).state.type).toBe('PENDING');
  });
});

test('a refusal of one submission does not end the others, and its flow run is taken again', async () => {
  const refusal = first(1, READ_DEPLOYMENT, 403);
  api.faults = refusal;
  const runs = [await create(), await create(), await create()];
  start();
  for (const run of runs) await submitted(run);
  expect(refusal.met).toBe(1);
  expect(worker.log).toContain('could not be submitted');
});

test('a fault of the server that stays ends the flow run as Crashed, which is reported for as long as it takes', async () => {
  const faults = [first(EACH, SET_LABELS, 500), first(14, SET_STATE, 500)];
  let states = 0;
  api.faults = (method, path) => {
    // The first state is Pending.
    if (SET_STATE.test(`${method} ${path}`) && ++states === 1) return undefined;
    return inTurn(...faults)(method, path);
  };
  const run = await create();
  start();
  await settled(async () => expect((await read(run)).state.type).toBe('CRASHED'));
  expect(jobs.of(run)).toEqual([]);
  expect(faults.map(({ met }) => met)).toEqual([10, 14]);
});

test('only answers 500 count as faults of the server', async () => {
  const faults = [first(12, SET_LABELS, 504), first(1, SET_LABELS, 500)];
  api.faults = inTurn(...faults);
  const run = await create();
  start();
  await submitted(run);
  expect(faults.map(({ met }) => met)).toEqual([12, 1]);
});

test('a proxy that has no route says nothing about a deployment', async () => {
  const absent = first(3, READ_DEPLOYMENT, 404);
  api.faults = absent;
  const run = await create();
  start();
  await submitted(run);
  expect(absent.met).toBe(3);
});

describe('Kubernetes', () => {
  test('the answer to the creation of a Job is lost, and then Kubernetes does not answer: there is one Job', async () => {
    const faults = [first(1, /^POST /, 'answer lost'), first(5, /^POST /, 503), first(2, /^POST /, 429)];
    jobs.faults = inTurn(...faults);
    const run = await create();
    start();
    await submitted(run);
    expect(faults.map(({ met }) => met)).toEqual([1, 5, 2]);
    expect(worker.log).toMatch(/A submission waits for Kubernetes: \w+ to the creation of Job \S/);
  });

  test('a conflict that is not about the name is not taken for a Job', async () => {
    const conflict = first(1, /^POST /, 409);
    jobs.faults = conflict;
    const run = await create();
    start();
    await submitted(run);
    expect(conflict.met).toBe(1);
  });
});

test('a flow run that another worker has run, and that is paused, does not end the other submissions', async () => {
  const labels = first(EACH, SET_LABELS, 503);
  api.faults = labels;
  const other = await create();
  start();
  await settled(async () => expect(labels.met).toBeGreaterThan(0));
  const deployments = first(EACH, READ_DEPLOYMENT, 503);
  api.faults = inTurn(labels, deployments);
  const run = await create();
  await settled(async () => expect(deployments.met).toBeGreaterThan(0));
  for (const type of ['PENDING', 'RUNNING', 'PAUSED']) await set(run, type);
  let proposed = false;
  api.faults = (method, path) => {
    proposed ||= path === `/api/flow_runs/${run}/set_state`;
    return labels(method, path);
  };
  await settled(async () => expect(proposed).toBe(true));
  api.faults = NONE;
  await submitted(other);
  expect(jobs.of(run)).toEqual([]);
  expect((await read(run)).state.type).toBe('PAUSED');
});

describe('a flow run is started again while its submission waits', () => {
  const finished = () => settled(async () => expect(worker.log).toMatch(/Dropped, as|submitted to infrastructure|Reported flow run/));
  const goOn = () => {
    api.faults = jobs.faults = NONE;
  };

  /** Until `goOn`, no worker asks for flow runs, and nothing is known about this one. */
  async function startedAgain(waitsFor: string): Promise<string> {
    const answers = waitsFor === 'Kubernetes' ? first(EACH, CREATE_JOB, 429) : first(EACH, SET_LABELS, 503);
    api.faults = jobs.faults = answers;
    const run = await create();
    start();
    await settled(async () => expect(answers.met).toBeGreaterThan(0));
    const states = first(EACH, /\/flow_run_states\//, 503);
    api.faults = inTurn(answers, states, first(EACH, /\/get_scheduled_flow_runs$/, 503));
    // Otherwise the flow run could be started again between a look at it and the Job.
    if (waitsFor === 'Kubernetes') await settled(async () => expect(states.met).toBeGreaterThan(0));
    await set(run, 'SCHEDULED', 'AwaitingRetry');
    return run;
  }

  describe.each(["Prefect's API", 'Kubernetes'])('which waits for %s', (waitsFor) => {
    test.each([[['Pending']], [['Pending', 'Submitting', 'InfrastructurePending']]])(
      'another worker has it (%j): it gets no second Job',
      async (names) => {
        const run = await startedAgain(waitsFor);
        for (const name of names) await set(run, 'PENDING', name);
        goOn();
        await finished();
        expect(jobs.of(run)).toEqual([]);
        const { state, infrastructure_pid } = await read(run);
        expect([state.type, infrastructure_pid]).toEqual(['PENDING', null]);
      },
    );

    test('nobody else has it: it gets one Job', async () => {
      const run = await startedAgain(waitsFor);
      goOn();
      await settled(async () => expect((await read(run)).infrastructure_pid).not.toBeNull());
      // Another Job would be made before those of flow runs that are created later.
      for (let i = 0; i < 2; i++) await submitted(await create());
      expect(jobs.of(run)).toHaveLength(1);
    });
  });

  test('the end of the first submission is not reported over the run of another worker', async () => {
    jobs.faults = () => 403;
    let states = 0;
    api.faults = (method, path) => (SET_STATE.test(`${method} ${path}`) && ++states > 2 ? 503 : undefined);
    const run = await create();
    start();
    await settled(async () => expect(states).toBeGreaterThan(3));
    await set(run, 'SCHEDULED', 'AwaitingRetry');
    for (const type of ['PENDING', 'RUNNING']) await set(run, type);
    api.faults = NONE;
    await finished();
    expect((await read(run)).state.type).toBe('RUNNING');
  });
});

test.each([
  ['CANCELLING', 'gets its Job, whose pod ends it', 1],
  ['CANCELLED', 'gets no Job', 0],
])('a flow run that is %s while its submission waits %s', async (type, _gets, count) => {
  const labels = first(EACH, SET_LABELS, 503);
  api.faults = labels;
  const run = await create();
  start();
  await settled(async () => expect(labels.met).toBeGreaterThan(0));
  await set(run, type);
  api.faults = NONE;
  await settled(async () => expect(worker.log).toMatch(/Dropped, as|submitted to infrastructure/));
  expect(jobs.of(run)).toHaveLength(count);
  expect((await read(run)).state.type).toBe(type);
});

test('a flow run gets its Job though its states may not be read', async () => {
  const refusal = first(EACH, /\/flow_run_states\//, 403);
  api.faults = refusal;
  const run = await create();
  start();
  await submitted(run);
  expect(refusal.met).toBe(1);
});

test('a flow run whose Job runs is not reported as Crashed when Kubernetes refuses a later attempt', async () => {
  const lost = first(1, CREATE_JOB, 'answer lost');
  const unanswered = first(EACH, CREATE_JOB, 503);
  jobs.faults = inTurn(lost, unanswered);
  const run = await create();
  start();
  await settled(async () => expect(unanswered.met).toBeGreaterThan(0));
  await set(run, 'RUNNING');
  jobs.faults = () => 403;
  await settled(async () => expect(worker.log).toMatch(/Dropped, as|Reported flow run/));
  expect((await read(run)).state.type).toBe('RUNNING');
  expect(jobs.of(run)).toHaveLength(1);
});

test('an answer that ends the worker does not end its submissions', async () => {
  let reached = false;
  api.faults = (method, path) => {
    reached ||= SET_LABELS.test(`${method} ${path}`);
    if (!reached) return undefined;
    if (path.endsWith('/get_scheduled_flow_runs')) return 401;
    return worker.log.includes('finishing 1 submission(s)') ? undefined : 503;
  };
  const run = await create();
  start();
  expect(await worker.ended()).toBe(1);
  expect(worker.log).toContain("Ending, as Prefect's API cannot be asked (PrefectHTTPStatusError): taking no more flow runs");
  await submitted(run);
});

describe('told to end', () => {
  /** From its third state of a run on, which is Crashed here, Prefect's API answers 503. */
  async function refusedByBoth(options?: string[]): Promise<string> {
    jobs.faults = () => 403;
    let states = 0;
    api.faults = (method, path) => (SET_STATE.test(`${method} ${path}`) && ++states > 2 ? 503 : undefined);
    const run = await create();
    start(options);
    await settled(async () => expect(states).toBeGreaterThan(3));
    worker.kill('SIGTERM');
    await settled(async () => expect(worker.log).toContain('Told to end: taking no more flow runs, finishing 1 submission(s)'));
    return run;
  }

  test('it does not wait for a flow run that is not yet Pending, and leaves it Scheduled', async () => {
    const deployments = first(EACH, READ_DEPLOYMENT, 503);
    api.faults = deployments;
    const run = await create();
    start();
    await settled(async () => expect(deployments.met).toBeGreaterThan(0));
    worker.kill('SIGTERM');
    expect(await worker.ended()).toBe(0);
    expect(worker.log).toContain('finishing 0 submission(s)');
    expect(worker.log).not.toContain('Ending, with');
    expect((await read(run)).state.type).toBe('SCHEDULED');
    expect(jobs.of(run)).toEqual([]);
  });

  test('it still reports that a submission has failed', async () => {
    const run = await refusedByBoth();
    api.faults = NONE;
    await settled(async () => expect((await read(run)).state.type).toBe('CRASHED'));
    expect(await worker.ended()).toBe(0);
  });

  test('it ends with what cannot be finished in time, and says so', async () => {
    await refusedByBoth(['--finish-within=2']);
    expect(await worker.ended()).toBe(0);
    expect(worker.log).toContain('Ending, with 1 submission(s) unfinished: their flow runs may stay Pending');
  });
});

describe('its key', () => {
  let folder: string;
  let key: string;
  const change = (text: string) => writeFileSync(key, text);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'prefect3-key-'));
    key = join(folder, 'key');
    change('former-M@RKER');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test.each([
    ['PREFECT_API_KEY', 'Bearer new-M@RKER'],
    ['PREFECT_API_AUTH_STRING', `Basic ${Buffer.from('new-M@RKER').toString('base64')}`],
  ])('%s is revoked in the middle of a submission, and then changed: the worker finishes it, and ends', async (variable, header) => {
    let revoked = false;
    const seen = new Set<string | undefined>();
    api.faults = (method, path, authorization) => {
      seen.add(authorization);
      revoked ||= SET_LABELS.test(`${method} ${path}`);
      return revoked && authorization !== header ? 401 : undefined;
    };
    const run = await create();
    start(['--finish-within=60', `--credentials=${key}=${variable}`]);
    await settled(async () => expect(revoked).toBe(true));
    change('new-M@RKER');
    expect(await worker.ended()).toBe(0);
    await submitted(run);
    expect(seen.size).toBe(2);
    expect(worker.log).toContain(`The Secret of ${variable} has changed: ending`);
    expect(worker.log).not.toContain('M@RKER');
  });

  test('it is changed to what no header can have: the worker keeps the former one, until there is another', async () => {
    start(['--finish-within=60', `--credentials=${key}=PREFECT_API_KEY`]);
    await submitted(await create());
    change('new-M@RKER\n');
    await settled(async () => expect(worker.log).toContain('to a value that no HTTP header can have: the former one is kept'));
    await submitted(await create());
    change('new-M@RKER');
    expect(await worker.ended()).toBe(0);
    expect(worker.log).toContain('The Secret of PREFECT_API_KEY has changed: ending');
    expect(worker.log).not.toContain('M@RKER');
  });
});
