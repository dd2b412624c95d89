// What the real agent does with the Jobs of runs whose pod had to leave or cannot start, alone and with the launcher.
import { join } from 'node:path';
import { PythonOracle } from './oracle';

const oracle = new PythonOracle('python3', ['-B', join(__dirname, 'disrupted_runs.py')], { PATH: process.env.PATH, HOME: '/nonexistent' });
afterAll(() => oracle.stop());

const STAMP = { 'cdk8s-prefect/job-template': 'jobs' };
const job = (onEviction: string, status: object = { failed: 1 }, stamp: object = STAMP) => {
  const labels = {
    'prefect.io/identifier': '0123abcd',
    'prefect.io/flow_run_id': 'run',
    'cdk8s-prefect/on-eviction': onEviction,
    ...stamp,
  };
  return { metadata: { name: 'job', labels }, spec: { template: { spec: { containers: [] } } }, status };
};
const pod = (status: object, metadata: object = {}) => ({
  metadata: { name: 'pod', ...metadata },
  spec: { containers: [] },
  status: { phase: 'Failed', ...status },
});
const disrupted = pod({ conditions: [{ type: 'DisruptionTarget', status: 'True' }] });
const beingDeleted = pod({}, { deletionTimestamp: '2022-12-05T00:00:00Z' });
const failed = pod({});
const waiting = (reason: string, labels: object = STAMP) => {
  const status = { name: 'flow', state: { waiting: { reason } }, image: 'i', imageID: '', ready: false, restartCount: 0 };
  return pod({ phase: 'Running', containerStatuses: [status] }, { labels });
};

const FAILS = ['Failed run', 'delete job'];
const cases: [string, object[], object, string[], string[]][] = [
  // Pods, the Job, and what the agent does: alone, and with a sweeper.
  ['a pod that was disrupted', [disrupted], job('run-again'), FAILS, []],
  ['a pod that is being deleted', [beingDeleted], job('run-again'), FAILS, []],
  ['a pod that is gone', [], job('run-again'), ['delete job'], []],
  ['a pod that failed by itself', [failed], job('run-again'), FAILS, FAILS],
  ['one of each', [disrupted, failed], job('run-again'), FAILS, FAILS],
  ['a pod that was disrupted, and the run is to fail then', [disrupted], job('fail'), FAILS, FAILS],
  ['an image that cannot be pulled', [waiting('ErrImagePull')], job('fail', { active: 1 }), FAILS, []],
  ['an image whose pull is retried later', [waiting('ImagePullBackOff')], job('run-again', { active: 1 }), FAILS, []],
  ['an image of a Job that no sweeper looks at', [waiting('ErrImagePull', {})], job('fail', { active: 1 }), FAILS, FAILS],
  ['a container that waits for another reason', [waiting('CreateContainerConfigError')], job('fail', { active: 1 }), [], []],
  ['a pod that is gone, and the run is to fail then', [], job('fail'), ['delete job'], []],
  ['a Job that has succeeded, and its run is not finished', [], job('run-again', { succeeded: 1 }), ['delete job'], []],
  ['a pod that is gone, of a Job that no sweeper looks at', [], job('fail', { failed: 1 }, {}), ['delete job'], ['delete job']],
];

test.each(cases)('%s', async (_, pods, failedJob, alone, swept) => {
  const ask = (sweeper: boolean) => oracle.ask({ jobs: [failedJob], pods, sweeper });
  expect(await ask(false)).toEqual(alone);
  expect(await ask(true)).toEqual(swept);
});

test.each([
  ['has succeeded', { succeeded: 1 }, [], 'Success'],
  ['failed, and its pod is gone', { failed: 1 }, [], 'Failed'],
  ['failed with its pod', { failed: 1 }, [failed], 'Cancelled'],
])('the agent deletes a Job that %s, as soon as the run is finished', async (_, status, pods, state) => {
  expect(await oracle.ask({ jobs: [job('fail', status)], pods, state, sweeper: true })).toEqual(['delete job']);
});

test.each([
  ['a pod that failed', job('fail'), [failed]],
  ['an image that cannot be pulled', job('fail', { active: 1 }, {}), [waiting('ErrImagePull', {})]],
])('a Job stays for the sweeper while Prefect does not take the state of its run: %s', async (_, stuck, pods) => {
  const labels = { ...stuck.metadata.labels, ...STAMP };
  const jobs = [{ ...stuck, metadata: { ...stuck.metadata, labels } }];
  expect(await oracle.ask({ jobs, pods, unanswered: true, sweeper: false })).toEqual(['delete job']);
  expect(await oracle.ask({ jobs, pods, unanswered: true, sweeper: true })).toEqual([]);
});

test('an agent that may not list pods says so, and does not ask without a pause', async () => {
  const done = await oracle.ask({ jobs: [job('run-again')], pods: [], refused: true, sweeper: true });
  expect(done).toEqual(['Kubernetes does not list pods: 403 Forbidden']);
});
