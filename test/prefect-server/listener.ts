/** A port that can be closed and opened again, as that of an API that goes down and comes back. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** A server for tests. A client that leaves a request half-way, as a killed process does, ends that request alone. */
export function serverOf(handler: Handler): Server {
  return createServer((request, response) => {
    handler(request, response).catch((error) => {
      // A request that is there as a whole was not left: the fault is the server's.
      if (request.complete) throw error;
    });
  });
}

export class Listener {
  private readonly server: Server;
  private opened?: { readonly host: string; readonly port: number };

  constructor(handler: Handler) {
    this.server = serverOf(handler);
  }

  async open(address: { readonly host: string; readonly port: number }): Promise<void> {
    this.server.listen(address);
    await once(this.server, 'listening');
    this.opened = { host: address.host, port: (this.server.address() as AddressInfo).port };
  }

  /** Opens the port that was closed. */
  async reopen(): Promise<void> {
    if (!this.server.listening) await this.open(this.address);
  }

  /** Closes the port and what is connected to it. */
  async close(): Promise<void> {
    if (!this.server.listening) return;
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  /** Where it listens, or did before it was closed. */
  get address(): { readonly host: string; readonly port: number } {
    if (!this.opened) throw new Error('the server has not been started');
    return this.opened;
  }
}

export async function textOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
