import { DebugConfig, LogLevel, PrefectAgent } from '../../lib';
import { synthApp } from '../apps';
import { Cluster } from './harness/cluster';
import type { Namespace } from './harness/namespace';
import { agentPod, agentReady, createKey, install, jobsOf, Prefect, processEnded, synth } from './prefect';

const cluster = new Cluster();
const onCluster = cluster.testWith('hostAddress');
let prefect: Prefect;
beforeEach(async () => {
  prefect = await Prefect.start(cluster);
});
afterEach(async () => {
  await prefect.stop();
  await cluster.deleteNamespaces();
});

onCluster('the agent of main.ts runs a flow to Success, deletes its Job, and leaves runs of other labels alone', async () => {
  const ns = cluster.existingNamespace('default');
  const manifests = synthApp('main.ts', { PREFECT__CLOUD__API: prefect.url });
  await createKey(ns);
  await ns.apply(manifests);
  try {
    await agentReady(ns);
    const ours = prefect.schedule('quick', { labels: ['kube'] });
    const others = [prefect.schedule('quick', { labels: ['gpu'] }), prefect.schedule('quick', { labels: ['kube', 'gpu'] })];
    await ns.eventually(() => expect(prefect.finished(ours).state).toBe('Success'));
    expect(prefect.states(ours)).toEqual(['Scheduled', 'Submitted', 'Running', 'Success']);
    await ns.eventually(async () => expect(await jobsOf(ns, ours)).toEqual([]));
    expect(others.map((id) => prefect.states(id))).toEqual([['Scheduled'], ['Scheduled']]);
  } finally {
    await ns.kubectl(['delete', '--filename', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests }));
    await ns.delete('secret', 'prefect-api-key');
  }
});

onCluster('DebugConfig: DEBUG in the log of the agent, its level in that of the flow; a change restarts the agent', async () => {
  const ns = await cluster.createNamespace({ podSecurity: 'restricted' });
  const withLevels = (level: LogLevel, flowLevel: LogLevel) =>
    synth(ns, (chart) => {
      const debug = new DebugConfig(chart, 'Debug', { level, flowLevel });
      new PrefectAgent(chart, 'Agent', { api: prefect.api, debug });
    });
  const debugged = async () => {
    await agentReady(ns);
    const run = prefect.schedule('quick');
    await ns.eventually(() => expect(prefect.finished(run).state).toBe('Success'));
    await processEnded(ns, run);
    const pod = await agentPod(ns);
    return [(await ns.logs(pod.metadata.name as string)).includes('DEBUG - agent'), prefect.log(run).includes('a line at DEBUG')];
  };

  await createKey(ns);
  await ns.apply(withLevels(LogLevel.DEBUG, LogLevel.INFO));
  expect(await debugged()).toEqual([true, false]);
  const first = await agentPod(ns);
  await ns.apply(withLevels(LogLevel.INFO, LogLevel.DEBUG));
  await ns.kubectl(['rollout', 'status', 'deployment/prefect-agent', '--timeout=600s']);
  expect((await agentPod(ns)).metadata.uid).not.toBe(first.metadata.uid);
  expect(await debugged()).toEqual([false, true]);
});

onCluster('two agents under names of their own, side by side: each takes its runs, in a namespace of flows alone', async () => {
  const [ns, flows] = await Promise.all([
    cluster.createNamespace({ podSecurity: 'restricted' }),
    cluster.createNamespace({ podSecurity: 'restricted' }),
  ]);
  await Promise.all([createKey(ns), createKey(flows)]);
  await Promise.all([
    install(ns, prefect, { name: 'first', labels: ['a'], flowNamespace: flows.name }),
    install(ns, prefect, { name: 'second', labels: ['b'], flowNamespace: flows.name, resourceName: 'second-agent' }),
  ]);
  expect(prefect.server.agents.map(({ name }) => name).sort()).toEqual(['first', 'second']);
  const runs = { first: prefect.schedule('quick', { labels: ['a'] }), second: prefect.schedule('quick', { labels: ['b'] }) };
  for (const [name, id] of Object.entries(runs)) {
    await flows.eventually(() => expect(prefect.finished(id).state).toBe('Success'));
    expect(prefect.server.logs(id).find(({ message }) => message?.startsWith('Submitted for execution'))?.name).toBe(name);
  }
  expect(await ns.list('jobs')).toEqual([]);
});

describe('signs of life', () => {
  let ns: Namespace;
  const restarts = async () => (await agentPod(ns)).status.containerStatuses[0].restartCount;
  const inAgent = async (script: string) => {
    const { code, stderr } = await ns.exec((await agentPod(ns)).metadata.name as string, ['sh', '-c', script]);
    expect([code, stderr]).toEqual([0, '']);
  };
  beforeEach(async () => {
    ns = await cluster.createNamespace({ podSecurity: 'restricted' });
  });

  onCluster('an agent whose loop is blocked is restarted, and polls again', async () => {
    await install(ns, prefect);
    // A stopped process is as blocked as can be; the sign is made as old as it would be five minutes on.
    // (The brackets keep the pattern from matching this very command.)
    await inAgent('pkill -STOP -f [l]auncher.py && touch -d "-6 minutes" /tmp/alive');
    await ns.eventually(async () => expect(await restarts()).toBe(1));
    const run = prefect.schedule('quick', { labels: ['kube'] });
    await ns.eventually(() => expect(prefect.finished(run).state).toBe('Success'));
  });

  onCluster('an agent that Prefect does not answer is not ready, and not restarted for it', async () => {
    await install(ns, prefect);
    await prefect.server.pause();
    await inAgent('touch -d "-6 minutes" /tmp/polled');
    await ns.eventually(async () => expect((await ns.get('deployment', 'prefect-agent')).status.readyReplicas).toBeUndefined());
    await prefect.server.resume();
    await agentReady(ns);
    expect(await restarts()).toBe(0);
  });

  onCluster('SIGTERM ends the agent in good order', async () => {
    await install(ns, prefect);
    await inAgent('kill -TERM 1');
    const ended = await ns.eventually(async () => {
      const { terminated } = (await agentPod(ns)).status.containerStatuses[0].lastState;
      expect(terminated).toBeDefined();
      return terminated;
    });
    expect(ended.exitCode).toBe(0);
  });

  onCluster('a Secret without a key is said in the log', async () => {
    await createKey(ns, '');
    await ns.apply(synth(ns, (chart) => new PrefectAgent(chart, 'Agent', { api: prefect.api })));
    await ns.eventually(async () => {
      const pod = await agentPod(ns);
      const log = await ns.logs(pod.metadata.name as string);
      expect(log).toContain('/etc/prefect/api-key/key is empty: put the Prefect API key into the Secret that is mounted there');
    });
  });
});
