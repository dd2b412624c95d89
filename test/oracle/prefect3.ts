import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PythonOracle, prefectOf } from './oracle';
import releases from './releases.json';

const root = join(__dirname, '../..');
export const PREFECT3 = releases.prefect3;
export const [PREFECT3_NEWEST = ''] = PREFECT3;
const PROGRAM = join(root, 'lib/worker/register_work_pool.py');

/** Python with the newest Prefect 3 (scripts/python/prefect3.txt). */
const python = execFileSync(
  process.execPath,
  [join(root, 'scripts/with-python.mjs'), 'prefect3', 'sh', '-c', 'command -v python3 && python3 -m pip freeze'],
  { encoding: 'utf8' },
);
const [interpreter = ''] = python.split('\n');
const [, newest = ''] = /^prefect==(.*)$/m.exec(python) ?? [];

/** The environment of a process of a release of Prefect 3, with a home of its own. */
function environment(release: string, home: string, env: Record<string, string> = {}): NodeJS.ProcessEnv {
  return {
    PATH: `${join(interpreter, '..')}:${process.env.PATH}`,
    HOME: home,
    PREFECT_SERVER_ANALYTICS_ENABLED: 'false',
    ...(release !== newest && { PYTHONPATH: prefectOf(release) }),
    ...env,
  };
}

/** The real worker (prefect3_oracle.py), with the settings of `env`. */
export class Prefect3Oracle extends PythonOracle {
  public constructor(release: string, env: Record<string, string>) {
    const { PREFECT_SERVER_ANALYTICS_ENABLED: _, ...rest } = environment(release, '/tmp/prefect3-oracle', env);
    super(interpreter, [join(__dirname, 'prefect3_oracle.py')], rest);
  }
}

interface Prefect3ServerOptions {
  /** The address that it listens at. */
  readonly host?: string;
  readonly services?: boolean;
}

/** A real Prefect 3 server, with SQLite. */
export class Prefect3Server {
  private readonly home = mkdtempSync(join(tmpdir(), 'prefect3-server-'));
  private process?: ChildProcess;

  /** By default without its services, which are what it does by itself. */
  public static async start(
    release: string,
    env: Record<string, string> = {},
    options: Prefect3ServerOptions = {},
  ): Promise<Prefect3Server> {
    const server = new Prefect3Server(release, await freePort(), env, options);
    await server.up();
    return server;
  }

  private constructor(
    private readonly release: string,
    private readonly port: number,
    private env: Record<string, string>,
    private readonly options: Prefect3ServerOptions,
  ) {}

  public get url(): string {
    return `http://${this.host}:${this.port}/api`;
  }

  private get host(): string {
    return this.options.host ?? '127.0.0.1';
  }

  /** Starts it with what it had, or with another environment. That takes less time than a new one, which makes its tables first. */
  public async up(env = this.env): Promise<void> {
    if (this.isUp()) throw new Error('the server runs already');
    this.env = env;
    const services = this.options.services ? [] : ['--no-services'];
    this.process = spawn(interpreter, ['-m', 'prefect', 'server', 'start', ...services, `--host=${this.host}`, `--port=${this.port}`], {
      env: environment(this.release, this.home, {
        PREFECT_SERVER_UI_ENABLED: 'false',
        PREFECT_SERVER_LOGGING_LEVEL: 'WARNING',
        ...this.env,
      }),
      stdio: 'ignore',
      detached: true,
    });
    while ((await fetch(`${this.url}/health`).catch(() => undefined))?.status === undefined) {
      if (this.process.exitCode !== null) throw new Error(`the server ended with ${this.process.exitCode}`);
      await sleep(200);
    }
  }

  public async down(): Promise<void> {
    if (!this.process?.pid || !this.isUp()) return;
    process.kill(-this.process.pid, 'SIGKILL');
    await once(this.process, 'close');
  }

  private isUp(): boolean {
    return this.process?.exitCode === null && this.process.signalCode === null;
  }

  public async stop(): Promise<void> {
    await this.down();
    rmSync(this.home, { recursive: true, force: true });
  }

