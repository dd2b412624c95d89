// The cluster at the command line: cli.ts up | down | clean
import { EX_UNAVAILABLE, Unavailable } from '../run';
import { clean, down, up } from '.';
import { adminKubeconfig, home, kubectlCache, logDir } from './layout';

const commands: Record<string, () => Promise<void>> = {
  async up() {
    const { kubectl } = await up();
    console.error(`cluster: up; its logs are in ${logDir}. To look into it:`);
    console.log(`alias kubectl='KUBECONFIG=${adminKubeconfig} KUBECACHEDIR=${kubectlCache} ${kubectl}'`);
  },
  async down() {
    await down();
    console.error('cluster: down');
  },
  async clean() {
    await clean();
    console.error(`cluster: down, and ${home} is removed`);
  },
};

const command = commands[process.argv[2] ?? ''];
if (!command) {
  console.error(`usage: cli.ts ${Object.keys(commands).join(' | ')}`);
  process.exit(64);
}
command().catch((error: Error) => {
  console.error(error instanceof Unavailable ? `cluster: cannot run here: ${error.message}` : error);
  process.exit(error instanceof Unavailable ? EX_UNAVAILABLE : 1);
});
