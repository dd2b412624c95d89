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
/** Images and unpacked layers; kept between starts. */
export const containerdRoot = join(home, 'containerd');
export const containerdState = join(runDir, 'containerd');
export const containerdSocket = join(containerdState, 'containerd.sock');

export const testDir = resolve(__dirname, '../..');
export const projectDir = resolve(testDir, '../..');

export const nodeName = 'node-1';
/** An address of the host's loopback interface: programs on the host that listen there are reached from pods, and from nowhere else. */
export const hostAddress = '172.30.0.1';
export const podCidr = '10.244.0.0/24';
export const serviceCidr = '10.96.0.0/16';
export const kubernetesServiceAddress = '10.96.0.1';
export const apiServerUrl = `https://${hostAddress}:6443`;
export const registryAddress = '127.0.0.1:15000';
export const etcdUrl = 'http://127.0.0.1:12379';
export const etcdPeerUrl = 'http://127.0.0.1:12380';

/** The Kubernetes that cdk8s-plus-27 describes: an API server alone, for admission. */
export const oldest = { kubeconfig: join(runDir, 'admin-1.27.kubeconfig'), url: `https://${hostAddress}:6444` };
/** The Kubernetes of the cluster: an API server alone, for tests that store more than controllers would bear. */
export const bare = { kubeconfig: join(runDir, 'admin-bare.kubeconfig'), url: `https://${hostAddress}:6445` };
