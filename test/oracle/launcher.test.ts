/** The launcher with the real agent, as a process: Prefect is the fake one, and Kubernetes a server that takes Jobs and has none. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../cluster/harness/eventually';
import { FakePrefectServer } from '../prefect-server/fake-prefect-server';
import { serverOf, textOf } from '../prefect-server/listener';

const LAUNCHER = join(__dirname, '../../lib/agent/program/launcher.py');
const TEMPLATE = JSON.stringify({
  metadata: { labels: { 'cdk8s-prefect/job-template': 'jobs' } },
  spec: { template: { spec: { containers: [{ name: 'flow' }] } } },
});

// biome-ignore lint/suspicious/noExplicitAny: objects of Kubernetes, as far as a test needs them
type KubeObject = any;

/** The Jobs that the agent made. */
let jobs: KubeObject[];
/** What there is, by the end of the path of its collection. */
let objects: Record<string, KubeObject[]>;
/** How Kubernetes takes and lists no Job: with a status, without an answer before it is made, or without one after. */
let down: number | 'reset' | 'lost answer' | undefined;
/** The requests for a Job meanwhile. */
let posts: number;
let folder: string;
let prefect: FakePrefectServer;
let kubernetes: Server;
let agent: ChildProcess | undefined;
const file = (name: string) => join(folder, name);
const log = () => readFileSync(file('log'), 'utf8');

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'launcher-'));
  prefect = new FakePrefectServer({ backend: 'cloud', tenants: [{ slug: 'team', key: 'first-key' }] });
  await prefect.start();
  jobs = [];
  objects = {};
  down = undefined;
  posts = 0;
  kubernetes = serverOf(async (request, response) => {
    const body = await textOf(request);
    const isThere = request.method === 'POST' && jobs.some(({ metadata }) => metadata.name === JSON.parse(body).metadata.name);
    if (down !== undefined) {
      if (request.method === 'POST') posts += 1;
      if (request.method === 'POST' && down === 'lost answer' && !isThere) jobs.push(JSON.parse(body));
      if (typeof down === 'string') request.socket.destroy();
      else response.writeHead(down, { 'content-type': 'application/json' }).end('{}');
      return;
    }
    if (isThere) {
      response.writeHead(409, { 'content-type': 'application/json' }).end('{"reason":"AlreadyExists"}');
      return;
    }
    if (request.method === 'POST') jobs.push(JSON.parse(body));
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
    const [label = '', value] = (searchParams.get('labelSelector') ?? '').split('=');
    const items = (objects[pathname.split('/').pop() ?? ''] ?? []).filter(
      ({ metadata }) => value === undefined || metadata.labels?.[label] === value,
    );
    response.setHeader('content-type', 'application/json').end(body || JSON.stringify({ metadata: {}, items }));
  }).listen(0, '127.0.0.1');
  await once(kubernetes, 'listening');
});

afterEach(async () => {
  if (agent?.exitCode === null && agent.kill('SIGKILL')) await once(agent, 'exit');
  agent = undefined;
  kubernetes.close();
  kubernetes.closeAllConnections();
  await prefect.stop();
  rmSync(folder, { recursive: true });
});

/** Starts the agent, and waits for its first poll. */
async function start(template = TEMPLATE, flags: string[] = []): Promise<ChildProcess> {
  const clusters = [{ name: 'it', cluster: { server: `http://127.0.0.1:${(kubernetes.address() as AddressInfo).port}` } }];
  const contexts = [{ name: 'it', context: { cluster: 'it', user: 'it' } }];
  writeFileSync(file('kubeconfig'), JSON.stringify({ clusters, contexts, users: [{ name: 'it', user: {} }], 'current-context': 'it' }));
  writeFileSync(file('key'), 'first-key');
  writeFileSync(file('template'), template);
  const out = openSync(file('log'), 'a');
  const command = ['agent', 'kubernetes', 'start', `--job-template=${file('template')}`];
  agent = spawn(
    'python3',
    ['-B', LAUNCHER, `--signs=${folder}`, `--api-key-file=${file('key')}`, '--api-key-secret=prefect-api-key/key', ...flags, ...command],
    {
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        KUBECONFIG: file('kubeconfig'),
        PREFECT__BACKEND: 'cloud',
        PREFECT__CLOUD__API: `http://127.0.0.1:${prefect.port}`,
      },
      stdio: ['ignore', out, out],
    },
  );
  closeSync(out);
  await until(() => statSync(file('polled')));
  return agent;
}

