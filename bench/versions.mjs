import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { version, devDependencies } = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8'));

/** What the figures depend on. */
export function versions() {
  const helm = /helm\.sh\/helm\/v3 v(\S+)/.exec(readFileSync(join(import.meta.dirname, 'modules', 'helm', 'go.mod'), 'utf8'))?.[1];
  // The copy that cdk8s brings.
  const yaml = createRequire(createRequire(import.meta.url).resolve('cdk8s'))('yaml/package.json').version;
  return {
    'cdk8s-prefect': version,
    cdk8s: devDependencies.cdk8s,
    'cdk8s-cli': devDependencies['cdk8s-cli'],
    yaml,
    node: process.versions.node,
    helm,
    prefect: '1.4.1',
  };
}
