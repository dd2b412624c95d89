// The node: containerd, kubelet, kube-proxy, and the DNS server of the cluster beside them. All of it listens on the host's address only.
import { Resolver } from 'node:dns/promises';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { outcomeOf, run } from '../run';
import type { Binaries } from './binaries';
import { flags, kubectl } from './control-plane';
import { pauseImage, registryHosts } from './images';
import { adminKubeconfig, containerdRoot, containerdSocket, containerdState, hostAddress, nodeName, podCidr, runDir } from './layout';
import { authority, certificateOf, keyOf, kubeconfigOf } from './pki';
import { answers, isRunning, start, untilReady } from './processes';

const ctr = (...args: string[]) => outcomeOf('ctr', ['--address', containerdSocket, '--namespace', 'k8s.io', ...args]);

function write(name: string, content: string | object): string {
  const file = join(runDir, name);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content, null, 2));
  return file;
}

/** Gives this machine the address at which pods reach it. */
export async function addHostAddress(): Promise<void> {
  const { code, stderr } = await outcomeOf('ip', ['address', 'add', `${hostAddress}/32`, 'dev', 'lo']);
  if (code !== 0 && !stderr.includes('File exists')) throw new Error(`the address ${hostAddress} could not be added to lo: ${stderr}`);
}

export async function startContainerd(): Promise<void> {
  const cniDir = join(runDir, 'cni');
  mkdirSync(cniDir, { recursive: true });
  const ipam = {
    type: 'host-local',
    dataDir: join(runDir, 'cni-addresses'),
    ranges: [[{ subnet: podCidr }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  // Pods reach each other and this machine. Nothing translates their addresses for the world outside, so they reach nothing there.
  write('cni/pods.conflist', { cniVersion: '0.4.0', name: 'pods', plugins: [{ type: 'ptp', ipMasq: false, ipam }] });
  const config = write(
    'containerd.toml',
    `version = 2
root = "${containerdRoot}"
state = "${containerdState}"
[grpc]
  address = "${containerdSocket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  netns_mounts_under_state_dir = true
  # Root may lack CAP_SYS_RESOURCE here, and then runc could not lower a score.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${cniDir}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "${registryHosts}"
`,
  );
  start('containerd', 'containerd', ['--config', config]);
  await untilReady('containerd', async () => (await ctr('version')).code === 0);
}

export async function startNode(binaries: Binaries): Promise<void> {
  const kubelet = write('kubelet.json', {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: hostAddress,
    healthzBindAddress: hostAddress,
    authentication: { x509: { clientCAFile: authority }, anonymous: { enabled: false }, webhook: { enabled: true } },
    authorization: { mode: 'Webhook' },
    tlsCertFile: certificateOf('kubelet'),
    tlsPrivateKeyFile: keyOf('kubelet'),
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    podLogsDir: join(runDir, 'pod-logs'),
    clusterDNS: [hostAddress],
    clusterDomain: 'cluster.local',
    resolvConf: write('resolv.conf', `nameserver ${hostAddress}\n`),
    // Take the machine as it is: either cgroup version, whoever manages it, with swap, with other tenants of its disk.
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    enforceNodeAllocatable: [],
    failSwapOn: false,
    localStorageCapacityIsolation: false,
    evictionHard: { 'memory.available': '200Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    imageGCHighThresholdPercent: 100,
    // Several files of tests at once have more than the default of 110; the network of the pods has room for these.
    maxPods: 240,
    makeIPTablesUtilChains: false,
  });
  const program = (name: string) => join(binaries.kubernetes, name);
  const identity = { kubeconfig: kubeconfigOf('kubelet'), 'hostname-override': nodeName, 'node-ip': hostAddress };
  start('kubelet', program('kubelet'), flags({ config: kubelet, 'root-dir': join(runDir, 'kubelet'), ...identity }));

  const proxy = write('kube-proxy.json', {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clusterCIDR: podCidr,
    hostnameOverride: nodeName,
    clientConnection: { kubeconfig: kubeconfigOf('kube-proxy') },
    conntrack: { maxPerCore: 0 }, // the machine's own limits stay as they are
    healthzBindAddress: `${hostAddress}:10256`,
    metricsBindAddress: `${hostAddress}:10249`,
  });
  start('kube-proxy', program('kube-proxy'), flags({ config: proxy }));

  const corefile = write(
    'Corefile',
    `.:53 {\n  bind ${hostAddress}\n  kubernetes cluster.local {\n    kubeconfig ${adminKubeconfig}\n  }\n  errors\n}\n`,
  );
  start('coredns', join(binaries.coredns, 'coredns'), ['-conf', corefile]);

  const dns = new Resolver({ timeout: 500, tries: 1 });
  dns.setServers([hostAddress]);
  await untilReady('coredns', () => dns.resolve4('kubernetes.default.svc.cluster.local').then(Boolean, () => false));
  await untilReady('kube-proxy', () => answers(`http://${hostAddress}:10256/healthz`));
  const ready = ['--output', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'];
  const isReady = async () => (await kubectl(binaries, adminKubeconfig, 'get', 'node', nodeName, ...ready)).stdout === 'True';
  await untilReady('kubelet', isReady, 90);

  // The kubelet does not measure this machine's disk (see localStorageCapacityIsolation), so it offers none to pods that ask for some.
  const disk = { 'ephemeral-storage': '50Gi' };
  const patch = JSON.stringify({ status: { capacity: disk, allocatable: disk } });
  const patched = await kubectl(
    binaries,
    adminKubeconfig,
    'patch',
    'node',
    nodeName,
    '--subresource=status',
    '--type=merge',
    '--patch',
    patch,
  );
  if (patched.code !== 0) throw new Error(`the node's disk could not be set: ${patched.stderr}`);
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
