// The settings of a node's programs: the same for each node, but for where it lives and how it is reached.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pauseImage, registryHosts } from './images';
import { hostAddress, type NodeLayout, podCidr } from './layout';
import { authority, certificateOf, keyOf, kubeconfigOf } from './pki';

function write(node: NodeLayout, name: string, content: string | object): string {
  const file = join(node.dir, name);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content, null, 2));
  return file;
}

/** containerd's settings and those of its network; gives the file of the former. */
export function writeContainerdConfig(node: NodeLayout): string {
  const cniDir = join(node.dir, 'cni');
  mkdirSync(cniDir, { recursive: true });
  const ipam = {
    type: 'host-local',
    dataDir: join(node.dir, 'cni-addresses'),
    ranges: [[{ subnet: node.podCidr }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  // Pods reach each other and this machine. Nothing translates their addresses for the world outside, so they reach nothing there.
  write(node, 'cni/pods.conflist', { cniVersion: '0.4.0', name: 'pods', plugins: [{ type: 'ptp', ipMasq: false, ipam }] });
  return write(
    node,
    'containerd.toml',
    `version = 2
root = "${node.containerdRoot}"
state = "${node.containerdState}"
[grpc]
  address = "${node.containerdSocket}"
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
}

/** The arguments of a node's kubelet, with settings of its own. */
export function kubeletFlags(node: NodeLayout, own: object = {}): Record<string, string> {
  const config = write(node, 'kubelet.json', {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: node.address,
    healthzBindAddress: node.address,
    authentication: { x509: { clientCAFile: authority }, anonymous: { enabled: false }, webhook: { enabled: true } },
    authorization: { mode: 'Webhook' },
    tlsCertFile: certificateOf(node.keys),
    tlsPrivateKeyFile: keyOf(node.keys),
    containerRuntimeEndpoint: `unix://${node.containerdSocket}`,
    podLogsDir: join(node.dir, 'pod-logs'),
    clusterDNS: [hostAddress],
    clusterDomain: 'cluster.local',
    resolvConf: write(node, 'resolv.conf', `nameserver ${hostAddress}\n`),
    // A quarter of it is the time between two signs of life: see --node-monitor-grace-period.
    nodeLeaseDurationSeconds: 8,
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
    ...own,
  });
  const identity = { kubeconfig: kubeconfigOf(node.keys), 'hostname-override': node.name, 'node-ip': node.address };
  return { config, 'root-dir': join(node.dir, 'kubelet'), ...identity };
}

/** The arguments of a node's kube-proxy. */
export function kubeProxyFlags(node: NodeLayout): Record<string, string> {
  const config = write(node, 'kube-proxy.json', {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clusterCIDR: podCidr,
    hostnameOverride: node.name,
    clientConnection: { kubeconfig: kubeconfigOf('kube-proxy') },
    conntrack: { maxPerCore: 0 }, // the machine's own limits stay as they are
    healthzBindAddress: `${node.address}:10256`,
    metricsBindAddress: `${node.address}:10249`,
  });
  return { config };
}
