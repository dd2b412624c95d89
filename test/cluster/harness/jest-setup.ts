// Before all tests: the cluster of KUBECONFIG if there is one, else the project's own.
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { type ApiProxy, startApiProxy } from './api-proxy';
import { ApiServer, runLabelKey } from './api-server';
import { type Environment, type Offer, setEnvironment } from './environment';
import { eventually } from './eventually';
import { Kubectl } from './kubectl';
import { down, up } from './own';
import { adminKubeconfig, auditLog, bare, hostAddress, kubectlCache, logDir, oldest } from './own/layout';
import { tryAcquire } from './own/lock';
import { prepareMachine } from './own/machine';
import { identityOf, isAlive } from './own/processes';
import { EX_UNAVAILABLE, outcomeOf, Unavailable } from './run';
import { endAbandonedNode, secondNodeLock } from './second-node';
import { tracesOnMachine, whyNo } from './second-node/traces';

/** What is undone after all tests. Kept globally, because jest loads the teardown as another module. */
declare global {
  var clusterTeardown: (() => Promise<void>) | undefined;
}

export default async function setup(): Promise<void> {
  try {
    const given = process.env.KUBECONFIG;
    setEnvironment(given && resolve(given) !== adminKubeconfig ? await useGiven(given) : await useOwn());
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    console.error(`\nThe cluster tests were NOT RUN: ${error.message}`);
    process.exit(EX_UNAVAILABLE);
  }
}

async function useOwn(): Promise<Environment> {
  await prepareMachine();
  const before = new Set(await tracesOnMachine());
  const { kubectl, binaries, policyAgent, found } = await up();
  process.env.KUBECACHEDIR = kubectlCache;
  const api = await startApiProxy(kubectl, adminKubeconfig);
  const oldestApi = await startApiProxy(kubectl, oldest.kubeconfig);
  const bareApi = await startApiProxy(kubectl, bare.kubeconfig);
  // A cluster that stays up keeps the namespaces of a run that has ended, to be looked into, until the next.
  if (found) {
    const admin = new Kubectl(kubectl, adminKubeconfig);
    await endAbandonedNode(admin);
    await deleteNamespacesOfEndedRuns(admin, new ApiServer(api.socket, ''));
  }
  teardownBy([api, oldestApi, bareApi], async () => {
    if (!found) await down();
    await expectNoTraces(before);
    console.error(`cluster: ${found ? 'left up, as it was found' : 'down'}; its logs are in ${logDir}`);
  });
  return {
    kubectl,
    kubeconfig: adminKubeconfig,
    apiSocket: api.socket,
    oldestApiSocket: oldestApi.socket,
    bareApiSocket: bareApi.socket,
    runLabel: toLabel(identityOf(process.pid) ?? ''),
    hostAddress,
    auditLog,
    secondNode: offer(binaries.kubernetes, await whyNo('secondNode')),
    policyAgent: offer(policyAgent, await whyNo('networkPolicies')),
    logDir,
  };
}

/** Whatever was started or set for the tests must be gone, unless another run has the second node just now. */
async function expectNoTraces(before: ReadonlySet<string>): Promise<void> {
  const release = tryAcquire(secondNodeLock);
  if (!release) return;
  try {
    await eventually(async () => {
      const left = (await tracesOnMachine()).filter((line) => !before.has(line));
      if (left.length > 0) throw new Error(`the tests have left on this machine: ${left.join('\n')}`);
    });
  } finally {
    release();
  }
}

const offer = (path: string, missing?: string): Offer => (missing ? { missing: `the kernel refuses it: ${missing}` } : { path });

async function deleteNamespacesOfEndedRuns(kubectl: Kubectl, api: ApiServer): Promise<void> {
  const ended = (await api.list('namespaces', runLabelKey)).filter(({ metadata }) => !isAlive(fromLabel(metadata.labels?.[runLabelKey])));
  const names = ended.map(({ metadata }) => metadata.name as string);
  if (names.length > 0) await kubectl.kubectl(['delete', 'namespaces', '--wait=false', ...names]);
}

const toLabel = (identity: string) => identity.replaceAll(' ', '.');
const fromLabel = (label = '') => label.replaceAll('.', ' ');

/** Nothing is started in a cluster that was given, and what the tests made there is deleted. */
async function useGiven(kubeconfig: string): Promise<Environment> {
  const kubectl = 'kubectl';
  const answer = await outcomeOf(kubectl, ['version']).catch((error) => ({ code: 1, stderr: `${error}` }));
  if (answer.code !== 0) throw new Unavailable(`the cluster of KUBECONFIG=${kubeconfig} does not answer kubectl: ${answer.stderr.trim()}`);
  const api = await startApiProxy(kubectl, kubeconfig);
  const runLabel = randomUUID();
  teardownBy([api], async () => {
    await new Kubectl(kubectl, kubeconfig).kubectl(['delete', 'namespaces', '--selector', `${runLabelKey}=${runLabel}`, '--wait=false']);
  });
  return { kubectl, kubeconfig, apiSocket: api.socket, runLabel, hostAddress: process.env.CDK8S_PREFECT_HOST_ADDRESS };
}

function teardownBy(proxies: readonly ApiProxy[], last: () => Promise<void>): void {
  globalThis.clusterTeardown = async () => {
    for (const proxy of proxies) await proxy.stop();
    await last();
  };
}
