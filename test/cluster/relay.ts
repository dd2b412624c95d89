import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { EnvValue, type PrefectAgentProps } from '../../lib';
import type { Cluster } from './harness/cluster';
import { getEnvironment } from './harness/environment';

/**
 * A way to the API server on which connections can fall silent, as when a node or a load balancer is lost: nobody says that they ended.
 * Or it is closed for a while, as when the API server is down.
 */
export class Relay {
  static async start(cluster: Cluster): Promise<Relay> {
    const { kubectl, kubeconfig } = getEnvironment();
    const view = ['config', 'view', '--kubeconfig', kubeconfig, '--minify', '--output', 'jsonpath={.clusters[0].cluster.server}'];
    const relay = new Relay(cluster.hostAddress, new URL(execFileSync(kubectl, view, { encoding: 'utf8' })));
    relay.listener.listen(0, cluster.hostAddress);
    await once(relay.listener, 'listening');
    return relay;
  }

  private readonly listener = createServer((client) => this.relay(client));
  /** Both ends of each connection. */
  private readonly speaking = new Set<readonly [Socket, Socket]>();
  private readonly silent = new Set<readonly [Socket, Socket]>();

  private closed = false;

  private constructor(
    private readonly address: string,
    private readonly server: URL,
  ) {}

  /** What makes an agent take this way. The server's certificate knows its name in the cluster. */
  get props(): Pick<PrefectAgentProps, 'env' | 'podSpec'> {
    const host = 'kubernetes.default.svc';
    const { port } = this.listener.address() as AddressInfo;
    return {
      env: { KUBERNETES_SERVICE_HOST: EnvValue.of(host), KUBERNETES_SERVICE_PORT: EnvValue.of(`${port}`) },
      podSpec: { hostAliases: [{ ip: this.address, hostnames: [host] }] },
    };
  }

  /** Lets the connections that are open fall silent, and says how many. Those that are opened later do not. */
  silence(): number {
    const silenced = this.speaking.size;
    for (const connection of this.speaking) {
      for (const socket of connection) socket.unpipe();
      this.silent.add(connection);
    }
    this.speaking.clear();
    return silenced;
  }

  /** Ends the connections that are open. */
  cut(): void {
    for (const connection of this.speaking) end(connection);
  }

  /** Ends the connections that are open, and each new one at once. The port stays, so that nobody else gets it. */
  close(): void {
    this.closed = true;
    this.cut();
  }

  reopen(): void {
    this.closed = false;
  }

  stop(): void {
    this.listener.close();
    for (const connection of [...this.speaking, ...this.silent]) end(connection);
  }

  private relay(client: Socket): void {
    if (this.closed) {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ host: this.server.hostname, port: Number(this.server.port || 443) });
    const connection = [client, server] as const;
    this.speaking.add(connection);
    client.pipe(server).pipe(client);
    for (const socket of connection) {
      // A connection that is reset is closed too.
      socket.on('error', () => undefined);
      socket.on('close', () => {
        if (this.speaking.delete(connection)) end(connection);
      });
    }
  }
}

function end(connection: readonly [Socket, Socket]): void {
  for (const socket of connection) socket.destroy();
}
