import { createReadStream } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { manifest, root, run, tarball } from './packages';

/** The registry of npm as it will be when this release is in it: everything else comes from the registry that this machine uses. */
export class Registry {
  static async start(): Promise<Registry> {
    const upstream = run(root, {}, 'npm', 'config', 'get', 'registry').trim();
    const server = createServer((request, response) => {
      answer(upstream, request, response).catch((error) => response.writeHead(502).end(String(error)));
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    return new Registry(server);
  }

  readonly url: string;

  private constructor(private readonly server: Server) {
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

async function answer(upstream: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { name, version } = manifest;
  if (request.url === `/${name}/this.tgz`) {
    createReadStream(tarball()).pipe(response);
  } else if (request.url === `/${name}`) {
    const dist = { tarball: `http://${request.headers.host}/${name}/this.tgz` };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } }));
  } else {
    const accept = request.headers.accept ?? '*/*';
    const { status, headers, body } = await fetch(new URL(request.url?.slice(1) ?? '', upstream), { headers: { accept } });
    response.writeHead(status, { 'content-type': headers.get('content-type') ?? '' });
    if (body) Readable.fromWeb(body as never).pipe(response);
    else response.end();
  }
}
