// What the NetworkPolicies say, where they are enforced. Each connection that is blocked is made once more without the policies.
import { createServer, type Socket } from 'node:net';
import { DaskDeployMode, TaintEffect } from '../../lib';
import { DaskRun, Teams } from './dask';
import type { KubeObject } from './harness/api-server';
import { Cluster } from './harness/cluster';
import type { Namespace } from './harness/namespace';
import { taint } from './harness/second-node/life';
import { API_KEY, agentReady } from './prefect';
import { installSweeper } from './sweeper';
import { Team } from './team';

const cluster = new Cluster();
const onNode = cluster.testWith('networkPolicies');
const teams = new Teams(cluster);
const servers: { stop(): Promise<void> }[] = [];
afterAll(async () => {
  await cluster.deleteNamespaces();
  await Promise.all([teams.stop(), ...servers.map((server) => server.stop())]);
});

const place = {
  nodeSelector: { 'kubernetes.io/hostname': 'node-2' },
  tolerations: [{ key: taint.key, value: taint.value, effect: TaintEffect.NO_SCHEDULE }],
};
const METRICS = 8080;
const SERVER = 9000;
const SCHEDULER = 8786;

/** A pod that may try to reach others. */
async function neighbour(ns: Namespace, labels: Record<string, string> = {}): Promise<string> {
  const { nodeSelector, tolerations } = cluster.enforcingNode.only;
  const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
  const spec = {
    nodeSelector,
    tolerations,
    terminationGracePeriodSeconds: 1,
    securityContext: { runAsNonRoot: true, runAsUser: 20000, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [{ name: 'main', image: 'prefecthq/prefect:1.4.1', command: ['sleep', '3600'], securityContext }],
  };
  await ns.apply([{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'neighbour', labels }, spec }]);
  await ns.kubectl(['wait', '--for=condition=Ready', 'pod/neighbour', '--timeout=600s']);
  return 'neighbour';
}

/** Whether a pod can connect to an address. What is blocked gets no answer. */
async function reaches(ns: Namespace, pod: string, address: string, port: number): Promise<boolean> {
  const script = `
import socket
try:
    socket.create_connection(("${address}", ${port}), 5).close()
    print("open")
except socket.timeout:
    print("blocked")`;
  const { code, stdout, stderr } = await ns.exec(pod, ['python3', '-c', script]);
  if (code !== 0) throw new Error(`${pod} could not try ${address}:${port}: ${stderr}`);
  return stdout.trim() === 'open';
}

/** Lets something in a pod listen. */
const serve = (ns: Namespace, pod: string) => ns.exec(pod, ['sh', '-c', `python3 -m http.server ${SERVER} > /dev/null 2>&1 &`]);

/** Waits until it is so: the agent of the policies follows the API server. */
const untilReached = (ns: Namespace, pod: string, address: string, port: number) =>
  ns.eventually(async () => expect(await reaches(ns, pod, address, port)).toBe(true));

async function startTeam(): Promise<Team> {
  const team = await Team.start(cluster, API_KEY);
  servers.push(team);
  return team;
}

onNode("nothing reaches the agent, and the sweeper's metrics only their scraper", async () => {
  const [team, scraper] = await Promise.all([startTeam(), cluster.createNamespace()]);
  const { home, flows } = team;
  const sweeper = { namespaces: [flows.name], metrics: { scraperNamespace: scraper.name }, ...place };
  await Promise.all([team.install({ ...place }, { sweeper: true, ...place }), installSweeper(home, team, sweeper)]);
  const [inside, of, scraping] = await Promise.all([neighbour(home), neighbour(flows), neighbour(scraper)]);
  const agentPod = await team.agentPod();
  const agent = agentPod.status.podIP;
  // It listens to nobody, so something else does in its pod.
  await serve(home, agentPod.metadata.name as string);
  const [{ status }] = (await home.list('pods', 'app=flow-run-sweeper')) as [KubeObject];

  await untilReached(scraper, scraping, status.podIP, METRICS);
  expect(await reaches(home, inside, status.podIP, METRICS)).toBe(false);
  expect(await reaches(flows, of, status.podIP, METRICS)).toBe(false);
  expect(await Promise.all([reaches(home, inside, agent, SERVER), reaches(scraper, scraping, agent, SERVER)])).toEqual([false, false]);
  // Its probes come from the node, and pass.
  await agentReady(home);

  await home.kubectl(['delete', 'networkpolicies', '--all']);
  await untilReached(home, inside, agent, SERVER);
  await untilReached(scraper, scraping, agent, SERVER);
  await untilReached(home, inside, status.podIP, METRICS);
  await untilReached(flows, of, status.podIP, METRICS);
});

