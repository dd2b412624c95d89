/** The programs of a worker with the real Prefect 3. What they do on a cluster: test/cluster/prefect-worker.test.ts. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../cluster/harness/eventually';
import { kubernetesAt, PREFECT3_NEWEST, Prefect3Server, WorkerProgram } from './prefect3';

const START = ['--signs=HOME', '--finish-within=60', 'worker', 'start', '--type=kubernetes', '--pool=k8s', '--no-create-pool-if-not-found'];
const ENV = {
  PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_ENABLED: 'false',
  PREFECT_WORKER_QUERY_SECONDS: '1',
  PREFECT_WORKER_HEARTBEAT_SECONDS: '1',
};
const NOWHERE = { ...ENV, PREFECT_API_URL: 'http://127.0.0.1:9/api' };

const started: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of started.splice(0)) await each.stop();
});

function start(args: string[], env: Record<string, string>, before?: string): WorkerProgram {
  const worker = new WorkerProgram('start_worker.py', args, env, before);
  started.push(worker);
  return worker;
}

const until = (holds: () => boolean, program: WorkerProgram): Promise<void> =>
  eventually(() => expect(holds()).toBe(true), { interval: 200, state: async () => program.log });

describe.each([
  ['_submit_scheduled_flow_runs', 'base.BaseWorker'],
  ['_submit_run_and_capture_errors', 'base.BaseWorker'],
  ['critical_service_loop', 'base'],
])('Prefect without %s', (name, owner) => {
  test('no worker starts', async () => {
    const worker = start(START, NOWHERE, `from prefect.workers import base\ndel ${owner}.${name}`);
    expect(await worker.ended()).toBe(1);
    expect(worker.log).toContain(`Prefect ${PREFECT3_NEWEST} has no ${name}, by which this worker finishes its submissions before it ends`);
  });
});

test('Prefect that names what it submits otherwise: no worker starts', async () => {
  const before = [
    'from prefect.workers.base import BaseWorker',
    'init = BaseWorker.__init__',
    'def other(self, *args, **kwargs):',
    '    init(self, *args, **kwargs)',
    '    del self._submitting_flow_run_ids',
    'BaseWorker.__init__ = other',
  ].join('\n');
  const worker = start(START, NOWHERE, before);
  expect(await worker.ended()).toBe(1);
  expect(worker.log).toContain('has no _submitting_flow_run_ids, by which this worker');
});

describe('a Secret that no header can hold', () => {
  test.each([
    ['empty', '', 'The Secret of PREFECT_API_KEY is empty'],
    ['with a newline', 'M@RKER\n', 'white space around it, perhaps a newline at its end'],
    ['with a byte order mark', '\ufeffM@RKER', 'has a sign that no HTTP header can have'],
  ])('%s', async (_name, text, message) => {
    const folder = mkdtempSync(join(tmpdir(), 'prefect3-key-'));
    writeFileSync(join(folder, 'key'), text);
    const credentials = `--credentials=${join(folder, 'key')}=PREFECT_API_KEY`;
    const worker = start([credentials, ...START], NOWHERE);
    expect(await worker.ended()).toBe(1);
    rmSync(folder, { recursive: true });
    expect(worker.log).toContain(message);
    expect(worker.log).not.toContain('M@RKER');
  });
});

describe('the init program asks only what each service account may ask', () => {
  /** An API server that answers each review alike, and the requests that it got. */
  async function kubernetes(status: number, allowed = true) {
    const requests: string[] = [];
    const server = createServer((request, response) => {
      requests.push(`${request.method} ${request.url}`);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ spec: {}, status: { allowed } }));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const program = new WorkerProgram(
      'check_access.py',
      ['--namespace=flows', 'create jobs.batch', 'get pods/log'],
      NOWHERE,
      kubernetesAt(port),
    );
    const code = await program.ended();
    server.close();
    return { code, log: program.log, requests };
  }
  const REVIEW = 'POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

  test('it may ask', async () => {
    const { code, requests } = await kubernetes(201);
    expect(code).toBe(0);
    expect(requests).toEqual([REVIEW, REVIEW]);
  });
  test('a permission is missing: it fails', async () => {
    const { code, log } = await kubernetes(201, false);
    expect(code).toBe(1);
    expect(log).toContain('may not create jobs.batch, get pods/log in namespace flows: bind the Role of the PrefectWorker to it');
  });
  test('it may not ask: the check is lost, and nothing else', async () => {
    const { code, log, requests } = await kubernetes(403);
    expect(code).toBe(0);
    expect(log).toContain('not checked: Kubernetes does not let this service account ask for its permissions');
    expect(log).not.toContain('may create');
    expect(requests).toEqual([REVIEW]);
  });
  test('no answer: it fails', async () => {
    const { code, log } = await kubernetes(500);
    expect(code).toBe(1);
    expect(log).toContain('Kubernetes cannot be asked: 500');
  });
});

test('a pool or queue that is not there is a line in the log, and no sign of an answer; SIGTERM ends it in order', async () => {
  const server = await Prefect3Server.start(PREFECT3_NEWEST);
  started.push(server);
  const env = { ...ENV, PREFECT_API_URL: server.url };
  const worker = start([...START, '--name=w'], env);
  const polled = () => existsSync(join(worker.home, 'polled'));
  await until(() => worker.log.includes("Work pool 'k8s' not found!"), worker);
  expect(polled()).toBe(false);
  await server.ask('POST', '/work_pools/', { name: 'k8s', type: 'kubernetes' });
  await until(polled, worker);
  const ofQueue = start([...START, '--name=q', '--work-queue=absent'], env);
  await until(() => ofQueue.log.includes("No flow run is taken: Work pool queue 'k8s/absent' not found"), ofQueue);
  expect(existsSync(join(ofQueue.home, 'polled'))).toBe(false);
  const records = async () =>
    (await server.ask('POST', '/work_pools/k8s/workers/filter', {})).body.map(({ name }: { name: string }) => name);
  expect((await records()).sort()).toEqual(['q', 'w']);
  ofQueue.kill('SIGKILL');
  await ofQueue.ended();
  worker.kill('SIGTERM');
  expect(await worker.ended()).toBe(0);
  expect(worker.log).toContain('Told to end: taking no more flow runs, finishing 0 submission(s)');
  // One that is killed cannot remove its own.
  expect(await records()).toEqual(['q']);
});
