import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Document, root } from '../docs/documents';
import { stepsOf } from '../docs/walkthrough';
import { Cluster } from './harness/cluster';
import { getEnvironment } from './harness/environment';
import { API_KEY, Prefect } from './prefect';

const cluster = new Cluster();
const onCluster = cluster.testWith('hostAddress');

// What needs no cluster, test/package/new-user.test.ts does as it is written.
onCluster('the tutorial ends in a finished flow run', async () => {
  const { kubectl, kubeconfig } = getEnvironment();
  // In the repository, where the packages are that the tutorial installs.
  mkdirSync(join(root, 'build'), { recursive: true });
  const folder = mkdtempSync(join(root, 'build/tutorial-'));
  const prefect = await Prefect.start(cluster);
  const env = {
    ...process.env,
    // Of a new user: Prefect keeps there who is signed in.
    HOME: folder,
    PATH: [dirname(kubectl), process.env.PATH].join(delimiter),
    KUBECONFIG: kubeconfig,
    PREFECT__CLOUD__API: prefect.url,
    PREFECT__CLOUD__API_KEY: API_KEY,
    CDK8S_OUTDIR: join(folder, 'dist'),
  };
  const type = async (command: string) => (await promisify(execFile)('bash', ['-euc', command], { cwd: folder, env })).stdout;
  const typed: string[] = [];
  try {
    for (const step of stepsOf(new Document('docs/tutorial.md'))) {
      if ('file' in step) {
        writeFileSync(join(folder, step.file), step.text);
      } else if (step.command === 'npx tsx main.ts') {
        execFileSync(process.execPath, ['--import', 'tsx', join(folder, 'main.ts')], { cwd: root, env, stdio: 'pipe' });
      } else if (/^(kubectl|prefect) /.test(step.command)) {
        const printed = await type(step.command);
        typed.push(step.command);
        if (step.command.startsWith('prefect run ')) expect(printed).toMatch(/Hello, Kubernetes[\s\S]*Flow run succeeded!\n$/);
      }
    }
    expect(prefect.server.runs()).toMatchObject([{ state: 'Success', flow: { name: 'hello', project: { name: 'tutorial' } } }]);
    expect(typed.at(-1)).toBe('kubectl delete namespace prefect');
  } finally {
    // Only what was made here: a namespace that was there before has made the first command fail.
    if (typed.length > 0) await cluster.kubectl(['delete', 'namespace', 'prefect', '--ignore-not-found', '--wait=false']);
    await prefect.stop();
    rmSync(folder, { recursive: true });
  }
});