onNode('a Dask scheduler is reached by its flow and its workers, and by no pod of another team', async () => {
  const pods = { scheduler: { ...place }, worker: { ...place } };
  const [{ team }, other] = await Promise.all([
    teams.withPolicy({ deployMode: DaskDeployMode.REMOTE, ...pods }, { ...place }),
    cluster.createNamespace(),
  ]);
  const [beside, elsewhere] = await Promise.all([neighbour(team.flows), neighbour(other, { 'dask.org/component': 'worker' })]);
  // A worker has its task from the scheduler, and the scheduler from the flow.
  const run = await DaskRun.atWork(team, 'none');
  const [scheduler = ''] = await run.daskPods('scheduler');
  const pod = await team.flows.get('pod', scheduler);
  expect(pod.spec.nodeName).toBe(cluster.enforcingNode.name);
  expect(await reaches(other, elsewhere, pod.status.podIP, SCHEDULER)).toBe(false);
  expect(await reaches(team.flows, beside, pod.status.podIP, SCHEDULER)).toBe(false);

  await team.flows.kubectl(['delete', 'networkpolicies', '--all']);
  await untilReached(other, elsewhere, pod.status.podIP, SCHEDULER);
  await untilReached(team.flows, beside, pod.status.podIP, SCHEDULER);
  await run.deleteJob();
});

onNode('with egress rules, agent and sweeper do their work and reach nothing else', async () => {
  const team = await startTeam();
  const { home, flows } = team;
  const forbidden = createServer((socket: Socket) => socket.end());
  await new Promise<void>((resolve) => forbidden.listen(0, cluster.hostAddress, resolve));
  servers.push({ stop: () => new Promise((resolve) => forbidden.close(() => resolve())) });
  const { port } = forbidden.address() as { port: number };
  const egress = [{ cidr: `${cluster.hostAddress}/32`, ports: [6443, Number(new URL(team.url).port)] }];
  await Promise.all([
    team.install({ ...place }, { sweeper: true, egress, ...place }),
    installSweeper(home, team, { namespaces: [flows.name], egress, ...place }),
  ]);
  const beside = await neighbour(flows);
  const { podIP } = (await flows.get('pod', beside)).status;
  await serve(flows, beside);
  const run = team.schedule('quick');
  await team.ended(run, 'Success');

  await untilReached(flows, beside, cluster.hostAddress, port);
  const agent = (await team.agentPod()).metadata.name as string;
  const [sweeper] = await home.list('pods', 'app=flow-run-sweeper');
  for (const pod of [agent, sweeper?.metadata.name as string]) {
    await untilReached(home, pod, cluster.hostAddress, 6443);
    expect(await reaches(home, pod, cluster.hostAddress, port)).toBe(false);
    expect(await reaches(home, pod, podIP, SERVER)).toBe(false);
  }
  await home.kubectl(['delete', 'networkpolicies', '--all']);
  for (const pod of [agent, sweeper?.metadata.name as string]) {
    await untilReached(home, pod, cluster.hostAddress, port);
    await untilReached(home, pod, podIP, SERVER);
  }
});
