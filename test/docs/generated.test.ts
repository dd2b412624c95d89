import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './documents';

const folder = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('the table of props is that of the API', () => {
  const file = join(folder, 'props-table.ts');
  execFileSync(process.execPath, [join(root, 'scripts/props-table.mjs'), file]);
  expect(readFileSync(join(root, 'lib/kubernetes/_props-table.ts'), 'utf8')).toBe(readFileSync(file, 'utf8'));
  rmSync(file);
});

test('API.md, docs/compatibility.md and the Python of each page are what `npm run docs` writes', () => {
  execFileSync(process.execPath, [join(root, 'scripts/docs.mjs'), folder], { stdio: 'pipe' });
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => statSync(join(folder, file)).isFile());
  expect(files).toEqual(expect.arrayContaining(['API.md', 'docs/compatibility.md', 'docs/tutorial.md']));
  for (const file of files) {
    const [inGit, now] = [root, folder].map((where) => readFileSync(join(where, file), 'utf8'));
    expect(inGit).toBe(now);
  }
});
