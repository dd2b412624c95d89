import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './documents';

const ACTIONLINT = 'github.com/rhysd/actionlint/cmd/actionlint@v1.7.12';
const workflows = join(root, '.github/workflows');

test('the workflows of GitHub are well-formed', () => {
  execFileSync('go', ['run', ACTIONLINT], { cwd: root, stdio: 'pipe' });
});

test('they run what CI runs elsewhere, and scripts that exist', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const texts = readdirSync(workflows).map((file) => readFileSync(join(workflows, file), 'utf8'));
  const named = texts.flatMap((text) => [...text.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name as string));
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
  expect(texts.join()).toContain('.ci/run');
});
