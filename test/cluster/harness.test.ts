// The harness' own proof: what the other cluster tests rely on is so.
import { appendFileSync, mkdtempSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubeObject } from './harness/api-server';
import { AuditLog } from './harness/audit-log';
import { Cluster } from './harness/cluster';
import { eventually } from './harness/eventually';
import type { Namespace } from './harness/namespace';
import { EX_UNAVAILABLE, outcomeOf } from './harness/run';

const prefect = 'prefecthq/prefect:1.4.1';
const cluster = new Cluster();
let ns: Namespace;

beforeAll(async () => {
  ns = await cluster.createNamespace();
});

const podOf = (container: object, spec: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'pod' },
  spec: { containers: [{ name: 'main', image: prefect, ...container }], ...spec },
});

describe('the node', () => {
  test('is Ready', async () => {
    const [node] = await cluster.list('nodes');
    expect(node.status.conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True' }));
  });

  test('gives pods the DNS of the cluster', async () => {
    const lookup = 'import socket; print(socket.gethostbyname("kubernetes.default"))';
    const { log } = await ns.runPod('dns', { image: prefect, args: ['python3', '-c', lookup] });
    const service = await cluster.kubectl(['get', 'service', 'kubernetes', '--output', 'jsonpath={.spec.clusterIP}']);
    expect(log.trim()).toBe(service);
  });

  cluster.testWith('hostAddress')('lets pods reach a server of the test', async () => {
    const server = createServer((socket: Socket) => socket.end('from the test'));
    await new Promise<void>((resolve) => server.listen(0, cluster.hostAddress, resolve));
    try {
      const { port } = server.address() as { port: number };
      const read = `import socket; print(socket.create_connection(("${cluster.hostAddress}", ${port})).recv(99).decode())`;
      const { log } = await ns.runPod('reach', { image: prefect, args: ['python3', '-c', read] });
      expect(log.trim()).toBe('from the test');
    } finally {
      server.close();
    }
  });

  test('cannot pull an image that nobody made', async () => {
    await ns.apply([{ ...podOf({ image: 'prefecthq/prefect:no-such-tag' }), metadata: { name: 'no-image' } }]);
    await ns.eventually(async () => {
      const { status } = await ns.get('pod', 'no-image');
      expect(['ErrImagePull', 'ImagePullBackOff']).toContain(status.containerStatuses?.[0].state.waiting.reason);
    });
    expect(await ns.kubectl(['events', '--for', 'pod/no-image'])).toMatch(/not found/);
  });

  test('runs a command in a pod, and evicts it', async () => {
    await ns.apply([{ ...podOf({ args: ['sleep', 'infinity'] }), metadata: { name: 'evicted' } }]);
    await ns.kubectl(['wait', '--for=condition=Ready', 'pod/evicted', '--timeout=600s']);
    expect(await ns.exec('evicted', ['hostname'])).toMatchObject({ code: 0, stdout: 'evicted\n' });
    await ns.evict('evicted');
    await ns.eventually(async () => expect((await ns.list('pods')).map(({ metadata }) => metadata.name)).not.toContain('evicted'));
  });
});

describe('the Prefect image', () => {
  test('runs Prefect 1.4.1 through its entrypoint, below tini', async () => {
    const show = 'prefect version && tr "\\0" " " < /proc/1/cmdline';
    const { exitCode, log } = await ns.runPod('version', { image: prefect, imagePullPolicy: 'Always', args: ['bash', '-c', show] });
    expect([exitCode, log]).toEqual([0, expect.stringMatching(/^1\.4\.1\ntini -g -- entrypoint\.sh bash/)]);
  });

  test('installs EXTRA_PIP_PACKAGES first, and ends if it cannot', async () => {
    const env = [{ name: 'EXTRA_PIP_PACKAGES', value: '--no-index no-such-package' }];
    const { exitCode, log } = await ns.runPod('pip', { image: prefect, env, args: ['prefect', 'version'] });
    expect(exitCode).toBe(1);
    expect(log).toContain('No matching distribution found for no-such-package');
    expect(log).not.toContain('1.4.1');
  });

  test.each([
    ['quick', 0, 'a line at INFO'],
    ['fail', 1, 'this flow always fails'],
  ])('holds the flow %s', async (name, expectedCode, line) => {
    const { exitCode, log } = await ns.runPod(`flow-${name}`, {
      image: `${prefect}-python3.9`,
      args: ['prefect', 'run', '--path', `/flows/${name}.py`],
    });
    expect(log).toContain(line);
    expect(exitCode).toBe(expectedCode);
  });
});

describe('the API server', () => {
  test('applies, shows differences and deletes', async () => {
    const config = (value: string): KubeObject => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'config' },
      data: { key: value },
    });
    await ns.apply([config('old')]);
    expect(await ns.diff([config('old')])).toBe('');
    expect(await ns.diff([config('new')])).toMatch(/^\+ {2}key: new$/m);
    await ns.delete('configmap', 'config');
    expect((await ns.list('configmaps')).map(({ metadata }) => metadata.name)).not.toContain('config');
  });

  test('refuses an unknown field in a strict dry run', async () => {
    const [strict] = await cluster.api.dryRun([podOf({ imagePullPolice: 'Always' })], { namespace: ns.name });
    expect(strict).toMatchObject({
      admitted: false,
      reason: expect.stringContaining('unknown field "spec.containers[0].imagePullPolice"'),
    });
    const [warned] = await cluster.api.dryRun([podOf({ imagePullPolice: 'Always' })], { namespace: ns.name, fieldValidation: 'Warn' });
    expect(warned).toMatchObject({ admitted: true, warnings: ['unknown field "spec.containers[0].imagePullPolice"'] });
    expect(await ns.outcome(['get', 'pod', 'pod'])).toMatchObject({ code: 1, stderr: expect.stringContaining('NotFound') });
  });

  test('enforces Pod Security', async () => {
    const restricted = await cluster.createNamespace({ podSecurity: 'restricted' });
    const securityContext = {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      runAsNonRoot: true,
      runAsUser: 10001,
      seccompProfile: { type: 'RuntimeDefault' },
    };
    const pods = [podOf({}), podOf({ securityContext })];
    const admissions = await cluster.api.dryRun(pods, { namespace: restricted.name });
    expect(admissions.map(({ admitted }) => admitted)).toEqual([false, true]);
    expect(admissions[0].reason).toContain('violates PodSecurity "restricted:latest"');
  });

  test('answers 3,000 dry runs, each in its place', async () => {
    const pods = Array.from({ length: 3_000 }, (_, index) => ({ ...podOf({}), metadata: { name: `pod-${index}` } }));
    const admissions = await cluster.api.dryRun(pods, { namespace: ns.name });
    expect(admissions.filter(({ admitted }) => !admitted)).toEqual([]);
    expect(admissions.map(({ stored }) => stored?.metadata.name)).toEqual(pods.map(({ metadata }) => metadata.name));
  });

  test('a request is read once its line is whole, by marks within a line too', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'audit-')), 'audit.log');
    const lineOf = (user: string) => `${JSON.stringify({ user: { username: user }, objectRef: { resource: 'pods' } })}\n`;
    const write = (text: string) => appendFileSync(file, text);
    const log = new AuditLog(file);
    const usersSince = async (mark: number) => (await log.since(mark)).map(({ user }) => user);
    write(lineOf('before') + lineOf('at the mark').slice(0, 30));
    const first = await log.mark();
    write(lineOf('at the mark').slice(30) + lineOf('after') + lineOf('late').slice(0, 30));
    expect(await usersSince(first)).toEqual(['after']);
    const second = await log.mark();
    write(lineOf('late').slice(30) + lineOf('last'));
    expect(await Promise.all([first, second, first].map(usersSince))).toEqual([
      ['after', 'late', 'last'],
      ['last'],
      ['after', 'late', 'last'],
    ]);
  });

  cluster.testWith('auditLog')('tells what a service account has asked for', async () => {
    const mark = await cluster.auditLog.mark();
    const ask = `
import kubernetes
kubernetes.config.load_incluster_config()
try: kubernetes.client.CoreV1Api().list_namespaced_pod("${ns.name}")
except kubernetes.client.ApiException as e: print(e.status)`;
    const { log } = await ns.runPod('asking', { image: prefect, args: ['python3', '-c', ask] });
    expect(log.trim()).toBe('403');
    const user = `system:serviceaccount:${ns.name}:default`;
    await eventually(async () =>
      expect(await cluster.auditLog.since(mark)).toContainEqual(
        expect.objectContaining({ user, verb: 'list', group: '', resource: 'pods', subresource: '', namespace: ns.name, code: 403 }),
      ),
    );
    const later = await cluster.auditLog.since(await cluster.auditLog.mark());
    // Other tests of the run ask too.
    expect(later.filter((request) => request.user === user)).toEqual([]);
  });
});

