import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Chart } from 'cdk8s';
import { BaseJobTemplate, type BaseJobTemplateProps, JobVariable, Prefect3Api, WorkPool, type WorkPoolProps } from '../../lib';
import { serverOf, textOf } from '../prefect-server/listener';
import { type Manifest, only } from '../support';
import { PREFECT3, Prefect3Server, type Registered, Registrar, register } from './prefect3';

const MARKER = 'marker-of-the-auth-string';

/** The file that the Job of a work pool gives to its program. */
function pool(props: Partial<BaseJobTemplateProps> = {}, own: Partial<WorkPoolProps> = {}): Manifest {
  const chart = new Chart(new App(), 'chart', { namespace: 'prefect' });
  const api = Prefect3Api.server({ url: 'http://prefect.example:4200/api' });
  const baseJobTemplate = new BaseJobTemplate(chart, 'Template', { api, ...props });
  new WorkPool(chart, 'Pool', { name: 'k8s', baseJobTemplate, ...own });
  return JSON.parse(only('ConfigMap', chart.toJson()).data['work-pool.json']);
}

const ok = (out: string) => ({ code: 0, out, error: '' });
const refused = (reason: string | RegExp): object => ({
  code: 1,
  out: '',
  error: typeof reason === 'string' ? `work pool k8s: not registered: ${reason}` : expect.stringMatching(reason),
});

const [newest = '', ...older] = PREFECT3;

describe.each(older)('the program of a work pool, with Prefect %s', (release) => {
  test('creates, leaves alone, updates', async () => {
    const server = await Prefect3Server.start(release);
    const outcomes: Registered[] = [];
    for (const what of [pool(), pool(), pool({ image: 'registry.example/flows:43' })]) {
      outcomes.push(await register(release, what, { PREFECT_API_URL: server.url }));
    }
    await server.stop();
    expect(outcomes).toEqual(['created', 'unchanged', 'updated'].map((outcome) => ok(`work pool k8s: ${outcome}`)));
  });
});

