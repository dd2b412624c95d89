import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from './support';

const root = join(__dirname, '..');

/** Every complete app of this repository, by its path. */
export const apps = [
  'main.ts',
  ...readdirSync(join(root, 'examples'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join('examples', file)),
].sort();

/** Runs an app as `cdk8s synth` does, in this environment, and reads what it wrote. What prepares it may change the cdk8s that it loads. */
export function synthApp(app: string, env: Record<string, string> = {}, prepare = () => {}): Manifest[] {
  const output = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
  const before = { ...process.env };
  Object.assign(process.env, env, { CDK8S_OUTDIR: output });
  try {
    jest.isolateModules(() => {
      prepare();
      require(join(root, app));
    });
    return readdirSync(output, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.yaml'))
      .sort()
      .flatMap((file) => parseAllDocuments(readFileSync(join(output, file), 'utf8')).map((document) => document.toJS()));
  } finally {
    process.env = before;
    rmSync(output, { recursive: true });
  }
}
