// Compiles the library with jsii into build/.
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

// reserved-word: C# is no target, and "namespace" is the word of Kubernetes and Prefect.
rmSync('build', { recursive: true, force: true });
const { status } = spawnSync(
  'jsii',
  ['--tsconfig', 'tsconfig.lib.json', '--validate-tsconfig', 'minimal', '--silence-warnings', 'reserved-word'],
  { stdio: 'inherit' },
);
if (status !== 0) process.exit(status ?? 1);
// npm would set this when it installs; jsii's runtime for Python takes files as they are packed.
chmodSync('build/lib/review/cli.js', 0o755);

// The README is PyPI's page too: in Python, without what that page does not draw, and without links into a repository that it has not.
const assembly = JSON.parse(readFileSync('.jsii', 'utf8'));
assembly.readme.markdown = assembly.readme.markdown
  .replace(/^### TypeScript\n[\s\S]*?(?=^### )/m, '')
  .replace(/^.*\n\n```mermaid\n[\s\S]*?```\n\n/m, '')
  .replace(/\[([^\]]*)\]\((?![a-z]+:)[^)]*\)/g, '$1');
writeFileSync('.jsii', JSON.stringify(assembly));
