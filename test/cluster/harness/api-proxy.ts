import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

/** A `kubectl proxy`: it signs in as the kubeconfig says, in any way that kubectl can, so that the tests need not. */
export interface ApiProxy {
  readonly socket: string;
  stop(): Promise<void>;
}

export async function startApiProxy(kubectl: string, kubeconfig: string): Promise<ApiProxy> {
  // In a directory of this user alone: whoever can open the socket is signed in.
  const socket = join(mkdtempSync(join(tmpdir(), 'cdk8s-prefect-')), 'api.sock');
  const child = spawn(kubectl, ['proxy', '--unix-socket', socket], {
    env: { ...process.env, KUBECONFIG: kubeconfig },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const kill = () => child.kill();
  process.once('exit', kill);
  const ended = once(child, 'exit').catch((error) => [error]);
  const ready = once(createInterface(child.stdout), 'line').then(() => undefined);
  const problem = await Promise.race([ready, ended]);
  if (problem) throw new Error(`kubectl proxy for ${kubeconfig} did not start: ${problem[0]}`);
  return {
    socket,
    async stop() {
      process.off('exit', kill);
      kill();
      await ended;
      rmSync(dirname(socket), { recursive: true, force: true });
    },
  };
}
