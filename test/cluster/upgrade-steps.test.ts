// What the how-tos say of adopting a stock install and of going back, done as they say it, on a real API server.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Chart } from 'cdk8s';
import { ApplyMode, Manifests, PrefectAgent, PrefectApi, SecretKeyRef, StockPrefectAgent, UpgradeClass, UpgradeReview } from '../../lib';
import { chartWith } from '../support';
import { Cluster } from './harness/cluster';
import { getEnvironment } from './harness/environment';
import type { Namespace } from './harness/namespace';
import { outcomeOf } from './harness/run';

const cluster = new Cluster();
const environment = getEnvironment();
const document = readFileSync(join(__dirname, '../../docs/how-to/adopt-a-stock-install.md'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await cluster.deleteNamespaces();
});

/** One agent, as the CLI makes it and as this library does, in a namespace in which nothing may run. */
class Adoption {
  static async start(): Promise<Adoption> {
    const ns = await cluster.createNamespace();
    await ns.kubectl(['create', 'quota', 'none', '--hard=pods=0']);
    const of = (build: (chart: Chart) => void) => Manifests.of(chartWith(build, ns.name));
    const api = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://prefect.example.com' });
    return new Adoption(
      ns,
      of(
        (chart) => new StockPrefectAgent(chart, 'Agent', { key: 'k', api: 'https://prefect.example.com', rbac: true, namespace: ns.name }),
      ),
      of((chart) => new PrefectAgent(chart, 'Agent', { api })),
    );
  }

  private constructor(
    readonly ns: Namespace,
    readonly stock: Manifests,
    readonly hardened: Manifests,
  ) {}

  /** Runs a command of the how-to, which must stand there in these words, with `dist/` being some manifests. */
  async says(command: string, manifests: Manifests): Promise<{ code: number | null; stderr: string }> {
    expect(document).toContain(`\n${command}\n`);
    return this.runs(command, manifests);
  }

  async runs(command: string, manifests: Manifests): Promise<{ code: number | null; stderr: string }> {
    const file = join(folder, `${this.ns.name}.json`);
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests.all }));
    const here = command.replace('dist/', file).replace('--namespace default', `--namespace ${this.ns.name}`);
    const env = { ...process.env, KUBECONFIG: environment.kubeconfig };
    return outcomeOf('bash', ['-c', `kubectl() { "${environment.kubectl}" "$@"; }\n${here}`], { env });
  }

  async account(): Promise<string | undefined> {
    return (await this.ns.get('deployment', 'prefect-agent')).spec.template.spec.serviceAccountName;
  }
}

const PATCH =
  'kubectl patch deployment prefect-agent --namespace default --type=json ' +
  `-p '[{"op":"replace","path":"/spec/strategy","value":{"type":"Recreate"}}]'`;

test('server-side apply refuses to harden a stock install, until its strategy is patched', async () => {
  const adoption = await Adoption.start();
  const { ns, stock, hardened } = adoption;
  expect((await adoption.runs('kubectl apply --server-side -f dist/', stock)).code).toBe(0);
  const refused = await adoption.says('kubectl apply --server-side -f dist/', hardened);
  expect(refused.stderr).toContain("spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'");
  const [finding] = UpgradeReview.of(stock, hardened).findings(UpgradeClass.REFUSED);
  expect(finding).toMatchObject({ applyMode: ApplyMode.SERVER_SIDE });

  const before = (await ns.get('deployment', 'prefect-agent')).spec.template;
  expect((await adoption.says(PATCH, hardened)).code).toBe(0);
  expect((await ns.get('deployment', 'prefect-agent')).spec.template).toEqual(before);
  expect(await adoption.says('kubectl apply --server-side -f dist/', hardened)).toMatchObject({ code: 0, stderr: '' });
  const { strategy, template } = (await ns.get('deployment', 'prefect-agent')).spec;
  expect(strategy).toEqual({ type: 'Recreate' });
  expect(JSON.stringify(template)).not.toContain('PREFECT__CLOUD__API_KEY');
});

test('the command in the finding does it too', async () => {
  const adoption = await Adoption.start();
  await adoption.runs('kubectl apply --server-side -f dist/', adoption.stock);
  const [finding] = UpgradeReview.of(adoption.stock, adoption.hardened).findings(UpgradeClass.REFUSED);
  const command = (finding?.remedy ?? '').replace(/, then apply$/, '');
  expect((await adoption.runs(command, adoption.stock)).code).toBe(0);
  expect((await adoption.runs('kubectl apply --server-side -f dist/', adoption.hardened)).code).toBe(0);
});

test('back to the stock install: the account stays until it is set, and prune leaves what grants rights', async () => {
  const adoption = await Adoption.start();
  const { ns, stock, hardened } = adoption;
  await adoption.says('kubectl apply -f dist/', hardened);
  expect(await adoption.account()).toBe('prefect-agent');

  expect((await adoption.says('kubectl apply -f dist/', stock)).code).toBe(0);
  expect(await adoption.account()).toBe('prefect-agent');
  expect(UpgradeReview.of(hardened, stock).findings(UpgradeClass.AGENT_STOPS)).toHaveLength(1);
  expect((await adoption.says('kubectl set serviceaccount deployment/prefect-agent default --namespace default', stock)).code).toBe(0);
  expect(await adoption.account()).toBe('default');
  expect((await adoption.says('kubectl delete serviceaccount,networkpolicy prefect-agent --namespace default', stock)).code).toBe(0);
  const rest =
    "kubectl delete configmap --namespace default --selector 'app.kubernetes.io/instance in (prefect-agent, prefect-agent-job-template)'";
  expect((await adoption.says(rest, stock)).code).toBe(0);
  expect(await ns.list('configmaps', 'app.kubernetes.io/managed-by=cdk8s-prefect')).toEqual([]);
  // The next upgrade of the stock manifest does not bring the account back.
  await adoption.runs('kubectl apply -f dist/', stock);
  expect(await adoption.account()).toBe('default');
});

test('kubectl apply --prune deletes the kinds that a review says it deletes, and leaves the others', async () => {
  const adoption = await Adoption.start();
  const { ns, stock, hardened } = adoption;
  await adoption.runs('kubectl apply -f dist/', hardened);
  await adoption.runs('kubectl apply --prune --all --namespace default -f dist/', stock);
  const left = await ns.kubectl(['get', 'serviceaccounts,networkpolicies,configmaps', '--output', 'name']);
  const said = UpgradeReview.of(hardened, stock).findings(UpgradeClass.LEFT_BEHIND);
  expect(said).toHaveLength(4);
  for (const { object, reason } of said) {
    const name = object.replace(/^.*\//, '');
    expect([object, left.includes(`/${name}\n`)]).toEqual([object, !reason.includes('--prune deletes it')]);
  }
});
