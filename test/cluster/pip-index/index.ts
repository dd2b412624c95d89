import { execFileSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** What the flow in greets.py logs, from the package. */
export const GREETING = 'greetings from the local index';
const WHEEL = 'local_greeting-1.2-py3-none-any.whl';

/**
 * A package index with one package, local-greeting 1.2, that wants a password.
 * @see https://peps.python.org/pep-0503/
 */
export class PipIndex {
  static async start(host: string, password: string): Promise<PipIndex> {
    const wheel = execFileSync('python3', [join(__dirname, 'wheel.py'), 'local-greeting', '1.2', `GREETING = "${GREETING}"\n`]);
    const pages: Record<string, Buffer | string> = {
      '/simple/local-greeting/': `<!DOCTYPE html><html><body><a href="/files/${WHEEL}">${WHEEL}</a></body></html>`,
      [`/files/${WHEEL}`]: wheel,
    };
    const authorization = `Basic ${Buffer.from(`pip:${password}`).toString('base64')}`;
    const server = createServer((request, response) => {
      const page = pages[request.url ?? ''];
      const allowed = request.headers.authorization === authorization;
      if (!allowed) response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
      else if (page === undefined) response.writeHead(404).end();
      else response.writeHead(200, { 'content-type': typeof page === 'string' ? 'text/html' : 'application/octet-stream' }).end(page);
    });
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return new PipIndex(server, `http://pip:${password}@${host}:${(server.address() as AddressInfo).port}/simple/`);
  }

  private constructor(
    private readonly server: Server,
    /** With the password. */
    readonly url: string,
  ) {}

  stop(): void {
    this.server.close();
  }
}