describe('the API server of Kubernetes 1.27', () => {
  const sidecar = podOf({}, { initContainers: [{ name: 'sidecar', image: prefect, restartPolicy: 'Always' }] });

  cluster.testWith('oldest')('tells its version', async () => {
    expect(await cluster.oldest.version()).toBe('v1.27.3');
  });

  cluster.testWith('oldest')('does not know native sidecars, which later servers admit', async () => {
    const namespace = await cluster.oldest.createNamespace();
    const [strict] = await cluster.oldest.dryRun([sidecar], { namespace });
    expect(strict).toMatchObject({
      admitted: false,
      reason: expect.stringContaining('unknown field "spec.initContainers[0].restartPolicy"'),
    });
    const [ignored] = await cluster.oldest.dryRun([sidecar], { namespace, fieldValidation: 'Ignore' });
    expect(ignored.stored?.spec.initContainers[0]).not.toHaveProperty('restartPolicy');
    expect(await cluster.api.dryRun([sidecar], { namespace: ns.name })).toMatchObject([{ admitted: true }]);
  });
});

cluster.testWith('bare')('the API server without controllers is of the same version, and keeps its objects to itself', async () => {
  expect(await cluster.bare.version()).toBe(await cluster.api.version());
  const namespace = await cluster.bare.createNamespace();
  expect((await cluster.api.request('GET', `/api/v1/namespaces/${namespace}`)).status).toBe(404);
});

