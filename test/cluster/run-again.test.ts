import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, Chart } from 'cdk8s';
import { parseAllDocuments } from 'yaml';
import { EvictionPolicy, FlowJobTemplate, type FlowRunSweeperProps, PrefectAgent } from '../../lib';
import type { RunRequest } from '../prefect-server/run-request';
import type { Json, KubeObject } from './harness/api-server';
import { Cluster } from './harness/cluster';
import { API_KEY, agentReady, createKey, jobsOf } from './prefect';
import { quickSweeper, scrape, sweeperIn } from './sweeper';
import { Team } from './team';

/** How often a flow run is evicted until it may not run again. */
const EVICTIONS = process.env.FULL ? 30 : 2;

if (process.env.FULL) jest.setTimeout(3_600_000);

const cluster = new Cluster();
const onCluster = cluster.testWith('hostAddress', test.concurrent);
const teams: Team[] = [];
afterAll(async () => {
  await cluster.deleteNamespaces();
  await Promise.all(teams.map((team) => team.stop()));
});

const nameOf = ({ metadata }: KubeObject) => metadata.name as string;
const patient = { interval: 1000 };

async function startTeam(): Promise<Team> {
  const team = await Team.start(cluster, API_KEY);
  teams.push(team);
  return team;
}

/** A team whose runs are to run again, with a sweeper. */
async function startAgain(props: Partial<FlowRunSweeperProps> = {}): Promise<Team> {
  const team = await startTeam();
  await Promise.all([
    team.install({ onEviction: EvictionPolicy.RUN_AGAIN }, { sweeper: true }),
    cluster.apply(quickSweeper(team.home, team, props)),
  ]);
  await agentReady(team.home, 'flow-run-sweeper');
  return team;
}

const scheduled = (team: Team, run: string) => team.states(run).filter((state) => state === 'Scheduled').length;

/** The name of the pod of a run that is at work, for the so many-th time. */
async function podAtWork(team: Team, run: string, times = 1): Promise<string> {
  const works = () => expect(team.log(run).split('waiting for').length - 1).toBeGreaterThanOrEqual(times);
  await team.flows.eventually(works, patient);
  return nameOf(await team.runningPod(run));
}

const kubernetesRun = (options: Json): Partial<RunRequest> => ({
  runConfig: { type: 'KubernetesRun', labels: [], __version__: '1.4.1', ...options },
});

/** A flow's own Job template, such as a namespace that enforces "restricted" admits. */
const ownTemplate = (container: Json, job: Json = {}) => {
  const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
  const pod = { runAsNonRoot: true, runAsUser: 20000, seccompProfile: { type: 'RuntimeDefault' } };
  const spec = { restartPolicy: 'Never', securityContext: pod, containers: [{ name: 'flow', securityContext, ...container }] };
  return kubernetesRun({ job_template: { metadata: {}, spec: { backoffLimit: 0, template: { spec }, ...job } } });
};

onCluster('with RUN_AGAIN, only a run whose pod had to leave runs again', async () => {
  const team = await startAgain();
  const { flows, server } = team;
  const [deletedPod, deletedJob] = [team.schedule('slow'), team.schedule('slow')];
  const failing = {
    oom: team.schedule('quick', kubernetesRun({ memory_request: '40Mi', memory_limit: '40Mi' })),
    exit0: team.schedule('quick', ownTemplate({ command: ['sh', '-c', 'sleep 1'] })),
    deadline: team.schedule('slow', ownTemplate({}, { activeDeadlineSeconds: 25 })),
  };
  await flows.kubectl(['delete', 'pod', await podAtWork(team, deletedPod), '--wait=false']);
  await podAtWork(team, deletedJob);
  for (const job of await jobsOf(flows, deletedJob)) await flows.kubectl(['delete', 'job', nameOf(job), '--wait=false']);

  await flows.eventually(() => expect(scheduled(team, deletedPod)).toBe(2), patient);
  const failed = { deletedJob, ...failing };
  await flows.eventually(() => expect(Object.values(failed).map((run) => server.run(run).state)).toEqual(Array(4).fill('Failed')), patient);
  const messages = Object.fromEntries(Object.entries(failed).map(([name, run]) => [name, server.run(run).state_message]));
  expect(messages).toEqual({
    deletedJob: expect.stringMatching(/its Job was deleted$/),
    // The agent may be first to say it.
    oom: expect.stringMatching(/OOMKilled|^Kubernetes Error/),
    exit0: expect.stringMatching(/exit code 0/),
    deadline: expect.stringMatching(/activeDeadlineSeconds|^Kubernetes Error/),
  });
  expect(Object.values(failed).map((run) => scheduled(team, run))).toEqual([1, 1, 1, 1]);
});

