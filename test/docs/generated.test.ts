import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './documents';

const folder = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
beforeAll(() => execFileSync(process.execPath, [join(root, 'scripts/docs.mjs'), folder]));
afterAll(() => rmSync(folder, { recursive: true }));

test.each(['API.md', 'docs/compatibility.md'])('%s is what `npm run docs` writes', (file) => {
  const [inGit, now] = [root, folder].map((where) => readFileSync(join(where, file), 'utf8'));
  expect(inGit).toBe(now);
});