const until = (holds: () => unknown): Promise<void> =>
  eventually(() => expect(holds()).toBeTruthy(), { interval: 100, state: async () => `${holds}\n${log()}` });

const exitOf = async (child: ChildProcess) => {
  await until(() => child.exitCode !== null || child.signalCode !== null);
  return child.exitCode;
};
const schedule = (runConfig?: Record<string, unknown>) =>
  prefect.scheduleRun({ flow: 'f', path: '/flows/f.py', tasks: [], ...(runConfig && { runConfig }) });
const isSubmitted = (id: string) => prefect.run(id).state === 'Submitted';

test('a key that changes in the Secret is used, without a restart', async () => {
  const { pid } = await start();
  prefect.addKey('team', 'second-key');
  prefect.revokeKey('team', 'first-key');
  await until(() => log().includes('Failed to query for ready flow runs'));
  const run = schedule();
  writeFileSync(file('key'), 'second-key');
  await until(() => isSubmitted(run) && jobs.length === 1);
  expect(agent?.pid).toBe(pid);
  expect(agent?.exitCode).toBeNull();
  expect(log()).not.toContain('second-key');
});

test.each([
  ['empty', ' \n'],
  ['with a newline', 'second-key\n'],
  ['with a byte order mark', '\ufeffsecond-key'],
])('a key that becomes one that flow runs could not use is an error in the log, and not used: %s', async (_, key) => {
  await start();
  writeFileSync(file('key'), key);
  const run = schedule();
  await until(() => isSubmitted(run) && log().includes('The API key cannot be read anew'));
  expect(log()).not.toContain('second-key');
});

describe('a Kubernetes that is down', () => {
  const states = (id: string) => prefect.history(id).map(({ serialized_state }) => serialized_state.type);

  test.each([429, 500, 502, 503, 504, 'reset', 'lost answer'] as const)(
    'does not fail flow runs, and each gets one Job: %s',
    async (how) => {
      await start();
      down = how;
      const runs = [schedule(), schedule(), schedule()];
      await until(() => posts > 4);
      down = undefined;
      await until(() => runs.every(isSubmitted) && jobs.length === 3);
      await until(() => log().split('Completed deployment of flow run').length === 4);
      for (const run of runs) expect(states(run)).toEqual(['Scheduled', 'Submitted']);
      expect(new Set(jobs.map(({ metadata }) => metadata.labels['prefect.io/flow_run_id']))).toEqual(new Set(runs));
    },
  );

  test('leaves flow runs Scheduled that come meanwhile, and SIGTERM ends the agent', async () => {
    const process = await start();
    down = 503;
    const first = schedule();
    await until(() => isSubmitted(first) && log().includes('trying again: 503'));
    const second = schedule();
    await until(() => log().includes(`Deploying flow run ${second}`));
    process.kill('SIGTERM');
    expect(await exitOf(process)).toBe(0);
    expect([states(second), jobs]).toEqual([['Scheduled'], []]);
  });

  test('makes no Job of a flow run that somebody has set to another state, whether it was submitted or not', async () => {
    await start();
    down = 503;
    const run = schedule();
    await until(() => isSubmitted(run) && log().includes('trying again: 503'));
    const waiting = schedule();
    await until(() => log().includes(`Deploying flow run ${waiting}`));
    for (const id of [run, waiting]) prefect.setState(id, 'Cancelled');
    down = undefined;
    const other = schedule();
    await until(() => isSubmitted(other) && jobs.length > 0);
    expect(jobs.map(({ metadata }) => metadata.labels['prefect.io/flow_run_id'])).toEqual([other]);
    expect([run, waiting].map((id) => prefect.run(id).state)).toEqual(['Cancelled', 'Cancelled']);
  });

  test.each([403, 422])('a refusal fails the flow run at once: %s', async (status) => {
    await start();
    down = status;
    const run = schedule();
    await until(() => prefect.run(run).state === 'Failed');
    expect(posts).toBe(1);
  });
});

