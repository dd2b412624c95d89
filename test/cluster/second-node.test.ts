// The harness' own proof of the second node: it is a node, it can be lost, and nothing of it stays.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { KubeObject } from './harness/api-server';
import { Cluster } from './harness/cluster';
import { eventually } from './harness/eventually';
import { tracesOnMachine } from './harness/second-node/traces';

const cluster = new Cluster();
const onNode = cluster.testWith('secondNode');

const sleeper = (name: string, spec: object): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    containers: [{ name: 'main', image: 'prefecthq/prefect:1.4.1', command: ['sleep', '3600'] }],
    terminationGracePeriodSeconds: 1,
    ...spec,
  },
});

const tolerations = [{ key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 1 }];

afterAll(() => cluster.deleteNamespaces());

onNode('only pods that ask for the second node land there; they reach the DNS, the API server and pods of the first', async () => {
  const ns = await cluster.createNamespace();
  const { only, name } = cluster.secondNode;
  const script = `
import socket
print(socket.gethostbyname("kubernetes.default"))
socket.create_connection(("kubernetes.default", 443)).close()`;
  const served = ['python3', '-m', 'http.server', '8000'];
  await ns.apply([
    sleeper('first', {
      containers: [{ name: 'main', image: 'prefecthq/prefect:1.4.1', command: served, readinessProbe: { tcpSocket: { port: 8000 } } }],
    }),
  ]);
  const { exitCode, pod } = await ns.runPod('second', { image: 'prefecthq/prefect:1.4.1', args: ['python3', '-c', script] }, only);
  expect([exitCode, pod.spec.nodeName]).toEqual([0, name]);
  await ns.kubectl(['wait', '--for=condition=Ready', 'pod/first', '--timeout=600s']);
  const first = await ns.get('pod', 'first');
  expect(first.spec.nodeName).not.toBe(name);
  const reach = `import urllib.request as u; print(u.urlopen("http://${first.status.podIP}:8000").status)`;
  const { log } = await ns.runPod('reaching', { image: 'prefecthq/prefect:1.4.1', args: ['python3', '-c', reach] }, only);
  expect(log.trim()).toBe('200');
});

onNode('without power its pods are terminated, and gone when it is back; cut off, they go on', async () => {
  const ns = await cluster.createNamespace();
  const { secondNode } = cluster;
  const { only } = secondNode;
  await ns.apply([sleeper('lost', { ...only, tolerations: [...only.tolerations, ...tolerations] })]);
  await ns.kubectl(['wait', '--for=condition=Ready', 'pod/lost', '--timeout=600s']);
  await secondNode.powerOff();
  await ns.eventually(async () => expect(await secondNode.isLost()).toBe(true));
  await ns.eventually(async () => expect((await ns.get('pod', 'lost')).metadata.deletionTimestamp).toBeDefined());
  await secondNode.powerOn();
  await ns.eventually(async () => expect(await ns.list('pods')).toEqual([]));

  await ns.apply([sleeper('cut-off', only)]);
  await ns.kubectl(['wait', '--for=condition=Ready', 'pod/cut-off', '--timeout=600s']);
  await secondNode.cutOff('apiServer');
  await ns.eventually(async () => expect(await secondNode.isLost()).toBe(true));
  await secondNode.heal();
  await ns.eventually(async () => expect(await secondNode.isReady()).toBe(true));
  expect((await ns.get('pod', 'cut-off')).status.containerStatuses[0].restartCount).toBe(0);
});

onNode(
  'whoever started it may be killed: the next one ends it, and no process, mount, interface, route, table or cgroup is left',
  async () => {
    const { secondNode } = cluster;
    await secondNode.remove();
    const before = new Set(await tracesOnMachine());
    const added = async () => (await tracesOnMachine()).filter((line) => !before.has(line));
    const starter = spawn(process.execPath, ['--import', 'tsx', join(__dirname, 'harness/second-node/start.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(starter.stdout, 'data');
    await secondNode.cutOff('everything');
    starter.kill('SIGKILL');
    await once(starter, 'exit');
    // Each kind is there to be found, but its mounts, which only the node sees.
    const kinds = new Set((await added()).map((line) => line.split(' ', 1)[0]));
    expect([...kinds].sort()).toEqual(['cgroup', 'interface', 'nftables', 'process', 'route']);

    await secondNode.remove();
    await eventually(async () => expect(await added()).toEqual([]));
    expect((await cluster.list('nodes')).map(({ metadata }) => metadata.name)).not.toContain(secondNode.name);
  },
);
