import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { atOnce } from './at-once';

// biome-ignore lint/suspicious/noExplicitAny: what a server returns is for the tests to check, not for the compiler.
export type Json = any;

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: { name?: string; namespace?: string; labels?: Record<string, string>; [field: string]: Json };
  [field: string]: Json;
}

export interface Answer {
  readonly status: number;
  readonly body: Json;
  /** The warnings that kubectl would print. */
  readonly warnings: string[];
}

/** What an API server said to an object that it was asked to create without keeping it. */
export interface Admission {
  readonly object: KubeObject;
  readonly admitted: boolean;
  /** The object as it would have been stored; absent if refused. */
  readonly stored?: KubeObject;
  /** Why it was refused; empty if admitted. */
  readonly reason: string;
  readonly warnings: string[];
}

export interface NamespaceOptions {
  /** The Pod Security level that is enforced. */
  readonly podSecurity?: 'privileged' | 'baseline' | 'restricted';
}

const concurrency = 16;

/** The REST API of one API server, over a few connections that stay open. */
export class ApiServer {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  private readonly resources = new Map<string, Promise<Json[]>>();
  private groups: Promise<string[]> | undefined;

  constructor(
    private readonly socketPath: string,
    private readonly runLabel: string,
  ) {}

  request(method: string, path: string, body?: object, more: Record<string, string | string[]> = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const headers = { host: 'localhost', 'content-type': 'application/json', ...more };
      const sent = request({ socketPath: this.socketPath, agent: this.agent, method, path, headers }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk) => {
          text += chunk;
        });
        answer.on('end', () => {
          const json = answer.headers['content-type']?.startsWith('application/json');
          // RFC 7234: 299 - "text", a quote in it escaped.
          const warnings = (answer.headersDistinct.warning ?? []).map((warning) =>
            warning.replace(/^299 - "(.*)"$/, '$1').replaceAll('\\"', '"'),
          );
          resolve({ status: answer.statusCode ?? 0, body: json ? JSON.parse(text) : text, warnings });
        });
        answer.on('error', reject);
      });
      sent.on('error', reject).end(body && JSON.stringify(body));
    });
  }

  /** A request that must be answered with success. */
  async expect(method: string, path: string, body?: object): Promise<Answer> {
    const answer = await this.request(method, path, body);
    if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.status} ${answer.body?.message ?? answer.body}`);
    return answer;
  }

  /** The server's version, such as v1.27.3. */
  async version(): Promise<string> {
    return (await this.expect('GET', '/version')).body.gitVersion;
  }

  /** Makes a namespace with a new name. */
  async createNamespace(options: NamespaceOptions = {}): Promise<string> {
    const name = `test-${randomUUID().slice(0, 8)}`;
    const labels: Record<string, string> = { [runLabelKey]: this.runLabel };
    if (options.podSecurity) labels['pod-security.kubernetes.io/enforce'] = options.podSecurity;
    await this.expect('POST', '/api/v1/namespaces', { metadata: { name, labels } });
    // A pod is refused as long as its account is missing. Where a controller makes that one too, whoever is first is right.
    const account = await this.request('POST', `/api/v1/namespaces/${name}/serviceaccounts`, { metadata: { name: 'default' } });
    if (account.status >= 400 && account.status !== 409) throw new Error(`the account "default" of ${name}: ${account.body.message}`);
    return name;
  }

  /** Asks the server to create each object, with all of its admission and none of its effect. In the order of the objects. */
  async dryRun(
    objects: readonly KubeObject[],
    options: { namespace?: string; fieldValidation?: 'Strict' | 'Warn' | 'Ignore' } = {},
  ): Promise<Admission[]> {
    const query = `dryRun=All&fieldValidation=${options.fieldValidation ?? 'Strict'}`;
    return atOnce(concurrency, objects, async (object): Promise<Admission> => {
      const path = `${await this.collectionOf(object, options.namespace)}?${query}`;
      const { status, body, warnings } = await this.request('POST', path, object);
      const admitted = status < 400;
      return admitted ? { object, admitted, stored: body, reason: '', warnings } : { object, admitted, reason: body.message, warnings };
    });
  }

  /** Evicts a pod, as draining its node does. */
  async evict(namespace: string, pod: string): Promise<void> {
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: pod, namespace } };
    await this.expect('POST', `/api/v1/namespaces/${namespace}/pods/${pod}/eviction`, eviction);
  }

  /** An object of a kind as kubectl names it. Here, as a test polls: kubectl itself takes a tenth of a second of a core each time. */
  async get(kind: string, name: string, namespace?: string): Promise<KubeObject> {
    const { path } = await this.kindOf(kind, namespace);
    return (await this.expect('GET', `${path}/${name}`)).body;
  }

  /** The objects of a kind that have certain labels, or all, in a namespace. */
  async list(kind: string, selector = '', namespace?: string): Promise<KubeObject[]> {
    const { path, ...named } = await this.kindOf(kind, namespace);
    const { body } = await this.expect('GET', `${path}?labelSelector=${encodeURIComponent(selector)}`);
    // In a list the objects do not say what they are.
    return body.items.map((item: Json) => ({ ...named, ...item }));
  }

  private async kindOf(name: string, namespace?: string): Promise<{ apiVersion: string; kind: string; path: string }> {
    this.groups ??= this.expect('GET', '/apis').then(({ body }) => body.groups.map((group: Json) => group.preferredVersion.groupVersion));
    // As kubectl does, in the order of the server: "events" are those of the core.
    for (const apiVersion of ['v1', ...(await this.groups)]) {
      const { path, resources } = await this.resourcesOf(apiVersion);
      const found = resources.find(
        ({ name: plural, singularName, shortNames = [] }) =>
          !plural.includes('/') && [plural, singularName, ...shortNames].includes(name.toLowerCase()),
      );
      if (!found) continue;
      if (found.namespaced && !namespace) throw new Error(`${name} are in a namespace, and none was given`);
      return {
        apiVersion,
        kind: found.kind,
        path: found.namespaced ? `${path}/namespaces/${namespace}/${found.name}` : `${path}/${found.name}`,
      };
    }
    throw new Error(`the API server has no kind ${name}`);
  }

  private async resourcesOf(apiVersion: string): Promise<{ path: string; resources: Json[] }> {
    const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    let resources = this.resources.get(path);
    if (!resources) {
      resources = this.expect('GET', path).then(({ body }) => body.resources);
      this.resources.set(path, resources);
    }
    return { path, resources: await resources };
  }

  /** The path at which objects of an object's kind are created. */
  private async collectionOf(object: KubeObject, defaultNamespace?: string): Promise<string> {
    const { apiVersion, kind, metadata } = object;
    const namespace = metadata.namespace ?? defaultNamespace;
    const { path: group, resources } = await this.resourcesOf(apiVersion);
    const resource = resources.find((candidate) => candidate.kind === kind && !candidate.name.includes('/'));
    if (!resource) throw new Error(`the API server has no kind ${kind} in ${apiVersion}`);
    if (resource.namespaced && !namespace) throw new Error(`${kind} ${metadata.name} names no namespace, and none was given`);
    return resource.namespaced ? `${group}/namespaces/${namespace}/${resource.name}` : `${group}/${resource.name}`;
  }
}

export const runLabelKey = 'cdk8s-prefect/test-run';
