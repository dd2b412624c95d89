// The first node: containerd, kubelet, kube-proxy, and the DNS server of the cluster beside them. All of it listens on the host's address only.
import { Resolver } from 'node:dns/promises';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { outcomeOf, run } from '../run';
import type { Binaries } from './binaries';
import { flags, kubectl } from './control-plane';
import { adminKubeconfig, firstNode, hostAddress, type NodeLayout, runDir } from './layout';
import { kubeletFlags, kubeProxyFlags, writeContainerdConfig } from './node-config';
import { answers, isRunning, start, untilReady } from './processes';

const { containerdSocket, containerdState } = firstNode;

const ctr = (...args: string[]) => outcomeOf('ctr', ['--address', containerdSocket, '--namespace', 'k8s.io', ...args]);

/** Gives this machine the address at which pods reach it. */
export async function addHostAddress(): Promise<void> {
  const { code, stderr } = await outcomeOf('ip', ['address', 'add', `${hostAddress}/32`, 'dev', 'lo']);
  if (code !== 0 && !stderr.includes('File exists')) throw new Error(`the address ${hostAddress} could not be added to lo: ${stderr}`);
}

export async function startContainerd(): Promise<void> {
  const config = writeContainerdConfig(firstNode);
  start('containerd', 'containerd', ['--config', config]);
  await untilReady('containerd', async () => (await ctr('version')).code === 0);
}

export async function startNode(binaries: Binaries): Promise<void> {
  const program = (name: string) => join(binaries.kubernetes, name);
  start('kubelet', program('kubelet'), flags(kubeletFlags(firstNode)));
  start('kube-proxy', program('kube-proxy'), flags(kubeProxyFlags(firstNode)));

  const corefile = join(runDir, 'Corefile');
  writeFileSync(
    corefile,
    `.:53 {\n  bind ${hostAddress}\n  kubernetes cluster.local {\n    kubeconfig ${adminKubeconfig}\n  }\n  errors\n}\n`,
  );
  start('coredns', join(binaries.coredns, 'coredns'), ['-conf', corefile]);

  const dns = new Resolver({ timeout: 500, tries: 1 });
  dns.setServers([hostAddress]);
  await untilReady('coredns', () => dns.resolve4('kubernetes.default.svc.cluster.local').then(Boolean, () => false));
  await untilReady('kube-proxy', () => answers(`http://${hostAddress}:10256/healthz`));
  await untilReady('kubelet', () => isNodeReady(binaries, firstNode), 90);
  await offerDisk(binaries, firstNode);
}

async function isNodeReady(binaries: Binaries, { name }: NodeLayout): Promise<boolean> {
  const ready = ['--output', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'];
  return (await kubectl(binaries, adminKubeconfig, 'get', 'node', name, ...ready)).stdout === 'True';
}

/** The kubelet does not measure this machine's disk (see localStorageCapacityIsolation), so it offers none to pods that ask for some. */
export async function offerDisk(binaries: Pick<Binaries, 'kubernetes'>, { name }: NodeLayout): Promise<void> {
  const disk = { 'ephemeral-storage': '50Gi' };
  const patch = JSON.stringify({ status: { capacity: disk, allocatable: disk } });
  const change = ['--subresource=status', '--type=merge', '--patch', patch];
  const patched = await kubectl(binaries, adminKubeconfig, 'patch', 'node', name, ...change);
  if (patched.code !== 0) throw new Error(`the disk of ${name} could not be set: ${patched.stderr}`);
}

/** Ends and removes every container of ours, those that outlived a killed containerd too: a restarted one finds them by their state. */
export async function removeContainers(): Promise<void> {
  if (!existsSync(containerdState)) return;
  if (!isRunning('containerd')) await startContainerd();
  const list = async (...args: string[]) => (await ctr(...args)).stdout.split('\n').filter(Boolean);
  for (const task of await list('tasks', 'list', '--quiet')) await ctr('tasks', 'delete', '--force', task);
  for (const container of await list('containers', 'list', '--quiet')) await ctr('containers', 'delete', container);
}

/** Takes back what the node did to this machine outside of its folder. To be called when all of its programs have ended. */
export async function resetHost(): Promise<void> {
  // Network namespaces (and with them the pods' interfaces), root file systems, volumes: last mounted, first unmounted.
  const mounts = () =>
    readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[4])
      .filter((path) => path?.startsWith(`${runDir}/`));
  for (const path of mounts().reverse()) await run('umount', ['--lazy', path]);
  if (mounts().length > 0) throw new Error(`still mounted, so nothing is deleted: ${mounts().join(', ')}`);
  for (const family of ['ip', 'ip6']) await outcomeOf('nft', ['delete', 'table', family, 'kube-proxy']);
  await outcomeOf('ip', ['address', 'delete', `${hostAddress}/32`, 'dev', 'lo']);
  rmSync(containerdState, { recursive: true, force: true });
}