describe('eventually', () => {
  test('fails with the last reason and the state of the namespace', async () => {
    const attempt = () => expect(1 + 1).toBe(3);
    const message = await ns.eventually(attempt, { timeout: 10, interval: 5 }).catch((error: Error) => error.message);
    expect(message).toMatch(/^not so after 0.01 s: .*Expected.*3.*Namespace test-.*Its events:/s);
  });
});

describe('where a cluster cannot run', () => {
  test('it says what is missing, and exits with a code of its own', async () => {
    const env = { PATH: '', CDK8S_PREFECT_CACHE: join(tmpdir(), 'never-made') };
    const { code, stderr } = await outcomeOf(process.execPath, ['--import', 'tsx', join(__dirname, 'harness/own/cli.ts'), 'up'], { env });
    expect(stderr).toMatch(/^cluster: cannot run here: .*(Go 1\.26|root|Linux).*/);
    expect(code).toBe(EX_UNAVAILABLE);
  });

  test('neither do the tests, with the same code', async () => {
    const env = { PATH: '', CDK8S_PREFECT_CACHE: join(tmpdir(), 'never-made') };
    const root = join(__dirname, '../..');
    const jest = [require.resolve('jest/bin/jest'), '--config', join(root, 'jest.cluster.config.js'), 'gitops'];
    const { code, stderr } = await outcomeOf(process.execPath, jest, { env, cwd: root });
    expect(stderr).toMatch(/The cluster tests were NOT RUN: .*(Go 1\.26|root|Linux)/);
    expect(code).toBe(EX_UNAVAILABLE);
  });
});
