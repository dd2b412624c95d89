import { execFileSync } from 'node:child_process';
import { PrefectAgent, StockPrefectAgent } from '../../lib';
import { Gate } from './gate';
import type { KubeObject } from './harness/api-server';
import { Cluster } from './harness/cluster';
import { API_KEY, agentReady, createKey, jobsOf, Prefect, synth } from './prefect';

const cluster = new Cluster();
const onCluster = cluster.testWith('hostAddress');

onCluster(
  'from the install of the CLI, over the same from code without a change, to the hardened agent, under a running flow',
  async () => {
    const prefect = await Prefect.start(cluster);
    const ns = await cluster.createNamespace();
    const objects = () =>
      Promise.all(['deployment', 'role', 'rolebinding', 'serviceaccount'].map((kind) => ns.list(kind))).then((lists) => lists.flat());
    const names = async () => (await objects()).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    const revisions = async () => (await objects()).map(({ metadata }) => metadata.resourceVersion);
    /** Both agents would be seen by name: the stock one has Prefect's default. */
    const called = (name: string) => {
      const ids = prefect.server.agents.filter((agent) => agent.name === name).map(({ id }) => id);
      return prefect.server.calls.filter(({ agentId }) => agentId !== undefined && ids.includes(agentId));
    };

    try {
      const flags = ['--api', prefect.url, '--key', API_KEY, '--label', 'kube', '--rbac', '--namespace', ns.name];
      await ns.apply(execFileSync('prefect', ['agent', 'kubernetes', 'install', ...flags], { encoding: 'utf8' }));
      await ns.eventually(() => expect(called('agent').length).toBeGreaterThan(0));

      const stock = synth(ns, (chart) => {
        new StockPrefectAgent(chart, 'Agent', { api: prefect.url, key: API_KEY, labels: ['kube'], rbac: true, namespace: ns.name });
      });
      expect(await ns.diff(stock)).toBe('');
      // What Kubernetes itself says of a Deployment changes with its pods, so only objects that are ready are compared.
      await agentReady(ns);
      const before = await revisions();
      await ns.apply(stock);
      expect(await revisions()).toEqual(before);

      const gate = await Gate.start(cluster);
      const run = prefect.schedule('slow', { labels: ['kube'], parameters: { seconds: 0, gate: gate.url } });
      await ns.eventually(() => expect(prefect.server.run(run).state).toBe('Running'));
      await createKey(ns);
      const hardened = synth(ns, (chart) => new PrefectAgent(chart, 'Agent', { api: prefect.api, labels: ['kube'], name: 'hardened' }));
      await ns.apply(hardened as KubeObject[]);
      await ns.kubectl(['rollout', 'status', 'deployment/prefect-agent', '--timeout=600s']);

      expect(called('agent').at(-1)?.at.getTime()).toBeLessThan(called('hardened')[0]?.at.getTime() ?? 0);
      expect(await names()).toEqual([
        'Deployment prefect-agent',
        'Role prefect-agent-rbac',
        'RoleBinding prefect-agent-rbac',
        'ServiceAccount default',
        'ServiceAccount prefect-agent',
      ]);
      expect((await ns.get('rolebinding', 'prefect-agent-rbac')).subjects).toEqual([
        { kind: 'ServiceAccount', name: 'prefect-agent', namespace: ns.name },
      ]);
      expect(await ns.list('pods', 'app=prefect-agent')).toHaveLength(1);

      gate.open();
      await ns.eventually(() => expect(prefect.finished(run).state).toBe('Success'));
      await ns.eventually(async () => expect(await jobsOf(ns, run)).toEqual([]));
      expect(prefect.log(run).match(/waiting for 0/g)).toHaveLength(1);
    } finally {
      await prefect.stop();
      await cluster.deleteNamespaces();
    }
  },
);