describe('HTTP 429, for which the client sleeps for minutes', () => {
  const limited = () => until(() => log().includes('Rate limit encountered'));

  test('an agent that waits because it was told to shows life', async () => {
    await start();
    await prefect.pause(429);
    await limited();
    utimesSync(file('alive'), 0, 0);
    await until(() => statSync(file('alive')).mtimeMs > 0);
  });

  test('SIGTERM ends an agent that waits', async () => {
    const process = await start();
    await prefect.pause(429);
    await limited();
    process.kill('SIGTERM');
    expect(await exitOf(process)).toBe(0);
  });

  test('SIGTERM ends an agent that waits while it submits a flow run, which stays to be taken', async () => {
    const process = await start();
    prefect.failNext('set_flow_run_states', 1, 429);
    const run = schedule();
    await limited();
    process.kill('SIGTERM');
    expect(await exitOf(process)).toBe(0);
    expect([prefect.run(run).state, jobs]).toEqual(['Scheduled', []]);
  });
});

describe("a broken template of the agent's", () => {
  const own = {
    type: 'KubernetesRun',
    __version__: '1.4.1',
    labels: [],
    job_template: { spec: { template: { spec: { containers: [{ name: 'flow' }] } } } },
  };

  test.each([
    ['no YAML', 'a: [b'],
    ['empty', ''],
    ['a list', '[]'],
    ['without metadata', 'spec: {}'],
    ['with labels that are a list', '{ metadata: { labels: [a] } }'],
  ])('does not fail flows that bring their own: %s', async (_, template) => {
    await start(template);
    const run = schedule(own);
    await until(() => jobs.length === 1 && isSubmitted(run));
  });
});