onCluster(`a run that is evicted ${EVICTIONS} times reaches its limit, and that is said`, async () => {
  const limit = EVICTIONS - 1;
  const team = await startAgain({ runAgainLimit: limit });
  const run = team.schedule('slow');
  for (let eviction = 1; eviction <= EVICTIONS; eviction++) {
    await team.flows.evict(await podAtWork(team, run, eviction));
    await team.flows.eventually(
      () => expect(eviction > limit ? team.server.run(run).state : scheduled(team, run)).toBe(eviction > limit ? 'Failed' : 1 + eviction),
      patient,
    );
  }
  expect(scheduled(team, run)).toBe(1 + limit);
  expect(team.server.run(run).state_message).toMatch(new RegExp(`it was to run again ${limit} times already, and may not once more$`));
});

onCluster('of two sweepers of a namespace one is at work; wherever it is killed, each run runs again once', async () => {
  const team = await startAgain();
  const other = await cluster.createNamespace();
  await createKey(other);
  // It asks every five minutes, so that the next pod of the first sweeper goes on: only that one knows how the pods ended.
  await cluster.apply(quickSweeper(other, team, { resourceName: 'other-sweeper' }, 300));
  const runs = Array.from({ length: 2 }, () => team.schedule('slow'));
  const pods = await Promise.all(runs.map((run) => podAtWork(team, run)));
  await other.eventually(
    async () => expect(await other.logs('deployment/other-sweeper')).toContain('its Lease is held by another sweeper'),
    patient,
  );

  /** Kills the pod that holds the Lease. */
  const killHolder = async () => {
    const holder = (await team.flows.get('lease', 'flow-run-sweeper')).spec.holderIdentity;
    for (const [ns, app] of [
      [team.home, 'flow-run-sweeper'],
      [other, 'other-sweeper'],
    ] as const) {
      for (const pod of await ns.list('pods', `app=${app}`)) {
        if (pod.metadata.uid === holder) await ns.kubectl(['delete', 'pod', nameOf(pod), '--grace-period=0', '--force', '--wait=false']);
      }
    }
  };
  const [first = '', second = ''] = runs;
  for (const pod of pods) await team.flows.evict(pod);
  await killHolder();
  // Its condition, lost, is in one of the ledgers: lib/sweeper/program/ledger.py.
  const ledgers = async () => [
    (await team.home.get('configmap', `flow-run-sweeper-ledger-${team.flows.name}`)).data?.[first] ?? '',
    (await other.get('configmap', `other-sweeper-ledger-${team.flows.name}`)).data?.[first] ?? '',
  ];
  await team.flows.eventually(async () => expect(await ledgers()).toContainEqual(expect.stringMatching(/^1 \S+ \S+ \S+ al/)), patient);
  await killHolder();
  await team.flows.eventually(() => expect(scheduled(team, first) + scheduled(team, second)).toBeGreaterThan(2), {
    ...patient,
    interval: 50,
  });
  await killHolder();
  await Promise.all(runs.map((run) => podAtWork(team, run, 2)));
  // Paused, it lets the other one have the namespace.
  await team.home.kubectl(['scale', 'deployment', 'flow-run-sweeper', '--replicas=0']);
  const holder = async () => (await team.flows.get('lease', 'flow-run-sweeper')).spec.holderIdentity;
  await team.flows.eventually(async () => expect(await holder()).toBe(''), patient);
  await other.kubectl(['delete', 'pods', '--selector=app=other-sweeper']);
  await team.flows.eventually(async () => {
    expect((await other.list('pods', 'app=other-sweeper')).map(({ metadata }) => metadata.uid)).toContain(await holder());
  }, patient);
  for (const run of runs) {
    expect(team.states(run)).toEqual(['Scheduled', 'Submitted', 'Running', 'Scheduled', 'Submitted', 'Running']);
    expect((await jobsOf(team.flows, run)).filter(({ status }) => status?.active)).toHaveLength(1);
  }
});

