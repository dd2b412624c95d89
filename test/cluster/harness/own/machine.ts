// What the machine must be and have before a cluster can run on it.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { lastLines, outcomeOf, Unavailable } from '../run';
import { secondNode } from './layout';

/** Each program that is run, and the Debian package that brings it. */
const programs = {
  containerd: 'containerd',
  debootstrap: 'debootstrap',
  etcd: 'etcd-server',
  ip: 'iproute2',
  iptables: 'iptables',
  nft: 'nftables',
  openssl: 'openssl',
  runc: 'runc',
  '/usr/lib/cni/ptp': 'containernetworking-plugins',
};

export async function prepareMachine(): Promise<void> {
  if (process.platform !== 'linux') {
    throw new Unavailable(`the cluster's node needs Linux, this is ${process.platform}; name another cluster in KUBECONFIG`);
  }
  if (process.getuid?.() !== 0) {
    throw new Unavailable('the kubelet and containerd need root; run this as root, or name another cluster in KUBECONFIG');
  }
  // 107 characters are what a socket's path may have; spaces are escaped in too many of the files that name paths.
  const { containerdSocket: socket } = secondNode; // The longest of their paths.
  if (socket.length > 107 || /\s/.test(socket)) {
    throw new Error(`${socket} is no usable path for a socket: give CDK8S_PREFECT_CACHE a shorter path without spaces`);
  }
  if (!isProgram('go')) throw new Unavailable('Go 1.26 or later is not in PATH: install it (https://go.dev/doc/install)');
  await installPackages();
  const namespaces = await outcomeOf('unshare', ['--mount', '--net', 'true']);
  if (namespaces.code !== 0) {
    throw new Unavailable(`root may not make namespaces here, as in an unprivileged container: ${namespaces.stderr.trim()}`);
  }
  try {
    accessSync('/sys/fs/cgroup', constants.W_OK);
  } catch (error) {
    throw new Unavailable(`the kubelet cannot make cgroups here, as in an unprivileged container: ${error}`);
  }
}

async function installPackages(): Promise<void> {
  const missing = () => Object.entries(programs).flatMap(([program, debian]) => (isProgram(program) ? [] : [debian]));
  const packages = missing();
  if (packages.length === 0) return;
  if (!isProgram('apt-get')) {
    throw new Unavailable(`there is no apt-get to install what Debian has in ${packages.join(', ')}: install it`);
  }
  console.error(`cluster: installing ${packages.join(', ')} with apt-get`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [['update'], ['install', '--yes', '--no-install-recommends', ...packages]]) {
    const { code, stderr } = await outcomeOf('apt-get', ['--quiet', ...args], { env });
    if (code !== 0) throw new Unavailable(`apt-get ${args[0]} failed, so ${packages.join(', ')} is missing: ${lastLines(stderr, 5)}`);
  }
  if (missing().length > 0) throw new Unavailable(`apt-get installed ${missing().join(', ')}, but what is in it is not in PATH`);
}

function isProgram(name: string): boolean {
  const candidates = name.startsWith('/') ? [name] : (process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, name));
  return candidates.some((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