describe('pods that fail', () => {
  const FROM_LOG = 'FallbackToLogsOnError';
  const exit = (exitCode: number, rest = {}) => ({ terminated: { exitCode, reason: 'Error', ...rest } });
  const status = (name: string, state: object) => ({ name, state, image: 'i', imageID: '', ready: false, restartCount: 0 });
  const initializing = status('flow', { waiting: { reason: 'PodInitializing' } });

  /** A run in a state, with a Job whose one pod has a status. */
  function failing(state: string, podStatus: object, { policy = FROM_LOG, env = [] as object[] } = {}): string {
    const run = prefect.scheduleRun({ flow: 'f', path: '/flows/f.py', tasks: [] });
    if (state !== 'Submitted') prefect.setState(run, 'Submitted');
    prefect.setState(run, state);
    const labels = { 'prefect.io/identifier': run.slice(0, 8), 'prefect.io/flow_run_id': run, 'prefect.io/flow_id': 'f' };
    const containers = [{ name: 'flow', terminationMessagePolicy: policy, env }];
    const initContainers = [{ name: 'wait', terminationMessagePolicy: policy }];
    const jobStatus = (podStatus as { phase: string }).phase === 'Failed' ? { failed: 1 } : { active: 1 };
    objects.jobs = [...(objects.jobs ?? []), { metadata: { name: `job-${run}`, labels }, status: jobStatus }];
    objects.pods = [
      ...(objects.pods ?? []),
      { metadata: { name: `pod-${run}`, labels }, spec: { containers, initContainers }, status: podStatus },
    ];
    return run;
  }

  const told = (run: string) => prefect.logs(run).map(({ message }) => message?.replaceAll(run, 'X') ?? '');
  const failed = (containerStatuses: object[], rest = {}) => ({ phase: 'Failed', containerStatuses, ...rest });
  const before = 'Pod pod-X failed before Prefect started: ';

  test.each<[string, () => string, string, string]>([
    [
      'a failed init container, without the credentials of a URL',
      () =>
        failing(
          'Submitted',
          failed([initializing], {
            initContainerStatuses: [
              status(
                'wait',
                exit(3, { message: 'first\n\u001b[31mno answer\u0007 of https://me:s3cr3t@db.example/x?sig=s3cr3t now\u001b[0m\n \n' }),
              ),
            ],
          }),
        ),
      `${before}init container wait ended with exit code 3: no answer of https://***@db.example/x?*** now`,
      's3cr3t',
    ],
    [
      'an eviction by the kubelet, which leaves no status of a container',
      () => failing('Submitted', { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory. ' }),
      `${before}Evicted: The node was low on resource: memory.`,
      '',
    ],
    [
      'what the image said last',
      () =>
        failing(
          'Submitted',
          failed([status('flow', exit(1, { message: 'Collecting\nERROR: No matching distribution found for x==1.0\n' }))]),
        ),
      `${before}container flow ended with exit code 1: ERROR: No matching distribution found for x==1.0`,
      'Collecting',
    ],
    [
      '200 characters of it at most',
      () => failing('Submitted', failed([status('flow', exit(1, { message: `${'x'.repeat(300)}END` }))])),
      `${before}container flow ended with exit code 1: ${'x'.repeat(199)}…`,
      'END',
    ],
    [
      'nothing of the log of a flow that has been Running',
      () => failing('Running', failed([status('flow', exit(137, { reason: 'OOMKilled', message: 'said by the flow' }))])),
      'Pod pod-X failed: container flow ended with exit code 137 (SIGKILL), OOMKilled',
      'said by the flow',
    ],
    [
      'nothing of a log that is not to be sent',
      () =>
        failing('Submitted', failed([status('flow', exit(1, { message: 'said by the image' }))]), {
          env: [{ name: 'PREFECT__CLOUD__SEND_FLOW_RUN_LOGS', value: 'false' }],
        }),
      `${before}container flow ended with exit code 1`,
      'said by the image',
    ],
    [
      'what a program has written to be told',
      () => failing('Running', failed([status('flow', exit(2, { message: 'told on purpose' }))]), { policy: 'File' }),
      'Pod pod-X failed: container flow ended with exit code 2: told on purpose',
      '',
    ],
    [
      'of each container that failed, and not of a sidecar that was ended with its pod',
      () =>
        failing(
          'Submitted',
          failed([status('proxy', exit(7)), status('flow', exit(0, { reason: 'Completed' }))], {
            initContainerStatuses: [status('wait', exit(143))],
          }),
        ),
      `${before}container proxy ended with exit code 7`,
      '',
    ],
  ])('say why in the log of the run: %s', async (_, fail, line, secret) => {
    const run = fail();
    await start();
    await until(() => told(run).some((message) => message.startsWith('Pod pod-X failed.')));
    expect(told(run)[0]).toBe(line);
    if (secret) expect(told(run).join()).not.toContain(secret);
    await until(() => prefect.run(run).state === 'Failed');
  });

  test('an image that cannot be pulled is left to a sweeper, and its Job stays', async () => {
    const pull = { waiting: { reason: 'ErrImagePull', message: 'the registry does not answer' } };
    const run = failing('Submitted', { phase: 'Running', containerStatuses: [status('flow', pull)] });
    for (const object of [...(objects.jobs ?? []), ...(objects.pods ?? [])]) object.metadata.labels['cdk8s-prefect/job-template'] = 'jobs';
    const other = failing('Submitted', failed([status('flow', exit(1))]));
    await start(TEMPLATE, ['--sweeper-of-image-pulls=true']);
    await until(() => prefect.run(other).state === 'Failed');
    expect(prefect.run(run).state).toBe('Submitted');
  });

  test('without a sweeper, it fails the run', async () => {
    const pull = { waiting: { reason: 'ErrImagePull', message: 'the registry does not answer' } };
    const run = failing('Submitted', { phase: 'Running', containerStatuses: [status('flow', pull)] });
    await start(TEMPLATE, ['--sweeper-of-image-pulls=false']);
    await until(() => prefect.run(run).state === 'Failed');
  });

  test('a run that is finished gets no line more', async () => {
    const [run, other] = [failing('Success', failed([status('flow', exit(1))])), failing('Submitted', failed([status('flow', exit(1))]))];
    await start();
    await until(() => prefect.run(other).state === 'Failed');
    expect(told(run).filter((message) => message.includes('ended with'))).toEqual([]);
  });
});
