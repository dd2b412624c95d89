// The project's own cluster: brought up, taken down, removed.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeSecondNode } from '../second-node/life';
import { type Binaries, buildBinaries, buildPolicyAgent } from './binaries';
import { kubectl, startControlPlane, untilControllersRun } from './control-plane';
import { buildPrefectLayers, publishImages, startRegistry } from './images';
import { adminKubeconfig, firstNode, home, hostAddress, logDir, podCidr, runDir, serviceCidr } from './layout';
import { withLock } from './lock';
import { prepareMachine } from './machine';
import { addHostAddress, removeContainers, resetHost, startContainerd, startNode } from './node';
import { makeKeys } from './pki';
import { isRunning, startedNames, stop } from './processes';

export interface OwnCluster {
  readonly kubectl: string;
  readonly binaries: Binaries;
  /** The program that enforces NetworkPolicies, in tests that are about them. */
  readonly policyAgent: string;
  /** Whether it ran already, and so is somebody else's to take down. */
  readonly found: boolean;
}

const startedFrom = join(runDir, 'started-from');

/** Gives a cluster that answers, made from what the files say now: the one that runs, if it is that, else a new one. */
export async function up(): Promise<OwnCluster> {
  await prepareMachine();
  // A proxy that this machine uses for the world outside has no part in what follows.
  process.env.NO_PROXY = [process.env.NO_PROXY ?? process.env.no_proxy, hostAddress, podCidr, serviceCidr].filter(Boolean).join(',');
  return withLock(async () => {
    const binaries = await buildBinaries();
    const policyAgent = await buildPolicyAgent();
    const prefectLayers = await buildPrefectLayers();
    const found = await isUp(binaries);
    if (found) await publishImages(binaries, prefectLayers);
    else await restart(binaries, prefectLayers);
    return { kubectl: join(binaries.kubernetes, 'kubectl'), binaries, policyAgent, found };
  });
}

export const down = (): Promise<void> => withLock(takeDown);

export async function clean(): Promise<void> {
  await down();
  rmSync(home, { recursive: true, force: true });
}

async function restart(binaries: Binaries, prefectLayers: readonly string[]): Promise<void> {
  await takeDown();
  try {
    await bringUp(binaries, prefectLayers);
  } catch (error) {
    await takeDown().catch((problem) => console.error(`cluster: what was started could not all be stopped: ${problem}`));
    throw error;
  }
}

async function bringUp(binaries: Binaries, prefectLayers: readonly string[]): Promise<void> {
  console.error('cluster: starting Kubernetes (about 20 s)');
  rmSync(runDir, { recursive: true, force: true });
  mkdirSync(runDir, { recursive: true });
  await addHostAddress();
  await makeKeys();
  await startRegistry(binaries);
  await startContainerd();
  await publishImages(binaries, prefectLayers);
  await startControlPlane(binaries);
  await startNode(binaries);
  await untilControllersRun(binaries);
  const ended = startedNames().filter((name) => !isRunning(name));
  if (ended.length > 0) throw new Error(`${ended.join(', ')} ended while the cluster started; see ${logDir}`);
  writeFileSync(startedFrom, sourceOf(binaries));
}

async function isUp(binaries: Binaries): Promise<boolean> {
  if (!existsSync(startedFrom) || readFileSync(startedFrom, 'utf8') !== sourceOf(binaries)) return false;
  if (!startedNames().every(isRunning)) return false;
  const ready = await kubectl(binaries, adminKubeconfig, 'wait', '--for=condition=Ready', `node/${firstNode.name}`, '--timeout=10s');
  return ready.code === 0;
}

/** What a running cluster was started from: programs, and this folder, which holds their settings. */
function sourceOf(binaries: Binaries): string {
  const hash = createHash('sha256').update(JSON.stringify(binaries));
  for (const file of readdirSync(__dirname).sort()) hash.update(readFileSync(join(__dirname, file)));
  return hash.digest('hex');
}

async function takeDown(): Promise<void> {
  await removeSecondNode();
  if (startedNames().length === 0 && !existsSync(firstNode.containerdState)) return;
  console.error('cluster: stopping');
  await stop('kubelet'); // or it would start again what is removed
  await removeContainers();
  await Promise.all(startedNames().map(stop));
  await resetHost();
}
