// Starts the second node and waits to be killed: for the test of what a crash leaves.
import { getEnvironment } from '../environment';
import { SecondNode } from '.';

async function start(): Promise<void> {
  const environment = getEnvironment();
  const { secondNode } = environment;
  if (!secondNode || 'missing' in secondNode) throw new Error('there is no second node here');
  await new SecondNode(environment, { kubernetes: secondNode.path }).powerOn();
  console.log('started');
  setInterval(() => {}, 60_000);
}

start();
