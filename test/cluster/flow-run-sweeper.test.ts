import { App, Chart, Testing } from 'cdk8s';
import { EvictionPolicy, PrefectAgent, type PrefectAgentProps } from '../../lib';
import { Gate } from './gate';
import type { KubeObject } from './harness/api-server';
import { Cluster } from './harness/cluster';
import { eventually } from './harness/eventually';
import type { Namespace } from './harness/namespace';
import { API_KEY, agentReady, createKey, jobsOf, Prefect } from './prefect';
import { refused, requestsOf, rightsOf, used } from './rights';
import { afterPasses, GRACE, passesFor, passesOf } from './site';
import { installSweeper, sweeperIn } from './sweeper';
import { Team } from './team';

const cluster = new Cluster();
const onCluster = cluster.testWith('hostAddress', test.concurrent);
const withAudit = cluster.testWith('auditLog', test.concurrent);

/** Whether to stay for the quarter of an hour that a task waits for its retry; CONTRIBUTING has the command. */
const staysForRetry = process.env.CDK8S_PREFECT_STAY_FOR_RETRY !== undefined;

const servers: { stop(): Promise<void> }[] = [];
afterAll(async () => {
  await cluster.deleteNamespaces();
  await Promise.all(servers.map((server) => server.stop()));
});

async function start(): Promise<Team> {
  const team = await Team.start(cluster, API_KEY);
  servers.push(team);
  return team;
}

const nameOf = ({ metadata }: KubeObject) => metadata.name as string;
const atWork = (prefect: Prefect, run: string) => eventually(() => expect(prefect.log(run)).toContain('waiting for'));

async function deleteJobs(ns: Namespace, run: string): Promise<void> {
  for (const job of await jobsOf(ns, run)) await ns.kubectl(['delete', 'job', nameOf(job), '--wait=false']);
}

onCluster('a run whose pod is evicted with RUN_AGAIN is run again, and succeeds; applying the sweeper again forgets nothing', async () => {
  const team = await start();
  await team.install({ onEviction: EvictionPolicy.RUN_AGAIN });
  const namespaces = [team.flows.name];
  await installSweeper(team.home, team, { namespaces });
  const gate = await Gate.start(cluster);
  const run = team.schedule('slow', { parameters: { seconds: 0, gate: gate.url } });
  const pod = await team.runningPod(run);
  await atWork(team, run);
  // `a` is the policy, `l` the condition: lib/sweeper/program/ledger.py.
  const remembered = async () => (await team.home.get('configmap', `flow-run-sweeper-ledger-${team.flows.name}`)).data?.[run] ?? '';
  await team.flows.eventually(async () => expect(await remembered()).toMatch(/^1 \S+ prefect-job-\S+ \S+ a/));
  await team.flows.evict(nameOf(pod));
  await team.flows.eventually(async () => expect(await remembered()).toMatch(/^1 \S+ prefect-job-\S+ \S+ al/));
  await cluster.apply(sweeperIn(team.home, team, { namespaces }));
  expect(await remembered()).toMatch(/^1 \S+ prefect-job-\S+ \S+ al/);
  gate.open();
  await team.ended(run, 'Success');
  expect(team.states(run)).toEqual(['Scheduled', 'Submitted', 'Running', 'Scheduled', 'Submitted', 'Running', 'Success']);
  await team.flows.eventually(async () => expect(await jobsOf(team.flows, run)).toEqual([]));
  expect((await team.flows.list('events')).map(({ reason, message }) => `${reason}: ${message}`)).toContainEqual(
    expect.stringMatching(/^LostRuns: Flow run \S+ is set to Scheduled: Job \S+: its pod had to leave its node$/),
  );
});

/** Objects of a Dask cluster that nobody owns. */
function daskCluster(name: string): KubeObject[] {
  const labels = { 'dask.org/cluster-name': name };
  const restricted = { runAsNonRoot: true, runAsUser: 20000, seccompProfile: { type: 'RuntimeDefault' } };
  const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
  const pod = (component: string) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `${name}-${component}`, labels: { ...labels, 'dask.org/component': component } },
    spec: {
      securityContext: restricted,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: component, image: 'prefecthq/prefect:1.4.1', command: ['sleep', '3600'], securityContext }],
    },
  });
  return [
    pod('scheduler'),
    pod('worker'),
    { apiVersion: 'v1', kind: 'Service', metadata: { name, labels }, spec: { selector: labels, ports: [{ port: 8786 }] } },
    {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name, labels },
      spec: { minAvailable: 1, selector: { matchLabels: labels } },
    },
  ];
}

const missingConfigMap = (): object => {
  const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
  const pod = { runAsNonRoot: true, runAsUser: 20000, seccompProfile: { type: 'RuntimeDefault' } };
  const volumes = [{ name: 'missing', configMap: { name: 'missing' } }];
  const containers = [{ name: 'flow', securityContext, volumeMounts: [{ name: 'missing', mountPath: '/missing' }] }];
  return { metadata: {}, spec: { template: { spec: { restartPolicy: 'Never', securityContext: pod, volumes, containers } } } };
};

