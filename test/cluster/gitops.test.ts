// The statements of docs/how-to/gitops.md about a namespace of kustomize, on a cluster.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Chart, Testing } from 'cdk8s';
import { FlowRunSweeper, PrefectAgent } from '../../lib';
import { Cluster } from './harness/cluster';
import { agentReady, createKey, Prefect } from './prefect';
import { SHORT } from './sweeper';

const cluster = new Cluster();
const folder = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await cluster.deleteNamespaces();
});

cluster.testWith('hostAddress')('moved by kustomize, the agent runs a flow to Success, and the sweeper completes a pass', async () => {
  const prefect = await Prefect.start(cluster);
  try {
    const ns = await cluster.createNamespace({ podSecurity: 'restricted' });
    await createKey(ns);
    const chart = new Chart(new App(), 'chart', { namespace: 'as-it-was-written' });
    new PrefectAgent(chart, 'Agent', { api: prefect.api });
    new FlowRunSweeper(chart, 'Sweeper', { api: prefect.api, ...SHORT });
    const list = { apiVersion: 'v1', kind: 'List', items: Testing.synth(chart) };
    writeFileSync(join(folder, 'prefect.yaml'), JSON.stringify(list));
    writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify({ namespace: ns.name, resources: ['prefect.yaml'] }));
    await ns.kubectl(['apply', '--kustomize', folder]);
    await agentReady(ns);
    const run = prefect.schedule('quick');
    await ns.eventually(() => expect(prefect.finished(run).state).toBe('Success'));
    await agentReady(ns, 'flow-run-sweeper');
  } finally {
    await prefect.stop();
  }
});
