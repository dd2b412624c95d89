import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, Chart, Testing } from 'cdk8s';
import { EnvValue, EvictionPolicy, FlowRunJob, type FlowRunJobProps, type PrefectAgent, SecretKeyRef, Volume } from '../../lib';
import { Gate } from './gate';
import type { Json, KubeObject } from './harness/api-server';
import { Cluster } from './harness/cluster';
import { GREETING, PipIndex } from './pip-index';
import { processEnded } from './prefect';
import { base64Of, listable, placesOf } from './search';
import { envOf, flowContainer, Team } from './team';

const cluster = new Cluster();
// They wait, for agents and kubelets, more than they compute.
const onCluster = cluster.testWith('hostAddress', test.concurrent);

/** Markers, which no other run of the tests has left anywhere. */
const KEY = `key-${randomUUID()}`;
const OTHER_KEY = `key-${randomUUID()}`;
const reference = { secretKeyRef: { name: 'prefect-api-key', key: 'key' } };
const stamp = { 'cdk8s-prefect/job-template': 'prefect-job-template' };

const running: { stop(): unknown }[] = [];
async function start(key?: string): Promise<Team> {
  const team = await Team.start(cluster, key);
  running.push(team.server);
  return team;
}

const started = new Map<string | undefined, Promise<[Team, PrefectAgent]>>();
/** A team, with an agent and the default template, that several tests share: one with the key or one without. */
function shared(key?: string): Promise<[Team, PrefectAgent]> {
  const team = started.get(key) ?? start(key).then(async (made) => [made, await made.install()]);
  started.set(key, team);
  return team;
}

afterAll(async () => {
  await cluster.deleteNamespaces();
  await Promise.all(running.map((server) => server.stop()));
});

/** Where the key of a team may be. */
const secretsOf = ({ home, flows }: Team) => [home, flows].map(({ name }) => `secrets ${name}/prefect-api-key`).sort();

const kubernetesRun = (options: Json) => ({ type: 'KubernetesRun', labels: [], __version__: '1.4.1', ...options });

/** A flow's own Job template, such as a namespace that enforces "restricted" admits. */
const ownTemplate = (container: Json = {}) => ({
  metadata: { name: 'own', labels: { own: 'yes' } },
  spec: {
    template: {
      spec: {
        securityContext: { runAsNonRoot: true, runAsUser: 20000, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          {
            name: 'main',
            env: [{ name: 'HOME', value: '/tmp' }],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
            ...container,
          },
        ],
      },
    },
  },
});

/** Without what the API server does not keep: empty strings and maps. */
const asStored = (manifest: Json) =>
  JSON.parse(JSON.stringify(manifest), (_, value) =>
    value === '' || (typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length === 0) ? undefined : value,
  );

async function applyFlowRunJob(team: Team, props: Omit<FlowRunJobProps, 'api'>): Promise<void> {
  const chart = new Chart(new App(), 'chart', { namespace: team.flows.name });
  new FlowRunJob(chart, 'Run', { api: team.api, ...props });
  await team.flows.apply(Testing.synth(chart));
}

// Five run at a time, from the top: the longest waits are first.
onCluster('without a key, flows run; a change of the template applies to the next run, and the agent stays', async () => {
  const [team] = await shared();
  const before = team.schedule('quick');
  expect(envOf(await team.job(before))).not.toHaveProperty('STAGE');
  await team.ended(before, 'Success');
  const agent = await team.agentPod();

  await team.install({ env: { STAGE: EnvValue.of('changed') }, podLabels: { stage: 'changed' } });
  // The kubelet brings a changed ConfigMap into a pod within its sync period and its cache's: about a minute and a half.
  const changed = await team.home.eventually(
    async () => {
      const run = team.schedule('quick');
      const job = await team.job(run);
      expect([run, envOf(job).STAGE, job.spec.template.metadata.labels.stage]).toEqual([run, 'changed', 'changed']);
      return run;
    },
    { interval: 3_000 },
  );
  await team.ended(changed, 'Success');
  const same = await team.agentPod();
  expect([same.metadata.uid, same.status.containerStatuses[0].restartCount]).toEqual([agent.metadata.uid, 0]);
});

onCluster('a flow runs where "restricted" is enforced, by the Job that effectiveJob shows, with our labels', async () => {
  const [team, agent] = await shared(KEY);
  const id = team.schedule('quick');
  const job = await team.job(id);
  const identifier = job.metadata.labels?.['prefect.io/identifier'] ?? '';
  const expected = JSON.stringify(agent.effectiveJob({ id, flowId: team.server.run(id).flow_id })).replaceAll('00000000', identifier);
  expect(job).toMatchObject(asStored(JSON.parse(expected)));
  for (const { metadata } of [job, job.spec.template]) expect(metadata.labels).toMatchObject({ ...stamp, 'example.com/team': 'data' });
  await team.ended(id, 'Success');
  expect(team.states(id)).toEqual(['Scheduled', 'Submitted', 'Running', 'Success']);
});

