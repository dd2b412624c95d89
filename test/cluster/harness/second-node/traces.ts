// What is on this machine outside of files. Pods of the first node come and go while tests run, and are left out.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { firstNode } from '../own/layout';
import { outcomeOf, run } from '../run';

export interface NodeProcess {
  readonly pid: string;
  readonly command: string;
  readonly environ: string;
}

/** The processes of the second node and of its pods: they have other pid namespaces than this machine, and are in no pod of the first node. */
export function processesOfNode(): NodeProcess[] {
  const own = readlinkSync('/proc/self/ns/pid');
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const file = (name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8');
      if (readlinkSync(`/proc/${pid}/ns/pid`) === own || /:\/kubepods/.test(file('cgroup'))) return [];
      return [{ pid, command: file('cmdline').replaceAll('\0', ' ').trim(), environ: file('environ') }];
    } catch {
      return []; // It has ended meanwhile.
    }
  });
}

/** A line for each process, mount, interface, route, nftables table and cgroup. */
export async function tracesOnMachine(): Promise<string[]> {
  const lines = async (kind: string, command: string, ...args: string[]) =>
    (await run(command, args))
      .split('\n')
      .filter(Boolean)
      .map((line) => `${kind} ${line.trim()}`);
  const ofFirstNode = [join(firstNode.dir, 'kubelet'), firstNode.containerdState];
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path && !ofFirstNode.some((dir) => path.startsWith(dir)));
  const addresses = await lines('interface', 'ip', '-4', '-brief', 'address');
  const links = await lines('interface', 'ip', '-brief', 'link');
  const routes = await lines('route', 'ip', 'route');
  return [
    ...processesOfNode().map(({ command }) => `process ${command}`),
    ...mounts.map((path) => `mount ${path}`),
    // CNI's names: veth and eight digits.
    ...[...addresses, ...links.map((line) => line.split(/[ @]/, 2).join(' '))].filter((line) => !/ veth[0-9a-f]{8}\b/.test(line)),
    ...routes.filter((line) => !/ dev veth[0-9a-f]{8} /.test(line)),
    ...(await lines('nftables', 'nft', 'list', 'tables')),
    ...(await lines('cgroup', 'find', '/sys/fs/cgroup', '-maxdepth', '2', '-type', 'd')).filter(
      // Services of the machine come and go too.
      (line) => !/\/kubepods|\.(service|scope|slice)$/.test(line),
    ),
  ].sort();
}

/** Why the kernel here has no second node or enforces no NetworkPolicies, if so. Leaves nothing. */
export async function whyNo(thing: 'secondNode' | 'networkPolicies'): Promise<string | undefined> {
  const script = {
    secondNode: 'ip link add n2-probe type veth peer name n2-probe-peer && mount -t tmpfs tmpfs /tmp && nft add table inet probe',
    networkPolicies:
      'iptables -t mangle -A POSTROUTING -m owner --uid-owner 0 -j ACCEPT && iptables -t mangle -A POSTROUTING -m conntrack --ctstate NEW -j NFQUEUE --queue-num 100',
  }[thing];
  const { code, stderr } = await outcomeOf('unshare', [
    '--net',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    'sh',
    '-c',
    script,
  ]);
  return code === 0 ? undefined : stderr.trim().split('\n').join('; ') || `unshare ended with ${code}`;
}
