// Where the project's own cluster lives on this machine, and the addresses it uses.
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

const cache = process.env.CDK8S_PREFECT_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cdk8s-prefect');

/** Everything that is built or run. What is outside of it: see "What it touches outside of its folder" in the README. */
export const home = resolve(cache, 'cluster');
/** One cluster's life: keys, data, logs, pids. Emptied at every start. */
export const runDir = join(home, 'run');
export const logDir = join(runDir, 'logs');
export const auditLog = join(runDir, 'audit.log');
export const adminKubeconfig = join(runDir, 'admin.kubeconfig');
/** kubectl's memory of which kinds a server has. Not the user's own, in which the next cluster, at the same address, would be taken for this one. */
export const kubectlCache = join(runDir, 'kubectl-cache');

export const testDir = resolve(__dirname, '../..');
export const projectDir = resolve(testDir, '../..');

/** An address of the host's loopback interface: programs on the host that listen there are reached from pods, and from nowhere else. */
export const hostAddress = '172.30.0.1';
/** The pods of all nodes. */
export const podCidr = '10.244.0.0/16';
export const serviceCidr = '10.96.0.0/16';
export const kubernetesServiceAddress = '10.96.0.1';
export const apiServerUrl = `https://${hostAddress}:6443`;
export const registryAddress = `${hostAddress}:15000`;
export const etcdUrl = 'http://127.0.0.1:12379';
export const etcdPeerUrl = 'http://127.0.0.1:12380';

/** The Kubernetes that cdk8s-plus-27 describes: an API server alone, for admission. */
export const oldest = { kubeconfig: join(runDir, 'admin-1.27.kubeconfig'), url: `https://${hostAddress}:6444` };
/** The Kubernetes of the cluster: an API server alone, for tests that store more than controllers would bear. */
export const bare = { kubeconfig: join(runDir, 'admin-bare.kubeconfig'), url: `https://${hostAddress}:6445` };

/** Where a node keeps its things, and how it is reached. */
export interface NodeLayout {
  readonly name: string;
  readonly address: string;
  readonly podCidr: string;
  /** The name of its kubelet's keys. */
  readonly keys: string;
  /** Its configuration, data and logs. */
  readonly dir: string;
  /** Images and unpacked layers; kept between starts. */
  readonly containerdRoot: string;
  readonly containerdState: string;
  readonly containerdSocket: string;
}

const nodeLayout = (name: string, keys: string, address: string, pods: string, dir: string, root: string): NodeLayout => {
  const containerdState = join(dir, 'containerd');
  const containerdSocket = join(containerdState, 'containerd.sock');
  return { name, keys, address, podCidr: pods, dir, containerdRoot: join(home, root), containerdState, containerdSocket };
};

export const firstNode = nodeLayout('node-1', 'kubelet', hostAddress, '10.244.0.0/24', runDir, 'containerd');
/** Started only for tests that ask for it: ../second-node. */
export const secondNode = nodeLayout('node-2', 'kubelet-2', '172.30.0.2', '10.244.1.0/24', join(runDir, 'node-2'), 'containerd-2');