onCluster('a flow runs with a Job template of its own, the key by reference and our labels', async () => {
  const [team] = await shared(KEY);
  const id = team.schedule('quick', { runConfig: kubernetesRun({ job_template: ownTemplate() }) });
  const job = await team.job(id);
  expect(job.metadata.name).toMatch(/^own-[0-9a-f]{8}$/);
  expect(job.metadata.labels).toMatchObject({ ...stamp, own: 'yes' });
  expect(job.spec.template.metadata.labels).toMatchObject(stamp);
  expect(flowContainer(job).name).toBe('main');
  expect(envOf(job)).toMatchObject({ PREFECT__CLOUD__API_KEY: reference, PREFECT__CLOUD__AUTH_TOKEN: reference });
  await team.ended(id, 'Success');
});

onCluster('a flow runs in a foreign image', async () => {
  const [team] = await shared(KEY);
  const image = 'registry.example/prefecthq/prefect:1.4.1-python3.7';
  const id = team.schedule('quick', { runConfig: kubernetesRun({ image }) });
  const job = await team.job(id);
  expect([flowContainer(job).image, envOf(job).PREFECT__CONTEXT__IMAGE]).toEqual([image, image]);
  await team.ended(id, 'Success');
  expect(await team.flows.kubectl(['events', '--output=json'])).toContain(`image \\"${image}\\"`);
});

onCluster('a flow runs that Prefect 0.15 has registered', async () => {
  const [team] = await shared(KEY);
  const runConfig = kubernetesRun({ image: 'prefecthq/prefect:1.4.1' });
  const id = team.schedule('quick', { coreVersion: '0.15.13', runConfig });
  const job = await team.job(id);
  expect(flowContainer(job).args).toEqual(['prefect', 'execute', 'flow-run']);
  // Images before 0.15 read their key from this variable alone.
  expect(envOf(job).PREFECT__CLOUD__AUTH_TOKEN).toEqual(reference);
  await team.ended(id, 'Success');
});

onCluster('the key is in Secrets alone, of all objects and events of the cluster', async () => {
  const [team] = await shared(KEY);
  const gate = await Gate.start(cluster);
  const id = team.schedule('slow', { parameters: { seconds: 0, gate: gate.url } });
  const pod = await team.runningPod(id);
  expect(await placesOf(cluster.api, KEY)).toEqual(secretsOf(team));
  expect(await team.runningPod(id)).toMatchObject({ metadata: { uid: pod.metadata.uid } });
  gate.open();
  await team.ended(id, 'Success');
  await team.flows.eventually(async () => expect(await team.flows.list('jobs', `prefect.io/flow_run_id=${id}`)).toEqual([]));
  expect(await placesOf(cluster.api, KEY)).toEqual(secretsOf(team));
  expect(await team.home.logs('deployment/prefect-agent')).not.toContain(KEY);
});

onCluster('the search for the key looks into every kind, in clear and in base64', async () => {
  const marker = `marker-${randomUUID()}`;
  const ns = await cluster.createNamespace();
  const base64 = (before: string) => Buffer.from(`${before}${marker}, and more`).toString('base64');
  const texts = {
    clear: `x${marker}`,
    ...Object.fromEntries(['', 'a', 'ab'].map((before) => [`base64-${before.length}`, base64(before)])),
  };
  const configMaps = Object.entries(texts).map(([name, text]) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name },
    data: { text },
  }));
  const names = configMaps.map(({ metadata }) => metadata.name);
  await ns.apply(configMaps);
  expect(await placesOf(cluster.api, marker)).toEqual(names.map((name) => `configmaps ${ns.name}/${name}`).sort());
  expect(new Set(base64Of(marker)).size).toBe(3);
  const resources = (await listable(cluster.api)).map(([resource]) => resource);
  const kinds = ['jobs', 'pods', 'events', 'secrets', 'configmaps', 'deployments', 'replicasets', 'controllerrevisions', 'leases'];
  expect(resources).toEqual(expect.arrayContaining(kinds));
});

const PASSWORD = 'password-of-the-index-77aa';
const script = join(__dirname, 'pip-index', 'greets.py');

/** A team whose index is in a Secret, and a flow that needs a package in a volume: props for its runs. */
async function withIndex() {
  const [team, index] = await Promise.all([start(), PipIndex.start(cluster.hostAddress, PASSWORD)]);
  running.push(index);
  await team.flows.apply([
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'pip' }, stringData: { url: index.url } },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'flows' }, data: { 'greets.py': readFileSync(script, 'utf8') } },
  ]);
  const props = {
    volumes: { flows: Volume.fromConfigMap('flows', { mountPath: '/team' }) },
    pipIndexUrl: SecretKeyRef.of('pip', 'url'),
    env: { PIP_TRUSTED_HOST: EnvValue.of(cluster.hostAddress) },
  };
  return { team, props };
}