  // biome-ignore lint/suspicious/noExplicitAny: each path has an answer of its own
  public async ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
    const [auth] = [this.env.PREFECT_SERVER_API_AUTH_STRING];
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        'content-type': 'application/json',
        // The server closes connections that are idle, now and then in the moment in which one is used again.
        connection: 'close',
        ...(auth && { authorization: `Basic ${Buffer.from(auth).toString('base64')}` }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    // SQLite is locked: try again.
    if (response.status === 503) {
      await sleep(200);
      return this.ask(method, path, body);
    }
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  }
}

/** What the program of a work pool answers: its exit code and what it wrote, without lines of Prefect's own. */
export interface Registered {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

/** Runs the program of a work pool (lib/worker/register_work_pool.py) as its Job does. */
export async function register(release: string, pool: object, env: Record<string, string>): Promise<Registered> {
  const home = mkdtempSync(join(tmpdir(), 'prefect3-pool-'));
  try {
    const file = join(home, 'work-pool.json');
    writeFileSync(file, JSON.stringify(pool));
    const program = spawn(interpreter, [PROGRAM, file], {
      env: environment(release, home, { PREFECT_SERVER_EPHEMERAL_ENABLED: 'false', ...env }),
    });
    let [out, error] = ['', ''];
    program.stdout.on('data', (chunk) => {
      out += chunk;
    });
    program.stderr.on('data', (chunk) => {
      error += chunk;
    });
    const [code] = await once(program, 'close');
    return { code, out: out.trim(), error: error.trim() };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** The program of a work pool, run often with the same environment, in a tenth of the time (register_oracle.py). */
export class Registrar extends PythonOracle {
  private readonly home: string;

  public constructor(release: string, env: Record<string, string>) {
    const home = mkdtempSync(join(tmpdir(), 'prefect3-registrar-'));
    super(
      interpreter,
      [join(__dirname, 'register_oracle.py'), PROGRAM],
      environment(release, home, { PREFECT_SERVER_EPHEMERAL_ENABLED: 'false', ...env }),
    );
    this.home = home;
  }

  public register(pool: object): Promise<Registered> {
    return this.ask({ pool });
  }

  public override async stop(): Promise<void> {
    await super.stop();
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** Python for `before` of a WorkerProgram: Kubernetes is a server at this port. */
export const kubernetesAt = (port: number): string =>
  [
    'from kubernetes_asyncio import client, config',
    'def load():',
    `    client.Configuration.set_default(client.Configuration(host="http://127.0.0.1:${port}"))`,
    'config.load_incluster_config = load',
  ].join('\n');

/** A program of a worker (lib/worker/program), as its pod runs it. */
export class WorkerProgram {
  readonly home = mkdtempSync(join(tmpdir(), 'prefect3-worker-'));
  log = '';
  private readonly process: ChildProcess;
  private readonly closed: Promise<unknown>;

  /** `before` is Python that runs first. */
  constructor(program: string, args: string[], env: Record<string, string>, before = '') {
    const path = join(root, 'lib/worker/program', program);
    const run = `import runpy, sys\n${before}\nsys.argv = sys.argv[1:]\nsys.path.insert(0, ${JSON.stringify(join(path, '..'))})\nrunpy.run_path(sys.argv[0], run_name="__main__")`;
    const given = args.map((arg) => arg.replace('HOME', this.home));
    this.process = spawn(interpreter, ['-B', '-c', run, path, ...given], {
      env: environment(PREFECT3_NEWEST, this.home, { PREFECT_SERVER_EPHEMERAL_ENABLED: 'false', ...env }),
    });
    for (const stream of [this.process.stdout, this.process.stderr]) stream?.on('data', (chunk) => (this.log += chunk));
    this.closed = once(this.process, 'close');
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** Ends it, if it runs. */
  async stop(): Promise<void> {
    this.kill('SIGKILL');
    await this.ended();
  }

  /** Its exit code. */
  async ended(): Promise<number | null> {
    await this.closed;
    rmSync(this.home, { recursive: true, force: true });
    return this.process.exitCode;
  }
}

/** Below those that the kernel gives to connections: until a server listens there, which takes seconds, no connection gets it. */
async function freePort(): Promise<number> {
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return freePort();
  }
  server.close();
  await once(server, 'close');
  return port;
}