withAudit('the sweeper uses each right that it has, is refused none, and says why it did what it did', async () => {
  const team = await start();
  await team.install();
  const mark = await cluster.auditLog.mark();
  const manifests = await installSweeper(team.home, team, { namespaces: [team.flows.name] });
  const runConfig = { type: 'KubernetesRun', labels: [], __version__: '1.4.1', job_template: missingConfigMap() };
  const stuck = team.schedule('quick', { runConfig });
  const lost = team.schedule('slow');
  const pod = await team.runningPod(lost);
  await atWork(team, lost);
  await team.flows.apply(daskCluster(`dask-${nameOf(pod)}-0123abcd-0`));
  await deleteJobs(team.flows, lost);
  await Promise.all([stuck, lost].map((run) => team.ended(run, 'Failed')));
  expect(team.server.run(stuck).state_message).toMatch(/^Job \S+ did not start: FailedMount: .*configmap "missing" not found/);
  expect(team.server.run(lost).state_message).toMatch(/^Job \S+: its Job was deleted$/);

  const roles = manifests.filter(({ kind }) => kind === 'Role').flatMap(({ rules }) => rules);
  const requests = () => requestsOf(cluster, mark, team.home.name, 'flow-run-sweeper');
  await team.flows.eventually(async () => expect(used(await requests())).toEqual(rightsOf(roles)));
  expect(refused(await requests())).toEqual([]);
  for (const kind of ['pods', 'services', 'poddisruptionbudgets']) {
    await team.flows.eventually(async () => expect(await team.flows.list(kind, 'dask.org/cluster-name')).toEqual([]));
  }
});

/** Another agent, in a namespace of its own. */
async function anotherAgent(prefect: Prefect, props: Partial<PrefectAgentProps> = {}): Promise<Namespace> {
  const home = await cluster.createNamespace();
  await createKey(home);
  const chart = new Chart(new App(), 'other', { namespace: home.name });
  new PrefectAgent(chart, 'Agent', { api: prefect.api, resourceName: 'other-agent', ...props });
  await cluster.apply(Testing.synth(chart));
  await agentReady(home, 'other-agent');
  return home;
}

withAudit('what is not its own, or waits, is left alone', async () => {
  const team = await start();
  const passes = passesOf(cluster, team.home, await cluster.auditLog.mark());
  const otherTenant = await Prefect.start(cluster);
  servers.push(otherTenant);
  await team.install({ onEviction: EvictionPolicy.RUN_AGAIN });
  await installSweeper(team.home, team, { namespaces: [team.flows.name] });
  await anotherAgent(otherTenant, { flowNamespace: team.flows.name });
  const elsewhere = await anotherAgent(team, { labels: ['elsewhere'] });

  const [retried, paused] = [team.schedule('retries'), team.schedule('pauses')];
  const queued = team.schedule('slow');
  const local = team.schedule('quick', { labels: ['local'] });
  team.server.setState(local, 'Running');
  const away = team.schedule('slow', { labels: ['elsewhere'] });
  const ofOther = otherTenant.schedule('slow');

  const taskStates = (run: string) => team.server.run(run).task_runs.map(({ state }) => state);
  const waits = (run: string, state: string) => team.flows.eventually(() => expect(taskStates(run)).toEqual([state]));
  await Promise.all([
    waits(retried, 'Retrying'),
    waits(paused, 'Paused'),
    atWork(team, queued),
    atWork(team, away),
    atWork(otherTenant, ofOther),
  ]);
  team.server.setState(queued, 'Queued');
  await Promise.all([deleteJobs(team.flows, queued), deleteJobs(elsewhere, away), deleteJobs(team.flows, ofOther)]);

  // A Job with the labels of Prefect, of a run that is finished here: its own agent did not make it.
  const done = team.schedule('quick');
  await team.ended(done, 'Success');
  const labels = { 'prefect.io/identifier': 'foreign', 'prefect.io/flow_run_id': done };
  const restricted = { runAsNonRoot: true, runAsUser: 20000, seccompProfile: { type: 'RuntimeDefault' } };
  const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
  const container = { name: 'flow', image: 'prefecthq/prefect:1.4.1', command: ['sleep', '3600'], securityContext };
  const spec = { restartPolicy: 'Never', securityContext: restricted, containers: [container] };
  const foreign = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'foreign', labels },
    spec: { template: { metadata: { labels }, spec } },
  };
  await team.flows.apply([foreign, ...daskCluster('dask-jovyan-0123abcd-0')]);

  await afterPasses(passes, passesFor(Math.max(...Object.values(GRACE))));
  expect([retried, paused, queued, local, away].map((run) => team.server.run(run).state)).toEqual([
    'Running',
    'Running',
    'Queued',
    'Running',
    'Running',
  ]);
  expect([taskStates(retried), taskStates(paused)]).toEqual([['Retrying'], ['Paused']]);
  expect(otherTenant.server.run(ofOther).state).toBe('Running');
  expect((await team.flows.get('job', 'foreign')).status.active).toBe(1);
  for (const kind of ['services', 'poddisruptionbudgets']) expect(await team.flows.list(kind, 'dask.org/cluster-name')).toHaveLength(1);
  expect(await team.flows.list('pods', 'dask.org/cluster-name')).toHaveLength(2);

  if (!staysForRetry) return;
  // The agent takes the run up again when the time of its task has come, and it ends by itself.
  await team.flows.eventually(() => expect(team.finished(retried).state).toBe('Failed'), { timeout: 1_000_000 });
  expect(team.states(retried)).toEqual(['Scheduled', 'Submitted', 'Running', 'Failed']);
  expect(team.server.run(retried).state_message).toBe('Some reference tasks failed.');
  expect(team.server.run(retried).task_runs[0]?.states.map(({ serialized_state }) => serialized_state.type)).toEqual([
    'Pending',
    'Running',
    'Failed',
    'Retrying',
    'Submitted',
    'Running',
    'Failed',
  ]);
});
