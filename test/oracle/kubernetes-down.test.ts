/** What the real agent does with a flow run whose Job Kubernetes does not take, with `kubernetes_down.py`. */
import { join } from 'node:path';
import { PythonOracle } from './oracle';

const oracle = new PythonOracle('python3', ['-B', join(__dirname, 'kubernetes_down.py')], { PATH: process.env.PATH, HOME: '/nonexistent' });
afterAll(() => oracle.stop());

const times = (count: number, answer: number | string) => Array<number | string>(count).fill(answer);
const SUBMITTED = ['Scheduled', 'Submitted'];
const FAILED = [...SUBMITTED, 'Failed'];

test.each([
  ['a Job that is there was made by a request without an answer', [503, '409 AlreadyExists'], SUBMITTED],
  ['another conflict, such as with a quota that another Job has used, makes no Job', ['409 Conflict', 201], SUBMITTED],
  ['a conflict that stays fails the run', times(12, '409 Conflict'), FAILED],
  ['an error that stays fails the run', times(12, 500), FAILED],
  ['an error that stays fails the run, also after Kubernetes was down', [...times(12, 503), ...times(12, 500)], FAILED],
  ['an error of a Kubernetes that was down for a minute fails no run', [...times(11, 503), 500, 201], SUBMITTED],
  ['a refusal fails the run at once', [403], FAILED],
  ['an API server that has just started refuses anyone for a moment, which fails no run', [503, 401, 403, 201], SUBMITTED],
  ['a refusal that stays fails the run, also after Kubernetes was down', [503, ...times(12, 403)], FAILED],
])('%s', async (_, answers, states) => {
  expect(await oracle.ask({ answers })).toEqual({ states, left: [] });
});

test.each([
  ['set to Scheduled, as by Lazarus', ['Scheduled']],
  ['scheduled again, and taken by another agent', ['Scheduled', 'Submitted']],
  ['started elsewhere', ['Scheduled', 'Submitted', 'Running']],
  ['cancelled', ['Cancelled']],
])('a flow run gets no Job if Prefect did not answer until it was %s', async (_, others) => {
  expect(await oracle.ask({ answers: [503, 201], silent: 3, others })).toEqual({ states: [...SUBMITTED, ...others], left: [201] });
});

test('a log that Prefect does not take fails no flow run', async () => {
  const answer = await oracle.ask({ answers: [503, 503, 201], takesLogs: false });
  // The stock agent ends so, after it has made the Job.
  expect(answer).toEqual({ states: SUBMITTED, left: [], ends: 'ValueError' });
});

test.each([
  ['gets its Job as soon as the agent sees that Kubernetes answers', false, { made: ['second'], states: SUBMITTED }],
  ['stays Scheduled while Kubernetes is down', true, { made: [], states: ['Scheduled'] }],
])('while the Job of one flow run is not taken, another %s', async (_, down, answer) => {
  expect(await oracle.ask({ down, looks: 3 })).toEqual(answer);
});
