// The second node: one `unshare`, in whose namespaces containerd, kubelet, kube-proxy and all pods of the node are. Killed, it is a machine
// without power: its processes, mounts and interfaces are gone at once. The rest is undone by `removeSecondNode`.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../eventually';
import { images, registryHosts } from '../own/images';
import { adminKubeconfig, hostAddress, logDir, secondNode as node, podCidr } from '../own/layout';
import { kubeletFlags, kubeProxyFlags, writeContainerdConfig } from '../own/node-config';
import { outcomeOf, run } from '../run';

/** This end of the cable to the node. */
export const cable = 'n2';
/** The nftables table of the host that cuts connections of the node. */
export const cut = 'cut-off-node-2';
const cgroup = 'node-2';
const init = join(__dirname, 'init.sh');

/** No other pod lands on the node. */
export const taint = { key: 'cdk8s-prefect.test/second-node', value: 'true', effect: 'NoSchedule' };

export interface Programs {
  /** The folder of Kubernetes' programs. */
  readonly kubernetes: string;
  /** What enforces NetworkPolicies on the node, if anything. */
  readonly policyAgent?: string;
}

/** Gives the node power. It is Ready some seconds later. */
export async function powerOn({ kubernetes, policyAgent }: Programs): Promise<void> {
  mkdirSync(node.dir, { recursive: true });
  makeCgroups();
  const words = (flags: Record<string, string>) => Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const own = { cgroupRoot: `/${cgroup}`, registerWithTaints: [taint] };
  const env = {
    ...process.env,
    NAME: node.name,
    ADDRESS: node.address,
    HOST_ADDRESS: hostAddress,
    POD_CIDR: podCidr,
    DIR: node.dir,
    LOGS: logDir,
    STATE: node.containerdState,
    SOCKET: node.containerdSocket,
    CONTAINERD_CONFIG: writeContainerdConfig(node),
    REGISTRIES: registryHosts,
    IMAGES: images.join(' '),
    KUBERNETES: kubernetes,
    KUBELET_FLAGS: words(kubeletFlags(node, own)).join(' '),
    KUBE_PROXY_FLAGS: words(kubeProxyFlags(node)).join(' '),
    ADMIN_KUBECONFIG: adminKubeconfig,
    POLICY_AGENT: policyAgent ?? '',
  };
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const log = openSync(join(logDir, 'node-2.log'), 'a');
  const child = spawn('unshare', [...namespaces, init], { env, detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  child.unref();
  const { pid } = child;

  const [first = ''] = await eventually(() => {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    if (children.length === 0) throw new Error('unshare has not forked yet');
    return children;
  });
  await run('ip', ['link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', first]);
  await run('ip', ['link', 'set', cable, 'up']);
  // Without power, nothing that is meant for the node goes anywhere else.
  for (const target of [node.address, node.podCidr]) await run('ip', ['route', 'replace', 'unreachable', target, 'metric', '4096']);
  await run('ip', ['route', 'replace', node.address, 'dev', cable, 'src', hostAddress]);
  await run('ip', ['route', 'replace', node.podCidr, 'via', node.address, 'dev', cable, 'onlink', 'src', hostAddress]);
}

/** Takes the power from the node, as it is. */
export async function powerOff(): Promise<void> {
  for (const pid of nodeProcesses()) await outcomeOf('kill', ['-KILL', `${pid}`]); // One that has just ended is fine.
  // The kernel keeps the other end for as long as it tries to close connections that are cut.
  await outcomeOf('ip', ['link', 'delete', cable]);
  await eventually(() => {
    if (nodeProcesses().length > 0) throw new Error('the second node is not gone yet');
  });
}

/** Found by what it runs, from whichever copy of this folder: a file that has its pid may be lost before it. */
function nodeProcesses(): number[] {
  const ending = init.split('/').slice(-2).join('/');
  const commandOf = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    } catch {
      return []; // It has ended meanwhile.
    }
  };
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      const [program, ...args] = commandOf(pid);
      return program === 'unshare' && args.some((arg) => arg.endsWith(ending));
    })
    .map(Number);
}

/** Takes back all that the node is on this machine, also after whoever started it has died. Its images stay. */
export async function removeSecondNode(): Promise<void> {
  await powerOff();
  await outcomeOf('nft', ['delete', 'table', 'inet', cut]);
  for (const target of [node.address, node.podCidr]) await outcomeOf('ip', ['route', 'delete', 'unreachable', target, 'metric', '4096']);
  await removeCgroups();
  rmSync(node.dir, { recursive: true, force: true });
}

/** In cgroup v1 each hierarchy has folders of its own, in v2 there is one tree. */
const hierarchies = () =>
  ['/sys/fs/cgroup', ...readdirSync('/sys/fs/cgroup').map((name) => join('/sys/fs/cgroup', name))].filter(
    (path) => !path.endsWith(`/${cgroup}`) && existsSync(join(path, 'cgroup.procs')) && !isBelowRoot(path),
  );

/** Where /sys/fs/cgroup itself is a tree, its folders are no hierarchies. */
const isBelowRoot = (path: string) => path !== '/sys/fs/cgroup' && existsSync('/sys/fs/cgroup/cgroup.procs');

/** Pods of the two nodes are apart: each kubelet ends those below its cgroup that it does not know. */
function makeCgroups(): void {
  for (const path of hierarchies()) mkdirSync(join(path, cgroup), { recursive: true });
  const v2 = '/sys/fs/cgroup/cgroup.controllers';
  if (!existsSync(v2)) return;
  for (const controller of readFileSync(v2, 'utf8').trim().split(' ')) {
    writeFileSync('/sys/fs/cgroup/cgroup.subtree_control', `+${controller}`);
  }
}

async function removeCgroups(): Promise<void> {
  const remove = (path: string): void => {
    if (!existsSync(path)) return;
    for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) remove(join(path, entry.name));
    rmdirSync(path);
  };
  // Until the kernel has reaped the last process, its folder is busy.
  for (const path of hierarchies()) await eventually(() => remove(join(path, cgroup)), { interval: 100 });
}
