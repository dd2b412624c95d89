import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Json } from '../harness/api-server';
import { type Outcome, outcomeOf } from '../harness/run';

/** What a server said to one request. */
export interface Recorded {
  readonly status: number;
  readonly body: Json;
}

/**
 * Stands between kubectl and an API server, and keeps what the server answers for each object: kubectl itself prints answers only when
 * none is an error, and reads what is there before a client-side apply.
 */
export class Recorder {
  /** The object before, and the answer to what kubectl sent for it, by its path in the API. */
  readonly live = new Map<string, Json>();
  readonly answers = new Map<string, Recorded>();
  private readonly folder = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
  private readonly server: Server;

  constructor(
    private readonly kubectl: string,
    socketPath: string,
  ) {
    this.server = createServer((incoming, outgoing) => {
      const { method = '', url = '' } = incoming;
      const path = url.replace(/\?.*/s, '');
      const headers = { ...incoming.headers, host: 'localhost', 'accept-encoding': 'identity' };
      const forwarded = request({ socketPath, method, path: url, headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => {
          const body = Buffer.concat(chunks);
          this.keep(method, path, answer.statusCode ?? 0, body);
          const { 'transfer-encoding': _, ...rest } = answer.headers;
          outgoing.writeHead(answer.statusCode ?? 502, { ...rest, 'content-length': body.length });
          outgoing.end(body);
        });
      });
      forwarded.on('error', (error) => outgoing.writeHead(502).end(String(error)));
      incoming.pipe(forwarded);
    });
  }

  async start(): Promise<this> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    const { port } = this.server.address() as AddressInfo;
    const kubeconfig = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}` } }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: '' } }],
      'current-context': 'c',
    };
    writeFileSync(join(this.folder, 'kubeconfig'), JSON.stringify(kubeconfig));
    return this;
  }

  /** `kubectl apply` of objects of several namespaces, with more options. What was kept before is forgotten. */
  async apply(objects: readonly Json[], ...options: string[]): Promise<Outcome> {
    const file = join(this.folder, `${Math.random()}.json`);
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    const env = { ...process.env, KUBECONFIG: join(this.folder, 'kubeconfig'), KUBECACHEDIR: join(this.folder, 'cache') };
    return outcomeOf(this.kubectl, ['apply', '--filename', file, ...options], { env });
  }

  forget(): void {
    this.live.clear();
    this.answers.clear();
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    rmSync(this.folder, { recursive: true });
  }

  private keep(method: string, path: string, status: number, body: Buffer): void {
    if (!path.includes('/namespaces/') || !['GET', 'PATCH', 'POST'].includes(method)) return;
    const json = JSON.parse(body.toString('utf8'));
    if (method === 'GET' && status === 200) this.live.set(path, json);
    if (method !== 'GET')
      this.answers.set(method === 'POST' ? `${path}/${json.metadata?.name ?? json.details?.name}` : path, { status, body: json });
  }
}
