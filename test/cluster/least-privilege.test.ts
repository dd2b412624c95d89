import { PrefectAgent } from '../../lib';
import type { KubeObject } from './harness/api-server';
import type { AuditEvent } from './harness/audit-log';
import { Cluster } from './harness/cluster';
import type { Namespace } from './harness/namespace';
import { createKey, Prefect, synth } from './prefect';
import { refused, requestsOf, right, rightsOf, single, used } from './rights';

const cluster = new Cluster();
const withAudit = cluster.testWith('auditLog');
let prefect: Prefect;
beforeEach(async () => {
  prefect = await Prefect.start(cluster);
});
afterEach(async () => {
  await prefect.stop();
  await cluster.deleteNamespaces();
});

const agentIn = (ns: Namespace) => synth(ns, (chart) => new PrefectAgent(chart, 'Agent', { api: prefect.api, labels: [ns.name] }));
const roleIn = (manifests: KubeObject[]) => manifests.find(({ kind }) => kind === 'Role') as KubeObject;

/** Lets an agent do all that agents do: run a flow, delete its Job, and look for what keeps another from starting. */
async function work(ns: Namespace, manifests: KubeObject[]): Promise<() => Promise<AuditEvent[]>> {
  const mark = await cluster.auditLog.mark();
  await createKey(ns);
  await ns.apply(manifests);
  prefect.schedule('quick', { labels: [ns.name] });
  const runConfig = { type: 'KubernetesRun', __version__: '1.4.1', labels: [], image: 'registry.example/missing:1' };
  prefect.schedule('quick', { labels: [ns.name], runConfig });
  return () => requestsOf(cluster, mark, ns.name, 'prefect-agent');
}

withAudit('an agent uses each right that it has, asks for no other, and is refused nothing', async () => {
  const ns = await cluster.createNamespace({ podSecurity: 'restricted' });
  const manifests = agentIn(ns);
  const requests = await work(ns, manifests);
  const granted = rightsOf(roleIn(manifests).rules);
  await ns.eventually(async () => expect(used(await requests())).toEqual(granted));
  expect(refused(await requests())).toEqual([]);
});

withAudit('none of its rights can be spared', async () => {
  const rights = rightsOf(roleIn(agentIn(cluster.existingNamespace('any'))).rules);
  expect(rights).toHaveLength(5);
  await Promise.all(
    rights.map(async (missing) => {
      const ns = await cluster.createNamespace({ podSecurity: 'restricted' });
      const manifests = agentIn(ns);
      const role = roleIn(manifests);
      role.rules = single(role.rules).filter((rule) => rightsOf([rule])[0] !== missing);
      const requests = await work(ns, manifests);
      const isMissed = async () => expect(refused(await requests()).map(right)).toContain(missing);
      await ns.eventually(isMissed, { interval: 2_000 });
    }),
  );
});

withAudit('what keeps an agent from listing Jobs is an error in its log, and it does not ask again at once', async () => {
  const ns = await cluster.createNamespace({ podSecurity: 'restricted' });
  const manifests = agentIn(ns);
  const role = roleIn(manifests);
  role.rules = single(role.rules).filter(({ resources, verbs }) => !(resources.includes('jobs') && verbs.includes('list')));
  const requests = await work(ns, manifests);
  const told = async () => (await ns.logs('deployment/prefect-agent')).match(/Kubernetes does not list Jobs: 403 Forbidden/g)?.length ?? 0;
  await ns.eventually(async () => expect(await told()).toBeGreaterThan(0));
  expect(refused(await requests())).toHaveLength(await told());
});
