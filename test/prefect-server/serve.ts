// Serves the stand-in for Prefect Server, for the tutorial: npm run prefect-server [-- --port PORT]
import { networkInterfaces } from 'node:os';
import { parseArgs } from 'node:util';
import { FakePrefectServer } from './fake-prefect-server';

const { values } = parseArgs({ options: { port: { type: 'string', default: '4200' } } });
const server = new FakePrefectServer();

// Whoever has read where it listens may stop reading: it serves on.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

async function main() {
  await server.start({ host: '0.0.0.0', port: Number(values.port) });
  const addresses = Object.values(networkInterfaces()).flatMap((all = []) =>
    all.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address),
  );
  console.log('A stand-in for Prefect Server, for tutorials and tests. It keeps everything in memory, until Ctrl+C.');
  console.log('It has no user interface and no password: run it only on a network that you trust. Its addresses:\n');
  for (const address of ['localhost', ...addresses]) console.log(`  http://${address}:${server.port}`);
  // For a program that has started it and does not read what is for people.
  process.send?.(server.port);
}

main();
