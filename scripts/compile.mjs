// Compiles the library with jsii into build/ and puts what it reads beside the JavaScript.
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

// reserved-word: C# is no target, and "namespace" is the word of Kubernetes and Prefect.
rmSync('build', { recursive: true, force: true });
const { status } = spawnSync(
  'jsii',
  ['--tsconfig', 'tsconfig.lib.json', '--validate-tsconfig', 'minimal', '--silence-warnings', 'reserved-word'],
  { stdio: 'inherit' },
);
if (status !== 0) process.exit(status ?? 1);
cpSync('lib/python', 'build/lib/python', { recursive: true, filter: (path) => !path.includes('__pycache__') });
cpSync('lib/fleet.schema.json', 'build/lib/fleet.schema.json');

// The README is PyPI's page too, from where only whole links lead to this repository.
const { version, author } = JSON.parse(readFileSync('package.json', 'utf8'));
const assembly = JSON.parse(readFileSync('.jsii', 'utf8'));
assembly.readme.markdown = assembly.readme.markdown.replace(/\]\((?![a-z]+:|#)/g, `](${author.url}/blob/v${version}/`);
writeFileSync('.jsii', JSON.stringify(assembly));
