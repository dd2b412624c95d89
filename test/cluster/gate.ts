import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Cluster } from './harness/cluster';

/** What flow runs wait for that last as long as a test says, however long the machine takes: the parameter `gate` of their flow. */
export class Gate {
  static async start(cluster: Cluster): Promise<Gate> {
    const gate = new Gate(cluster.hostAddress);
    // No test has to stop it: it keeps no process.
    gate.server.listen(0, cluster.hostAddress).unref();
    await once(gate.server, 'listening');
    return gate;
  }

  private isOpen = false;
  private readonly server = createServer((_, response) => response.writeHead(this.isOpen ? 200 : 503, { connection: 'close' }).end());

  private constructor(private readonly address: string) {}

  get url(): string {
    return `http://${this.address}:${(this.server.address() as AddressInfo).port}`;
  }

  open(): void {
    this.isOpen = true;
  }

  close(): void {
    this.isOpen = false;
  }
}
