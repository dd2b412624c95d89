import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const imports = join(__dirname, '../imports');
const files = readdirSync(imports).filter((file) => file.endsWith('.ts'));

test.each(files)('%s is what cdk8s import makes of its CRDs', (file) => {
  const output = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
  try {
    const crds = join(imports, 'crds', file.replace(/\.ts$/, '.yaml'));
    execFileSync('npx', ['cdk8s', 'import', crds, '--language', 'typescript', '--output', output, '--no-save', '--no-check-upgrade']);
    expect(readFileSync(join(imports, file), 'utf8')).toBe(readFileSync(join(output, file), 'utf8'));
  } finally {
    rmSync(output, { recursive: true });
  }
});

test('the README names the version of cdk8s-cli that is installed', () => {
  const { version } = require('cdk8s-cli/package.json');
  expect(readFileSync(join(imports, 'README.md'), 'utf8')).toContain(`cdk8s-cli ${version}`);
});
