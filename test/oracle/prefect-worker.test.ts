/** The programs of a worker with the real Prefect 3. What they do on a cluster: test/cluster/prefect-worker.test.ts. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PREFECT3_NEWEST, Prefect3Server, WorkerProgram } from './prefect3';

const START = ['--signs=HOME', 'worker', 'start', '--type=kubernetes', '--pool=k8s', '--name=w', '--no-create-pool-if-not-found'];
const ENV = {
  PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_ENABLED: 'false',
  PREFECT_WORKER_QUERY_SECONDS: '1',
  PREFECT_WORKER_HEARTBEAT_SECONDS: '1',
};
const NOWHERE = { ...ENV, PREFECT_API_URL: 'http://127.0.0.1:9/api' };

async function until(holds: () => boolean, program: WorkerProgram): Promise<void> {
  const late = Date.now() + 120_000;
  while (!holds()) {
    if (Date.now() > late) {
      program.kill('SIGKILL');
      throw new Error(`not so in two minutes; it logged:\n${program.log}`);
    }
    await sleep(200);
  }
}

describe.each(['_submit_scheduled_flow_runs', '_submit_run'])('Prefect without %s', (name) => {
  test('no worker starts', async () => {
    const worker = new WorkerProgram(
      'start_worker.py',
      START,
      NOWHERE,
      `from prefect.workers.base import BaseWorker\ndel BaseWorker.${name}`,
    );
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
  const worker = new WorkerProgram('start_worker.py', START, NOWHERE, before);
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
    const worker = new WorkerProgram('start_worker.py', [credentials, ...START], NOWHERE);
    expect(await worker.ended()).toBe(1);
    rmSync(folder, { recursive: true });
    expect(worker.log).toContain(message);
    expect(worker.log).not.toContain('M@RKER');
  });
});

test('a pool or queue that is not there is a line in the log, and no sign of an answer; SIGTERM ends it in order', async () => {
  const server = await Prefect3Server.start(PREFECT3_NEWEST);
  const env = { ...ENV, PREFECT_API_URL: server.url };
  const worker = new WorkerProgram('start_worker.py', START, env);
  const polled = () => existsSync(join(worker.home, 'polled'));
  await until(() => worker.log.includes("Work pool 'k8s' not found!"), worker);
  expect(polled()).toBe(false);
  await server.ask('POST', '/work_pools/', { name: 'k8s', type: 'kubernetes' });
  await until(polled, worker);
  const ofQueue = new WorkerProgram('start_worker.py', [...START, '--work-queue=absent'], env);
  await until(() => ofQueue.log.includes("No flow run is taken: Work pool queue 'k8s/absent' not found"), ofQueue);
  expect(existsSync(join(ofQueue.home, 'polled'))).toBe(false);
  const records = async () =>
    (await server.ask('POST', '/work_pools/k8s/workers/filter', {})).body.map(({ name }: { name: string }) => name);
  expect(await records()).toEqual(['w']);
  ofQueue.kill('SIGKILL');
  await ofQueue.ended();
  worker.kill('SIGTERM');
  expect(await worker.ended()).toBe(0);
  expect(worker.log).toContain('Told to end: taking no more flow runs, finishing 0 submission(s)');
  expect(await records()).toEqual([]);
  await server.stop();
});