describe('the program of a work pool', () => {
  const release = newest;
  let server: Prefect3Server;
  let registrar: Registrar;
  beforeAll(async () => {
    server = await Prefect3Server.start(release);
    registrar = new Registrar(release, { PREFECT_API_URL: server.url });
  });
  afterAll(async () => {
    await registrar.stop();
    await server.stop();
  });
  beforeEach(async () => {
    await server.ask('DELETE', '/work_pools/k8s');
  });
  const run = (what: object) => registrar.register(what);
  /** As a process of its own, with an environment of its own. */
  const runAlone = (what: object, env: Record<string, string> = {}) => register(release, what, { PREFECT_API_URL: server.url, ...env });
  const there = async () => (await server.ask('GET', '/work_pools/k8s')).body;
  const deploy = async (name: string, job_variables: object) => {
    const { id } = (await server.ask('POST', '/flows/', { name: 'flow' })).body;
    const made = await server.ask('POST', '/deployments/', { name, flow_id: id, work_pool_name: 'k8s', job_variables });
    expect([200, 201]).toContain(made.status);
  };

  test('creates, leaves alone, updates', async () => {
    const first = pool();
    expect(await run(first)).toEqual(ok('work pool k8s: created'));
    expect(await there()).toMatchObject({ type: 'kubernetes', base_job_template: first.base_job_template });
    expect(await run(first)).toEqual(ok('work pool k8s: unchanged'));
    const second = pool({ image: 'registry.example/flows:43' });
    expect(await run(second)).toEqual(ok('work pool k8s: updated'));
    expect((await there()).base_job_template).toEqual(second.base_job_template);
  });

  test('changes nothing else of a paused and limited pool', async () => {
    await run(pool());
    const settings = { is_paused: true, concurrency_limit: 3, description: 'ours' };
    expect((await server.ask('PATCH', '/work_pools/k8s', settings)).status).toBe(204);
    expect(await run(pool({ image: 'registry.example/flows:43' }))).toEqual(ok('work pool k8s: updated; it is paused, so its runs wait'));
    expect(await there()).toMatchObject(settings);
    expect(await run(pool({ image: 'registry.example/flows:43' }))).toEqual(ok('work pool k8s: unchanged; it is paused, so its runs wait'));
    expect(await there()).toMatchObject(settings);
  });

  test('two at once', async () => {
    const outcomes = await Promise.all([runAlone(pool()), runAlone(pool())]);
    expect(outcomes.map(({ code, error }) => [code, error])).toEqual([
      [0, ''],
      [0, ''],
    ]);
    expect((await there()).base_job_template).toEqual(pool().base_job_template);
  });

  test('a pool of another type', async () => {
    await server.ask('POST', '/work_pools/', { name: 'k8s', type: 'kuberntes' });
    const before = await there();
    expect(await run(pool())).toEqual(refused('it is of type kuberntes: choose another name, or delete it'));
    expect(await there()).toEqual(before);
  });

  test('a name that Prefect keeps for itself', async () => {
    const { code, out, error } = await run({ ...pool(), name: 'Prefect-x' });
    expect([code, out]).toEqual([1, '']);
    expect(error).toMatch(/^work pool Prefect-x: not registered: the API answers 403 .*reserved for internal use\.$/);
  });

  test('a URL that is not of the API', async () => {
    expect(await runAlone(pool(), { PREFECT_API_URL: server.url.replace(/\/api$/, '') })).toEqual(
      refused(/not registered: the API answers 404/),
    );
    expect(await runAlone(pool(), { PREFECT_API_URL: '' })).toEqual(refused('PREFECT_API_URL is not set'));
  });

  test('a server that is down is not a pool that is absent', async () => {
    expect(await runAlone(pool(), { PREFECT_API_URL: 'http://127.0.0.1:9/api' })).toEqual(refused(/not registered: ConnectError: .+/));
  });

  describe('a locked template and the deployments that are there', () => {
    test('lists those that it would refuse, and changes nothing', async () => {
      await run(pool({}, { lock: false }));
      await deploy('good', { image: 'a:1' });
      await deploy('bad', { memory: '4Gi', image: 'a:1' });
      const before = await there();
      const locked = await run(pool());
      expect(locked).toEqual(
        refused(
          /not registered: 1 deployment\(s\) have job variables that the locked template refuses.*: bad \(.*\): memory\. Change them/,
        ),
      );
      expect(locked.error.split('\n')).toHaveLength(1);
      expect(await there()).toEqual(before);
      // What the API then does: the deployment is taken, and its variable ignored.
      expect(await run(pool({ image: 'b:1' }, { lock: false }))).toEqual(ok('work pool k8s: updated'));
    });

    test('also values that a new rule refuses, without repeating them', async () => {
      await run(pool());
      await deploy('bad', { image: 'docker.example/secret-path:1' });
      const stricter = await run(pool({ jobVariables: { image: JobVariable.string({ pattern: '^registry\\.example/' }) } }));
      expect(stricter).toEqual(refused(/: bad \(.*\): image\. Change them/));
      expect(stricter.error).not.toContain('secret-path');
    });

    test('looks at every page of them', async () => {
      await run(pool({}, { lock: false }));
      for (let i = 0; i < 201; i++) await deploy(`d${i}`, i < 200 ? {} : { memory: '4Gi' });
      // They come by name or by time: whichever page has it.
      expect(await run(pool())).toEqual(refused(/: d200 \(.*\): memory\. Change them/));
    });
  });

  describe('a template that the API takes, and of which no run starts', () => {
    const valid = pool();
    const changed = (change: (template: Manifest) => void) => {
      const copy = structuredClone(valid);
      change(copy.base_job_template);
      return copy;
    };
    const podOf = (template: Manifest) => template.job_configuration.job_manifest.spec.template.spec;
    const cases: [string, object, RegExp][] = [
      [
        'a container of another name',
        changed((t) => (podOf(t).containers[0].name = 'flow')),
        /containers\/0\/name must have value 'prefect-job'/,
      ],
      ['a pod that is restarted', changed((t) => (podOf(t).restartPolicy = 'OnFailure')), /restartPolicy must have value 'Never'/],
      [
        'no counters',
        changed((t) => {
          delete t.job_configuration.job_manifest.spec.completions;
          delete t.job_configuration.job_manifest.spec.parallelism;
        }),
        /Job is missing required attributes at the following paths: .*completions/,
      ],
      ['no job_manifest', changed((t) => delete t.job_configuration.job_manifest), /job_configuration has no job_manifest/],
      ['a job_manifest that is none', changed((t) => (t.job_configuration.job_manifest = 'x')), /job_configuration has no job_manifest/],
      ['an unknown key', changed((t) => (t.job_configuration.jobManifest = {})), /keys that no worker reads: jobManifest/],
      ['an unused variable', changed((t) => (t.variables.properties.memory = { type: 'string' })), /change nothing.*: memory$/],
      [
        'a default of null',
        changed((t) => (t.variables.properties.image = { type: 'string', default: null })),
        /the default null is not of the type of its job variable: image/,
      ],
      ['nothing', { name: 'k8s', base_job_template: {} }, /the template needs job_configuration and variables/],
    ];
    test.each(cases)('%s', async (_name, template, reason) => {
      const outcome = await run(template);
      expect(outcome).toEqual(refused(reason));
      expect(outcome.error.split('\n')).toHaveLength(1);
      expect((await server.ask('GET', '/work_pools/k8s')).status).toBe(404);
      // It is the API's own judgement that makes the check needed.
      const { base_job_template } = template as Manifest;
      expect((await server.ask('POST', '/work_pools/', { name: 'k8s', type: 'kubernetes', base_job_template })).status).toBe(201);
    });
  });

  test('an image without prefect-kubernetes, or with one that makes other Jobs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'prefect3-old-'));
    const info = join(folder, 'prefect_kubernetes-0.7.12.dist-info');
    mkdirSync(info);
    writeFileSync(join(info, 'METADATA'), 'Metadata-Version: 2.1\nName: prefect-kubernetes\nVersion: 0.7.12\n');
    const old = await runAlone(pool(), { PYTHONPATH: folder });
    rmSync(folder, { recursive: true });
    expect(old).toEqual(refused('the image has prefect-kubernetes 0.7.12: 0.8 or newer is needed'));
  });

  test('a wrong auth string, and the right one, of which it never speaks', async () => {
    await server.down();
    await server.up({ PREFECT_SERVER_API_AUTH_STRING: `admin:${MARKER}` });
    const outcomes: Registered[] = [];
    for (const auth of [`wrong:${MARKER}`, `admin:${MARKER}`]) outcomes.push(await runAlone(pool(), { PREFECT_API_AUTH_STRING: auth }));
    await server.down();
    await server.up({});
    expect(outcomes).toEqual([refused(/not registered: the API answers 401/), ok('work pool k8s: created')]);
    expect(JSON.stringify(outcomes)).not.toContain(MARKER);
  });

  test('a server that restarts in the middle: it fails, or is done, and the next run is right', async () => {
    // The server goes away between two requests of the program.
    let requests = 0;
    let restarted: Promise<void> | undefined;
    const relay = await relayTo(server.url, async () => {
      requests += 1;
      if (requests === 2) {
        await server.down();
        restarted = server.up();
      }
    });
    const during = await runAlone(pool(), { PREFECT_API_URL: relay.url, PREFECT_CLIENT_MAX_RETRIES: '0' });
    relay.server.close();
    await restarted;
    const after = await run(pool());
    expect(during).toEqual(refused(/not registered: /));
    expect(during.error.split('\n')).toHaveLength(1);
    expect(after.code).toBe(0);
    expect((await there()).base_job_template).toEqual(pool().base_job_template);
  });
});

/** Passes requests on, after `before` each. */
async function relayTo(url: string, before: () => Promise<void>): Promise<{ url: string; server: Server }> {
  const server = serverOf(async (request, response) => {
    await before();
    const body = await textOf(request);
    try {
      const answer = await fetch(url.replace(/\/api$/, '') + request.url, {
        method: request.method,
        headers: { 'content-type': 'application/json' },
        body: body || undefined,
      });
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
    } catch {
      response.destroy();
    }
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}/api`, server };
}