onCluster('extraPipPackages come from the index of the Secret, whose password is not logged; without them the flow fails', async () => {
  const { team, props } = await withIndex();
  const without = team.scheduleScript(script, '/team', { labels: ['nobody'] });
  await applyFlowRunJob(team, { ...props, flowRunId: without });
  await team.install({ ...props, extraPipPackages: ['local-greeting>=1,<2'] });
  const run = team.scheduleScript(script, '/team');
  const job = await team.job(run);
  await Promise.all([team.ended(run, 'Success'), team.ended(without, 'Failed')]);
  await Promise.all([run, without].map((id) => processEnded(team.flows, id)));
  expect(team.log(run)).toContain(GREETING);
  expect(team.log(without)).toContain("No module named 'local_greeting'");

  const log = await team.flows.logs(`job/${job.metadata.name}`);
  expect(log).toContain('+pip install local-greeting>=1,<2');
  expect(log).toContain('Successfully installed local-greeting-1.2');
  expect(log).toContain('Looking in indexes: http://pip:****@');
  expect(log).not.toContain(PASSWORD);
});

onCluster('extraPipPackages that do not exist end the container before the flow starts, and the agent fails the run', async () => {
  const { team, props } = await withIndex();
  await team.install({ ...props, extraPipPackages: ['no-such-package==1.0'] });
  const run = team.scheduleScript(script, '/team');
  const job = await team.job(run);
  const terminated = await team.flows.eventually(async () => {
    const [pod] = await team.flows.list('pods', `prefect.io/flow_run_id=${run}`);
    expect(pod?.status.containerStatuses?.[0].state.terminated).toBeDefined();
    return pod.status.containerStatuses[0].state.terminated;
  });
  expect(terminated.exitCode).toBe(1);
  expect(await team.flows.logs(`job/${job.metadata.name}`)).toContain('No matching distribution found for no-such-package==1.0');
  await team.ended(run, 'Failed');
  expect(team.states(run)).toEqual(['Scheduled', 'Submitted', 'Failed']);
  await team.flows.eventually(async () => expect(await team.flows.list('jobs')).toEqual([]));
  // It failed at once, as far as the cluster can count: no second pod was tried.
  const reasons = (await team.flows.list('events')).map(({ reason }) => reason);
  expect(reasons.filter((reason) => reason === 'SuccessfulCreate')).toHaveLength(1);
});

const nameOf = ({ metadata }: KubeObject) => metadata.name as string;
const gone = (team: Team, pod: KubeObject) =>
  team.flows.eventually(async () => expect((await team.flows.list('pods')).map(nameOf)).not.toContain(nameOf(pod)));

onCluster('onEviction PROTECT: a healthy pod is not evicted and its flow goes on, an unhealthy one is', async () => {
  const team = await start();
  await team.install({ onEviction: EvictionPolicy.PROTECT });
  const gate = await Gate.start(cluster);
  const healthy = team.schedule('slow', { parameters: { seconds: 0, gate: gate.url } });
  const neverReady = ownTemplate({ readinessProbe: { exec: { command: ['false'] } } });
  const unhealthy = team.schedule('slow', { runConfig: kubernetesRun({ job_template: neverReady }) });
  const [pod, sick] = await Promise.all([team.runningPod(healthy), team.runningPod(unhealthy)]);

  // Before it has seen the pods, a budget refuses for that reason alone.
  await team.flows.eventually(async () => {
    const { status } = await team.flows.get('poddisruptionbudget', 'prefect-job-template-protect');
    expect(status).toMatchObject({ disruptionsAllowed: 0, expectedPods: 2, currentHealthy: 1 });
  });
  await expect(team.flows.evict(nameOf(pod))).rejects.toThrow(/429 Cannot evict pod as it would violate the pod's disruption budget/);
  await team.flows.evict(nameOf(sick));
  await gone(team, sick);
  gate.open();
  await team.ended(healthy, 'Success');
  expect(team.states(healthy)).toEqual(['Scheduled', 'Submitted', 'Running', 'Success']);
});

onCluster('without onEviction, a healthy pod is evicted', async () => {
  const [team] = await shared();
  const pod = await team.runningPod(team.schedule('slow'));
  await team.flows.evict(nameOf(pod));
  await gone(team, pod);
});

onCluster('FlowRunJob runs a flow run where no agent is, with the key by reference', async () => {
  const team = await start(OTHER_KEY);
  const id = team.schedule('quick');
  await applyFlowRunJob(team, { flowRunId: id });
  expect(envOf(await team.job(id)).PREFECT__CLOUD__API_KEY).toEqual(reference);
  await team.ended(id, 'Success');
  expect(team.states(id)).toEqual(['Scheduled', 'Running', 'Success']);
  expect(team.server.agents).toEqual([]);
  const succeeded = async () => expect((await team.flows.get('job', `flow-run-${id.split('-')[0]}`)).status.succeeded).toBe(1);
  await team.flows.eventually(succeeded);
  expect(await placesOf(cluster.api, OTHER_KEY)).toEqual(secretsOf(team));
});
