// The programs that have no Debian package, built from their published Go modules, pinned by the go.mod and go.sum in test/cluster/modules.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { lastLines, outcomeOf, run, Unavailable } from '../run';
import { home, testDir } from './layout';

/** The folder of each module's programs. */
export interface Binaries {
  readonly kubernetes: string;
  readonly oldest: string;
  readonly coredns: string;
  readonly crane: string;
  readonly pause: string;
}

/** One after the other: each build keeps all cores busy by itself. */
export const buildBinaries = async (): Promise<Binaries> => ({
  crane: await build('crane', '1 minute'),
  pause: await build('pause', '10 seconds'),
  coredns: await build('coredns', '2 minutes'),
  kubernetes: await build('kubernetes-1.37', '10 minutes'),
  oldest: await build('kubernetes-1.27', '5 minutes'),
});

/** Not among the others, since nothing of a cluster that runs is made from it. */
export const buildPolicyAgent = async (): Promise<string> => join(await build('netpol', '2 minutes'), 'netpol');

// Static: nothing of this machine's C library goes in, and no C compiler is needed.
const settings = { CGO_ENABLED: '0', GOFLAGS: '-mod=readonly -trimpath', GOWORK: 'off' };

const build = (name: string, duration: string): Promise<string> => buildModule(join(testDir, 'modules', name), duration);

/** The folder of the programs of a Go module of ours, built if its files have changed. */
export async function buildModule(source: string, duration: string): Promise<string> {
  const name = basename(source);
  const files = readdirSync(source).sort();
  const linkerFlags = ['-s', '-w', ...versionFlags(source)].join(' ');
  const hash = createHash('sha256').update(JSON.stringify([settings, linkerFlags]));
  for (const file of files) hash.update(file).update(readFileSync(join(source, file)));
  const target = join(home, 'bin', `${name}-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(target)) return target;

  console.error(`building ${name} from its Go modules (about ${duration} the first time)`);
  const env = { ...process.env, ...settings };
  const download = await outcomeOf('go', ['mod', 'download'], { cwd: source, env });
  if (download.code !== 0) throw new Unavailable(`the Go modules of ${source} could not be downloaded: ${lastLines(download.stderr, 5)}`);

  // A folder of our own with a main.go is the program; else go.mod lists the programs as tools.
  const programs = files.includes('main.go') ? '.' : 'tool';
  const partial = `${target}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  await run('go', ['build', '-ldflags', linkerFlags, '-o', `${partial}/`, programs], { cwd: source, env });
  renameSync(partial, target);
  return target;
}

/** Kubernetes' programs are told their version by the linker, as in its own builds; else they take themselves for v0.0.0. */
function versionFlags(source: string): string[] {
  const required = /\tk8s\.io\/kubernetes (v(\d+)\.(\d+)\.\d+)/.exec(readFileSync(join(source, 'go.mod'), 'utf8'));
  if (!required) return [];
  const [, gitVersion, gitMajor, gitMinor] = required;
  return ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((path) =>
    Object.entries({ gitVersion, gitMajor, gitMinor }).map(([variable, value]) => `-X ${path}.${variable}=${value}`),
  );
}
