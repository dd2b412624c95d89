import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

let server: ChildProcess | undefined;
afterEach(async () => {
  if (server?.exitCode === null && server.signalCode === null && server.kill('SIGKILL')) await once(server, 'exit');
});

test('npm run prefect-server serves on when nobody reads what it prints', async () => {
  server = fork(join(__dirname, 'serve.ts'), ['--port', '0'], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  server.stdout?.destroy();
  const ended = once(server, 'exit').then(([code]) => ({ code }));
  const told = once(server, 'message').then(([port]) => ({ port }));
  const { port } = (await Promise.race([told, ended])) as { port?: number };
  const hello = () => fetch(`http://127.0.0.1:${port}`, { method: 'POST', body: '{"query":"query { hello }"}' });
  expect((await hello()).status).toBe(200);
  expect((await hello()).status).toBe(200);
});