/** Flow runs that run, as far as Prefect knows, each with a Job whose pod sleeps. They send no heartbeats. */
async function sleepingRuns(team: Team, count: number): Promise<string[]> {
  const chart = new Chart(new App(), 'chart', { namespace: team.flows.name });
  const agent = new PrefectAgent(chart, 'Agent', { api: team.api, jobTemplate: new FlowJobTemplate(chart, 'Jobs') });
  const runs = Array.from({ length: count }, () => team.schedule('slow', { labels: ['nobody'] }));
  const jobs = runs.map((id) => {
    const job = agent.effectiveJob({ id }) as Json;
    job.metadata.name = `prefect-job-${randomUUID().slice(0, 8)}`;
    Object.assign(job.spec.template.spec.containers[0], { command: ['sleep', '3600'], args: [] });
    Object.assign(job.spec.template.spec, { serviceAccountName: 'default', terminationGracePeriodSeconds: 0 });
    for (const state of ['Submitted', 'Running']) team.server.setState(id, state);
    return job;
  });
  await team.flows.apply(jobs);
  return runs;
}

onCluster("0.1.0's sweeper beside 20 running flows is replaced by this one, and back, and no run is touched", async () => {
  const team = await startTeam();
  const { home, flows } = team;
  const runs = await sleepingRuns(team, 20);
  await flows.eventually(async () => {
    expect((await flows.list('pods')).filter(({ status }) => status.phase === 'Running')).toHaveLength(runs.length);
  }, patient);
  const objects = async () => (await Promise.all(['jobs', 'pods'].map((kind) => flows.list(kind)))).flat();
  const uids = async () => (await objects()).map(({ metadata }) => metadata.uid).sort();
  const before = { uids: await uids(), states: runs.map((run) => team.states(run)) };

  const text = readFileSync(join(__dirname, 'sweeper-0.1.0.yaml'), 'utf8')
    .replaceAll('home-of-test', home.name)
    .replaceAll('flows-of-test', flows.name)
    .replaceAll('http://prefect.example:4200', team.url)
    .replaceAll('00000000-0000-4000-8000-000000000000', team.api.tenantId as string);
  const old = parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
  /** Applies a sweeper, waits until its ledger has all runs, and for some passes more. */
  const replaceBy = async (manifests: KubeObject[], ledger: string) => {
    await cluster.apply(manifests);
    await home.eventually(async () => {
      expect((await home.get('deployment', 'flow-run-sweeper')).status).toMatchObject({
        replicas: 1,
        readyReplicas: 1,
        updatedReplicas: 1,
      });
      expect(Object.keys((await home.get('configmap', ledger)).data ?? {}).sort()).toEqual([...runs].sort());
      expect(await scrape(home)).toMatch(/^flow_run_sweeper_pass_seconds_count\S* ([4-9]|\d\d+)$/m);
    }, patient);
  };
  const current = sweeperIn(home, team, { namespaces: [flows.name] });
  await replaceBy(old, `flow-run-sweeper-${flows.name}`);
  await replaceBy(current, `flow-run-sweeper-ledger-${flows.name}`);
  await replaceBy(old, `flow-run-sweeper-${flows.name}`);
  expect({ uids: await uids(), states: runs.map((run) => team.states(run)) }).toEqual(before);
  const events = (await flows.list('events')).filter(({ source }) => source?.component === 'flow-run-sweeper');
  expect(events.map(({ reason, message }) => `${reason}: ${message}`)).toEqual([]);
});
