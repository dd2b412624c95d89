import { ApiServer } from '../api-server';
import type { Environment } from '../environment';
import { eventually } from '../eventually';
import { Kubectl } from '../kubectl';
import { apiServerUrl, logDir, secondNode as node } from '../own/layout';
import { acquire, tryAcquire } from '../own/lock';
import { offerDisk } from '../own/node';
import { type Outcome, type RunOptions, run } from '../run';
import { cable, cut, type Programs, powerOff, powerOn, removeSecondNode, taint } from './life';
import { processesOfNode } from './traces';

/** The lock of the second node: one file of tests at a time has it. */
export const secondNodeLock = 'second-node';

/** "destroy" is not in every nft; a table that is declared first can always be deleted. */
const noCut = `table inet ${cut} {}\ndelete table inet ${cut}\n`;

/** The node that some tests have beside the first, and what happens to it. */
export class SecondNode {
  readonly name = node.name;
  /** What a pod's spec needs to run there. */
  readonly only = { nodeSelector: { 'kubernetes.io/hostname': node.name }, tolerations: [{ key: taint.key, operator: 'Exists' }] };
  private readonly kubectl: Kubectl;
  private readonly api: ApiServer;
  private release: (() => void) | undefined;

  constructor(
    environment: Environment,
    private readonly programs: Programs,
  ) {
    this.kubectl = new Kubectl(environment.kubectl, environment.kubeconfig);
    this.api = new ApiServer(environment.apiSocket, environment.runLabel);
  }

  /** Waits until no other file of tests has the node, ends what one that crashed has left, and starts it. */
  async start(): Promise<void> {
    this.release = await acquire(secondNodeLock);
    await this.remove();
    await this.powerOn();
  }

  /** Ends the node without a trace, for others to start. */
  async end(): Promise<void> {
    if (!this.release) return;
    try {
      await this.remove();
    } finally {
      this.release();
    }
  }

  /** Ends the node without a trace, whoever started it. */
  async remove(): Promise<void> {
    await removeSecondNode();
    await forget(this.kubectl);
  }

  /** Starts the node, also after a loss of power, and waits until pods run on it. */
  async powerOn(): Promise<void> {
    const since = Date.now();
    await powerOn(this.programs);
    await eventually(async () => {
      // The API server may still say Ready of the time before.
      const lease = await this.kubectl.outcome(['--namespace=kube-node-lease', 'get', 'lease', node.name, '--output=json']);
      if (lease.code !== 0) throw new Error(`${node.name} has not registered; its logs are ${logDir}/node-2*: ${lease.stderr}`);
      if (Date.parse(JSON.parse(lease.stdout).spec.renewTime) < since)
        throw new Error(`${node.name} is not back; its logs are ${logDir}/node-2*`);
      if (!(await this.isReady())) throw new Error(`${node.name} is not Ready; its logs are ${logDir}/node-2*`);
    });
    await offerDisk(this.programs, node);
  }

  /** Takes its power: no process of it ends in order. */
  powerOff(): Promise<void> {
    return powerOff();
  }

  async isReady(): Promise<boolean> {
    const { status } = await this.api.get('node', node.name);
    return status.conditions.some(({ type, status: is }: { type: string; status: string }) => type === 'Ready' && is === 'True');
  }

  /** Whether Kubernetes has noticed that it does not hear of the node. */
  async isLost(): Promise<boolean> {
    const { spec } = await this.api.get('node', node.name);
    return (spec.taints ?? []).some(
      ({ key, effect }: { key: string; effect: string }) => key === 'node.kubernetes.io/unreachable' && effect === 'NoExecute',
    );
  }

  /** `kubectl drain`, to its end. */
  drain(flags: readonly string[] = [], options: RunOptions = {}): Promise<Outcome> {
    return this.kubectl.outcome(['drain', node.name, '--ignore-daemonsets', '--delete-emptydir-data', ...flags], options);
  }

  async uncordon(): Promise<void> {
    await this.kubectl.kubectl(['uncordon', node.name]);
  }

  /** Cuts the node and its pods off the API server, or off everything. They go on. */
  async cutOff(from: 'apiServer' | 'everything'): Promise<void> {
    const { port } = new URL(apiServerUrl);
    const [incoming, outgoing] = from === 'everything' ? ['', ''] : [`tcp dport ${port}`, `tcp sport ${port}`];
    const toKubelet = from === 'everything' ? '' : `oifname "${cable}" tcp dport 10250 drop;`;
    // In one transaction with the end of a cut before: not a packet passes between the two.
    const rules = `${noCut}table inet ${cut} {
      chain incoming { type filter hook prerouting priority -300; iifname "${cable}" ${incoming} drop; }
      chain outgoing { type filter hook output priority -300; oifname "${cable}" ${outgoing} drop; ${toKubelet} }
      chain through { type filter hook forward priority -300; oifname "${cable}" ${outgoing} drop; }
    }`;
    await run('nft', ['--file', '-'], { input: rules });
  }

  /** Ends the cut, if there is one. */
  async heal(): Promise<void> {
    await run('nft', ['--file', '-'], { input: noCut });
  }

  /** The flow runs of which a process is alive on the node, whatever the API server knows. */
  flowRuns(): string[] {
    const ids = processesOfNode().map(({ environ }) => /(?:^|\0)PREFECT__CONTEXT__FLOW_RUN_ID=([^\0]+)/.exec(environ)?.[1]);
    return [...new Set(ids.filter((id): id is string => id !== undefined))];
  }
}

/** Ends what a run of the tests that has crashed left of the node. Gives up where another run has it. */
export async function endAbandonedNode(kubectl: Kubectl): Promise<void> {
  const release = tryAcquire(secondNodeLock);
  if (!release) return;
  await removeSecondNode();
  await forget(kubectl);
  release();
}

/** The API server forgets the node and its pods, whose namespaces could otherwise not be deleted for a while. */
async function forget(kubectl: Kubectl): Promise<void> {
  await kubectl.kubectl(['delete', 'node', node.name, '--ignore-not-found']);
  const ofNode = ['--all-namespaces', `--field-selector=spec.nodeName=${node.name}`, '--output=json'];
  for (const { metadata } of JSON.parse(await kubectl.kubectl(['get', 'pods', ...ofNode])).items) {
    const force = ['--grace-period=0', '--force', '--wait=false', '--ignore-not-found'];
    await kubectl.kubectl(['delete', 'pod', metadata.name, `--namespace=${metadata.namespace}`, ...force]);
  }
}
