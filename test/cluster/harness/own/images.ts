// The images that pods run, served by a registry on this machine that containerd uses for every name. No other image exists here.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lastLines, outcomeOf, run, Unavailable } from '../run';
import type { Binaries } from './binaries';
import { firstNode, home, projectDir, registryAddress, runDir, testDir } from './layout';
import { answers, start, untilReady } from './processes';

export const pauseImage = 'registry.k8s.io/pause:3.10';

/** An image of prefecthq/prefect: its tags, the packages in it, and the folder with the flows in it. */
interface PrefectImage {
  readonly tags: readonly string[];
  readonly requirements: string;
  readonly flows: string;
}
const prefectImages: readonly PrefectImage[] = [
  { tags: ['1.4.1', '1.4.1-python3.7', '1.4.1-python3.9'], requirements: 'oracle', flows: 'flows' },
  { tags: ['3.9.1-python3.11-kubernetes', '3.9.1-python3.11'], requirements: 'prefect3', flows: 'flows3' },
];

/** Every image, by the name that pods give. */
export const images = [pauseImage, ...prefectImages.flatMap(({ tags }) => tags.map((tag) => `docker.io/prefecthq/prefect:${tag}`))];

/** containerd's configuration of registries: the one on this machine stands for each, and there is no other to fall back to. */
export const registryHosts = join(runDir, 'registries');
const hostsToml = `server = "http://${registryAddress}"\n[host."http://${registryAddress}"]\n  capabilities = ["pull", "resolve"]\n`;

/** Makes the big layers of the Prefect images, in their order. */
export async function buildPrefectLayers(): Promise<string[]> {
  const layers: string[] = [];
  for (const image of prefectImages) layers.push(await buildLayer(image));
  return layers;
}

/** Makes a layer once for each content of what goes into it. */
async function buildLayer(image: PrefectImage): Promise<string> {
  const script = join(testDir, 'images', 'prefect', 'layer.sh');
  const requirements = join(projectDir, 'scripts', 'python', `${image.requirements}.txt`);
  const hash = hashOf([script, join(testDir, 'images', 'prefect', 'entrypoint.sh'), requirements]);
  const layer = join(home, 'layers', `prefect-${hash}.tar.gz`);
  if (existsSync(layer)) return layer;

  console.error(`cluster: building the image prefecthq/prefect:${image.tags[0]} (about 2 minutes)`);
  mkdirSync(join(home, 'layers'), { recursive: true });
  const env = { ...process.env, ...(await pipSettings()) };
  const { code, stderr } = await outcomeOf('unshare', ['--mount', script, requirements, layer], { env });
  if (code !== 0) throw new Unavailable(`the Prefect image could not be built from Debian's and PyPI's packages: ${lastLines(stderr, 10)}`);
  return layer;
}

/** pip's settings on this machine, from whichever file, as the environment variables that say the same. */
async function pipSettings(): Promise<NodeJS.ProcessEnv> {
  const { stdout } = await outcomeOf('python3', ['-m', 'pip', 'config', 'list']).catch(() => ({ stdout: '' }));
  const settings = [...stdout.matchAll(/^(?:global|install)\.([a-z-]+)='(.*)'$/gm)];
  return Object.fromEntries(settings.map(([, name, value]) => [`PIP_${name.toUpperCase().replaceAll('-', '_')}`, value]));
}

export function startRegistry(binaries: Binaries): Promise<void> {
  const blobs = join(home, 'registry');
  mkdirSync(blobs, { recursive: true });
  mkdirSync(join(registryHosts, '_default'), { recursive: true });
  writeFileSync(join(registryHosts, '_default', 'hosts.toml'), hostsToml);
  start('registry', join(binaries.crane, 'crane'), ['registry', 'serve', '--address', registryAddress, '--disk', blobs]);
  return untilReady('registry', () => answers(`http://${registryAddress}/v2/`));
}

/** The variables of the official images, and fewer looks of Dask at itself: an idle cluster of two pods takes a tenth of a core with its defaults. */
const variables = [
  'LC_ALL=C.UTF-8',
  'LANG=C.UTF-8',
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  'DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL=500ms',
  'DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False',
];

/** Puts the images into the registry, and from there into containerd, unless just these are there already. */
export async function publishImages(binaries: Binaries, prefectLayers: readonly string[]): Promise<void> {
  const flowsOf = ({ flows }: PrefectImage) => readdirSync(join(testDir, flows)).filter((name) => name.endsWith('.py'));
  const flows = prefectImages.flatMap((image) => flowsOf(image).map((name) => join(testDir, image.flows, name)));
  const content = `${prefectLayers.join(' ')} ${binaries.pause} ${hashOf(flows)} ${variables.join(' ')}`;
  const published = join(runDir, 'published');
  if (existsSync(published) && readFileSync(published, 'utf8') === content) return;

  const crane = (...args: string[]) => run(join(binaries.crane, 'crane'), args);
  const layerOf = async (name: string, directory: string, files: string[], below: string) => {
    const tar = join(runDir, `${name}.tar`);
    const reproducible = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0'];
    await run('tar', ['-cf', tar, '-C', directory, ...reproducible, `--transform=s,^,${below},`, ...files]);
    return tar;
  };

  const platform = ['--set-platform', `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`];
  const pause = `${registryAddress}/pause:3.10`;
  await crane('append', '--new_layer', await layerOf('pause', binaries.pause, ['pause'], ''), '--new_tag', pause);
  await crane('mutate', pause, ...platform, '--entrypoint', '/pause');

  const prefect = `${registryAddress}/prefecthq/prefect`;
  const config = [...variables.flatMap((variable) => ['--env', variable]), '--entrypoint', 'tini,-g,--,entrypoint.sh'];
  for (const [i, image] of prefectImages.entries()) {
    const base = `${registryAddress}/base:${image.requirements}`;
    const [first = '', ...others] = image.tags;
    const layer = await layerOf(image.flows, join(testDir, image.flows), flowsOf(image), 'flows/');
    await crane('append', '--new_layer', prefectLayers[i] as string, '--new_tag', base);
    await crane('mutate', base, ...platform, ...config, '--append', layer, '--tag', `${prefect}:${first}`);
    for (const tag of others) await crane('tag', `${prefect}:${first}`, tag);
  }

  // Pulled now, so that the first pod does not wait, and so that a tag that moved moves under imagePullPolicy IfNotPresent too.
  for (const image of images) {
    await run('ctr', [
      '--address',
      firstNode.containerdSocket,
      '--namespace',
      'k8s.io',
      'images',
      'pull',
      '--hosts-dir',
      registryHosts,
      image,
    ]);
  }
  writeFileSync(published, content);
}

function hashOf(files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files) hash.update(file.split('/').pop() ?? '').update(readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}
