import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const PYTHON = [join(__dirname, '../../scripts/with-python.mjs')];

test.each(['oracle', 'dask-2024'])(
  'a scheduler ends when its flow has gone, although a client of a worker is connected: %s',
  (environment) => {
    const args = [...PYTHON, environment, 'python3', '-B', join(__dirname, 'dask_scheduler.py')];
    const env = { ...process.env, CLIENT_TIMEOUT: '2', FIRST_CLIENT_TIMEOUT: '60', PYTHONWARNINGS: 'ignore' };
    const output = execFileSync(process.execPath, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    expect(JSON.parse(output.trim().split('\n').pop() ?? '')).toEqual({ result: 2, connected: true, ended: 0 });
  },
);
