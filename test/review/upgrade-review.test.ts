import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Chart, Size } from 'cdk8s';
import {
  AgentRbac,
  ApplyMode,
  DaskDeployMode,
  DaskWorkerPolicy,
  EnvValue,
  EvictionPolicy,
  Fleet,
  FlowJobTemplate,
  FlowRunJob,
  FlowRunSweeper,
  ImagePullPolicy,
  Manifests,
  PrefectAgent,
  type PrefectAgentOptions,
  PrefectApi,
  SecretKeyRef,
  StockPrefectAgent,
  UpgradeClass,
  type UpgradeFinding,
  UpgradeReview,
} from '../../lib';
import { PATIENCE } from '../cluster/harness/eventually';
import { pairsOfProps } from '../cluster/upgrade-review/pairs';
import { seed } from '../fast-check';
import { chartWith, type Manifest } from '../support';

const MARKER = 'pa55-Marker-9f3e';
const api = PrefectApi.server({ url: 'http://prefect:4200' });
const cloud = PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://api.prefect.example' });

const manifestsOf = (build: (chart: Chart) => void, namespace?: string) => Manifests.of(chartWith(build, namespace));
const agent = (options: PrefectAgentOptions = {}, namespace?: string) =>
  manifestsOf((chart) => {
    new PrefectAgent(chart, 'Agent', { api, ...options });
  }, namespace);
const stock = () =>
  manifestsOf((chart) => {
    new StockPrefectAgent(chart, 'Agent', { key: MARKER, labels: ['kube'], rbac: true });
  }, 'default');
const hardened = () =>
  manifestsOf((chart) => {
    new PrefectAgent(chart, 'Agent', { api: cloud, labels: ['kube'] });
  }, 'default');

/** The same manifests, changed by hand. */
function changed(manifests: Manifests, kind: string, change: (manifest: Manifest) => void): Manifests {
  const all = structuredClone(manifests.all) as Manifest[];
  for (const manifest of all) if (manifest.kind === kind) change(manifest);
  return of(all);
}
const of = (all: Manifest[]): Manifests => Object.assign(Object.create(Manifests.prototype), { all });

/** What is found of some classes, in short. */
function found(old: Manifests, next: Manifests, ...classes: UpgradeClass[]): string[] {
  return UpgradeReview.of(old, next)
    .findings()
    .filter(({ upgradeClass }) => classes.length === 0 || classes.includes(upgradeClass))
    .map(({ upgradeClass, object, path = '', reason, applyMode = '' }) =>
      [upgradeClass, object, path, reason, applyMode].filter(Boolean).join(' | '),
    );
}

describe('whole reviews', () => {
  test('from the stock install to PrefectAgent', () =>
    expect(UpgradeReview.of(stock(), hardened().withoutPrograms()).toText()).toMatchSnapshot());
  test('back', () => expect(UpgradeReview.of(hardened().withoutPrograms(), stock()).toText()).toMatchSnapshot());
  test('an image bump', () => {
    const [old, next] = [agent(), agent({ image: 'prefecthq/prefect:1.4.1-python3.10' })];
    expect(UpgradeReview.of(old, next).toText()).toMatchSnapshot();
    expect(UpgradeReview.of(old, next).toMarkdown()).toMatchSnapshot();
    expect(UpgradeReview.of(old, next).toJson()).toMatchSnapshot();
  });
  test('nothing', () => {
    const review = UpgradeReview.of(agent(), agent());
    expect(review.worst()).toBe(UpgradeClass.HARMLESS);
    expect(review.findings()).toEqual([]);
    expect(review.toText()).toContain('0 objects changed, 0 added, 0 removed');
  });
});

describe('each class', () => {
  test('needs: a Secret, a key of one, a ConfigMap, an account, a Role, and what flow runs read', () => {
    const secret = found(agent(), agent({ env: { A: EnvValue.fromSecret(SecretKeyRef.of('new', 'k')) } }), UpgradeClass.NEEDS);
    expect(secret).toEqual(['needs | Deployment prefect/prefect-agent | Secret prefect/new, key "k": is not among the manifests']);
    const keyed = (key: string) => agent({ env: { A: EnvValue.fromSecret(SecretKeyRef.of('new', key)) } });
    expect(found(keyed('k'), keyed('k'), UpgradeClass.NEEDS)).toEqual([]);
    expect(found(keyed('k'), keyed('other'), UpgradeClass.NEEDS)).toHaveLength(1);
    expect(found(agent(), agent({ serviceAccountName: 'given' }), UpgradeClass.NEEDS)).toEqual([
      'needs | Deployment prefect/prefect-agent | ServiceAccount prefect/given: is not among the manifests',
    ]);
    const bound = changed(agent(), 'RoleBinding', ({ roleRef }) => Object.assign(roleRef, { name: 'elsewhere' }));
    expect(found(agent(), bound, UpgradeClass.NEEDS)).toEqual([
      'needs | RoleBinding prefect/prefect-agent-rbac | Role prefect/elsewhere: is not among the manifests',
    ]);
    const keyOfFlows = manifestsOf((chart) => new PrefectAgent(chart, 'Agent', { api: cloud, flowNamespace: 'flows' }));
    const before = manifestsOf((chart) => new PrefectAgent(chart, 'Agent', { api, flowNamespace: 'flows' }));
    expect(found(before, keyOfFlows, UpgradeClass.NEEDS)).toEqual([
      'needs | Deployment prefect/prefect-agent | Secret prefect/prefect-api-key, key "key": is not among the manifests',
      'needs | Deployment prefect/prefect-agent | Secret flows/prefect-api-key, key "key": is not among the manifests',
    ]);
  });
  test('needs: what is no longer among the manifests and still used', () => {
    const next = of(agent().all.filter(({ kind }) => kind !== 'ServiceAccount'));
    expect(found(agent(), next, UpgradeClass.NEEDS)).toEqual([
      'needs | Deployment prefect/prefect-agent | ServiceAccount prefect/prefect-agent: is no longer among the manifests: it must not be deleted',
    ]);
  });
  test('needs: not what is optional, or in every namespace', () => {
    const next = changed(agent(), 'Deployment', ({ spec }) => {
      spec.template.spec.volumes.push({ name: 'o', secret: { secretName: 'o', optional: true } });
    });
    expect(found(agent(), next, UpgradeClass.NEEDS)).toEqual([]);
  });

  test('refused: a selector, a roleRef, an immutable ConfigMap, a Job', () => {
    const selector = changed(agent(), 'Deployment', ({ spec }) => {
      Object.assign(spec.selector.matchLabels, { b: 'c' });
      Object.assign(spec.template.metadata.labels, { b: 'c' });
    });
    expect(found(agent(), selector, UpgradeClass.REFUSED)).toEqual([
      'refused | Deployment prefect/prefect-agent | spec.selector | spec.selector is immutable',
    ]);
    const role = changed(agent(), 'RoleBinding', ({ roleRef }) => Object.assign(roleRef, { kind: 'ClusterRole', name: 'edit' }));
    expect(found(agent(), role, UpgradeClass.REFUSED)).toHaveLength(1);
    const data = changed(agent(), 'ConfigMap', (map) => map.immutable && Object.assign(map.data, { 'launcher.py': 'x' }));
    expect(found(agent(), data, UpgradeClass.REFUSED)).toEqual([expect.stringMatching(/ConfigMap .*launcher.* data is immutable/)]);
    const job = (image: string) =>
      manifestsOf((chart) => new FlowRunJob(chart, 'Run', { api, flowRunId: '1a2b3c4d-2222-3333-4444-555555555555', image }));
    expect(found(job('a:1'), job('a:2'), UpgradeClass.REFUSED)).toEqual([
      expect.stringContaining('spec.template | spec.template is immutable: image a:1 -> a:2'),
    ]);
  });
  test('refused by one way of applying alone', () => {
    const [finding] = UpgradeReview.of(stock(), hardened()).findings(UpgradeClass.REFUSED);
    expect(finding).toMatchObject({ applyMode: ApplyMode.SERVER_SIDE, path: 'spec.strategy' });
  });

  test('refused by a client-side apply alone: what does not fit into an annotation', () => {
    const large = (text: string) =>
      of([{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: { a: text.repeat(262_144) } }]);
    expect(found(large(''), large('x'), UpgradeClass.REFUSED)).toEqual([
      expect.stringMatching(/metadata\.annotations exceed .* \| client-side$/),
    ]);
  });

  test('permissions: widened, narrowed, moved', () => {
    const keeping = manifestsOf((chart) => new PrefectAgent(chart, 'Agent', { api, deleteFinishedJobs: false }));
    const all = [UpgradeClass.PERMISSIONS_WIDENED, UpgradeClass.PERMISSIONS_NARROWED, UpgradeClass.PERMISSIONS_MOVED];
    expect(found(keeping, agent(), ...all)).toEqual([
      'permissions-widened | ServiceAccount prefect/prefect-agent | may also, in prefect: delete jobs.batch',
    ]);
    expect(found(agent(), keeping, ...all)).toEqual([
      'permissions-narrowed | ServiceAccount prefect/prefect-agent | may no longer, in prefect: delete jobs.batch',
    ]);
    expect(found(stock(), hardened(), UpgradeClass.PERMISSIONS_MOVED)).toHaveLength(1);
  });
  test('permissions: rules said in another way are harmless, and so is a renamed Role', () => {
    const split = changed(agent(), 'Role', (role) => {
      role.rules = role.rules.flatMap((rule: Manifest) => rule.verbs.map((verb: string) => ({ ...rule, verbs: [verb] }))).reverse();
    });
    expect(found(agent(), split)).toEqual([]);
    expect(UpgradeReview.of(agent(), split).toJson()).toMatchObject({ summary: { changed: 1, harmless: 1 } });
  });
  test('permissions: a role that nobody here is bound to is one of which the review cannot tell', () => {
    const alone = (verbs: string[]) =>
      of([
        {
          apiVersion: 'rbac.authorization.k8s.io/v1',
          kind: 'ClusterRole',
          metadata: { name: 'r' },
          rules: [{ apiGroups: [''], resources: ['pods'], verbs }],
        },
      ]);
    expect(found(alone(['get']), alone(['get', 'list']))).toEqual([expect.stringMatching(/^cannot-tell \| ClusterRole r /)]);
  });

  test('second agent: one under another name, two replicas, rolling updates', () => {
    expect(found(agent(), agent({ resourceName: 'other' }), UpgradeClass.SECOND_AGENT)).toEqual([
      expect.stringContaining('Deployment prefect/prefect-agent | is no longer among the manifests, and runs beside the new one'),
    ]);
    const two = changed(agent(), 'Deployment', ({ spec }) => Object.assign(spec, { replicas: 2 }));
    expect(found(agent(), two, UpgradeClass.SECOND_AGENT)).toHaveLength(1);
    const rolling = changed(agent(), 'Deployment', ({ spec }) => delete spec.strategy);
    expect(found(agent(), rolling, UpgradeClass.SECOND_AGENT)).toHaveLength(1);
    expect(found(rolling, rolling)).toEqual([]);
  });
  test('agent stops: no replicas, another program, and the account of the old one kept', () => {
    const none = changed(agent(), 'Deployment', ({ spec }) => Object.assign(spec, { replicas: 0 }));
    expect(found(agent(), none, UpgradeClass.AGENT_STOPS)).toHaveLength(1);
    const other = changed(agent(), 'Deployment', ({ spec }) => Object.assign(spec.template.spec.containers[0], { args: ['sleep'] }));
    expect(found(agent(), other, UpgradeClass.AGENT_STOPS)).toHaveLength(1);
    expect(found(hardened(), stock(), UpgradeClass.AGENT_STOPS)).toEqual([expect.stringContaining('pods still run as prefect-agent')]);
  });

  test('Pod Security weakened: of an agent, of flow runs', () => {
    const privileged = changed(agent(), 'Deployment', ({ spec }) => {
      Object.assign(spec.template.spec, { hostNetwork: true });
      spec.template.spec.containers[0].securityContext = { privileged: true, capabilities: { add: ['NET_ADMIN'] } };
    });
    expect(found(agent(), privileged, UpgradeClass.POD_SECURITY_WEAKENED).map((text) => text.split(' | ')[3])).toEqual([
      'hostNetwork',
      'privileged',
      'root filesystem can be written',
      'may gain privileges',
      "keeps the runtime's capabilities",
      'capability NET_ADMIN',
    ]);
    const template = changed(agent(), 'ConfigMap', ({ data }) => {
      if (data['job.yaml']) data['job.yaml'] = data['job.yaml'].replace('runAsUser: 10001', 'runAsUser: 0');
    });
    expect(found(agent(), template, UpgradeClass.POD_SECURITY_WEAKENED)).toEqual([
      'pod-security-weakened | ConfigMap prefect/prefect-agent-job-template | ' +
        'data[job.yaml] spec.template.spec.containers[flow].securityContext.runAsUser | runs as root',
    ]);
  });

  test('running flows: another flow namespace, fewer rights, an account that goes', () => {
    const elsewhere = manifestsOf((chart) => new PrefectAgent(chart, 'Agent', { api, flowNamespace: 'flows' }));
    expect(found(agent(), elsewhere, UpgradeClass.RUNNING_FLOWS)).toEqual([
      'running-flows | Deployment prefect/prefect-agent | env[NAMESPACE] | runs get their Jobs in flows, and no agent manages those in prefect',
    ]);
    const dask = (given: boolean) =>
      manifestsOf((chart) => {
        new FlowJobTemplate(chart, 'Jobs', given ? { dask: new DaskWorkerPolicy(chart, 'Dask') } : {});
      });
    expect(found(dask(true), dask(false), UpgradeClass.RUNNING_FLOWS)).toEqual([
      expect.stringContaining('ServiceAccount prefect/prefect-job-template-dask | flow runs may use it'),
      expect.stringContaining('ServiceAccount prefect/prefect-job-template-dask | flow runs may use it'),
    ]);
  });
  test('left behind: with what prune does, and the successor of a content-named ConfigMap', () => {
    const renamed = (name: string) => of(JSON.parse(JSON.stringify(agent().all).replaceAll(/launcher-[0-9a-f]{8}/g, `launcher-${name}`)));
    expect(found(renamed('00000001'), renamed('00000002'))).toEqual([
      'left-behind | ConfigMap prefect/prefect-agent-launcher-00000001 | replaced by ConfigMap prefect-agent-launcher-00000002; kubectl apply --prune deletes it',
      'restarts | Deployment prefect/prefect-agent | spec.template | volumes[launcher].configMap.name',
    ]);
    const withoutSweeper = found(
      manifestsOf((chart) => new FlowRunSweeper(chart, 'Sweeper', { api })),
      of([]),
      UpgradeClass.LEFT_BEHIND,
    );
    expect(withoutSweeper).toContain(
      'left-behind | Role prefect/flow-run-sweeper-prefect | kubectl apply --prune leaves it, unless --prune-allowlist names Role',
    );
  });
  test('live change: replicas of anything, a budget, a policy, a mutable ConfigMap', () => {
    const policy = (ports: number[]) =>
      manifestsOf((chart) => new PrefectAgent(chart, 'Agent', { api, egress: [{ cidr: '10.0.0.0/8', ports }] }));
    expect(found(policy([1]), policy([2]))).toEqual(['live-change | NetworkPolicy prefect/prefect-agent | spec.egress']);
    const protectedJobs = manifestsOf((chart) => new FlowJobTemplate(chart, 'Jobs', { onEviction: EvictionPolicy.PROTECT }));
    const budget = changed(protectedJobs, 'PodDisruptionBudget', ({ spec }) => Object.assign(spec, { minAvailable: 1 }));
    expect(found(protectedJobs, budget)).toEqual([expect.stringMatching(/^live-change \| PodDisruptionBudget/)]);
    const namespace = (level: string) =>
      of([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n', labels: { 'pod-security.kubernetes.io/enforce': level } } }]);
    expect(found(namespace('restricted'), namespace('baseline'))).toEqual([
      'live-change | Namespace n | metadata.labels: pod-security.kubernetes.io/enforce',
    ]);
  });
  test('next run: the Job of flow runs, the Dask templates, labels of the agent', () => {
    const jobs = (gibibytes: number) =>
      manifestsOf((chart) => {
        const resources = { memoryLimit: Size.gibibytes(gibibytes), memoryRequest: Size.gibibytes(gibibytes) };
        const dask = new DaskWorkerPolicy(chart, 'Dask', { worker: { resources } });
        new FlowJobTemplate(chart, 'Jobs', { resources, dask });
      });
    expect(found(jobs(1), jobs(2)).map((text) => text.split(' | ').slice(0, 3).join(' | '))).toEqual([
      'next-run | ConfigMap prefect/prefect-job-template | data[job.yaml]',
      'next-run | ConfigMap prefect/prefect-job-template-dask | data[worker.yaml]',
    ]);
    expect(found(agent({ labels: ['a', 'b'] }), agent({ labels: ['b', 'c'] }), UpgradeClass.NEXT_RUN)).toEqual([
      'next-run | Deployment prefect/prefect-agent | labels | it takes other runs: it no longer has "a" and now has "c"',
    ]);
    expect(found(stock(), hardened(), UpgradeClass.NEXT_RUN)).toEqual([
      'next-run | Deployment default/prefect-agent | env | it uses another API or tenant: PREFECT__CLOUD__API',
    ]);
  });
  test('next run: a template that comes or goes', () => {
    const dask = (remote: boolean) =>
      manifestsOf((chart) => {
        const policy = new DaskWorkerPolicy(chart, 'Dask', { deployMode: remote ? DaskDeployMode.REMOTE : DaskDeployMode.LOCAL });
        new FlowJobTemplate(chart, 'Jobs', { dask: policy });
      });
    const of = (upgrade: string[]) => upgrade.filter((text) => text.includes('scheduler.yaml'));
    expect(of(found(dask(false), dask(true)))).toEqual([
      'next-run | ConfigMap prefect/prefect-job-template-dask | data[scheduler.yaml] | new: later runs have pods of it',
    ]);
    expect(of(found(dask(true), dask(false)))).toEqual([
      'next-run | ConfigMap prefect/prefect-job-template-dask | data[scheduler.yaml] | no longer there: later runs have no pods of it',
    ]);
  });
  test('next run: a pull policy without an image, which is filled in later', () => {
    const jobs = (imagePullPolicy?: ImagePullPolicy) => manifestsOf((chart) => new FlowJobTemplate(chart, 'Jobs', { imagePullPolicy }));
    for (const policy of [ImagePullPolicy.ALWAYS, ImagePullPolicy.IF_NOT_PRESENT]) {
      expect(found(jobs(policy), jobs())).toEqual([expect.stringContaining('containers[flow].imagePullPolicy')]);
    }
  });
  test('harmless: other words for the same', () => {
    const same = changed(agent(), 'Deployment', ({ metadata, spec }) => {
      metadata.labels.team = 'a';
      Object.assign(spec, { revisionHistoryLimit: 10, paused: false });
      const [container] = spec.template.spec.containers;
      container.resources = {
        limits: { memory: '0.5Gi', 'ephemeral-storage': 268435456 },
        requests: { cpu: 0.1, memory: '262144Ki', 'ephemeral-storage': '64Mi' },
      };
      Object.assign(spec.template.spec, { dnsPolicy: 'ClusterFirst', hostNetwork: false, tolerations: [], nodeSelector: {} });
    });
    expect(found(agent(), same)).toEqual([]);
    expect(UpgradeReview.of(agent(), same).toJson()).toMatchObject({ summary: { worst: 'harmless', changed: 1, harmless: 1 } });
  });
  test('cannot tell: a kind or a version that the review does not know, finalizers, a cloud identity', () => {
    const other = (apiVersion: string, value: number) => of([{ apiVersion, kind: 'Deployment', metadata: { name: 'd' }, spec: { value } }]);
    expect(found(other('apps.example/v1', 1), other('apps.example/v1', 2))).toEqual([expect.stringMatching(/^cannot-tell .*spec.value/)]);
    const identity = changed(agent(), 'ServiceAccount', ({ metadata }) =>
      Object.assign(metadata, { annotations: { 'iam.example/role': 'a' } }),
    );
    expect(found(agent(), identity)).toEqual([expect.stringMatching(/^cannot-tell \| ServiceAccount/)]);
    for (const kind of ['constructor', '__proto__', 'toString']) {
      expect(
        found(
          of([{ apiVersion: kind, kind, metadata: { name: 'x' }, a: 1 }]),
          of([{ apiVersion: kind, kind, metadata: { name: 'x' }, a: 2 }]),
        ),
      ).toEqual([expect.stringMatching(/^cannot-tell/)]);
    }
  });
});

describe('secrets', () => {
  const secretsOf = (next: Manifests, old = agent()) => found(old, next, UpgradeClass.SECRET_IN_CLEAR);
  const env = (name: string, value: string) => agent({ env: { [name]: EnvValue.of(value) } });

  test.each([
    ['DB_PASSWORD', MARKER],
    ['GITHUB_TOKEN', MARKER],
    ['AWS_SECRET_ACCESS_KEY', MARKER],
    ['DATABASE_URL', `postgresql://user:${MARKER}@db/x`],
    ['ANY', `-----BEGIN RSA PRIVATE KEY-----\n${MARKER}`],
    ['ANY', `AKIA${'A'.repeat(16)}`],
  ])('%s is one', (name, value) => expect(secretsOf(env(name, value))).toHaveLength(1));

  test.each([
    ['TOKEN_FILE', '/run/token-in-a-file'],
    ['API_KEY', '/etc/prefect/api-key/key'],
    ['SECRET_NAME', 'prefect-api-key-name'],
    ['MONKEY', 'chimpanzees'],
    ['PUBLIC_KEY', 'ssh-ed25519-AAAA'],
    ['DB_PASSWORD', '$(FROM_A_SECRET)'],
    ['USE_TOKEN', 'true'],
    ['DATABASE_URL', 'postgresql://db.example:5432/x'],
  ])('%s=%s is none', (name, value) => expect(secretsOf(env(name, value))).toEqual([]));

  test('nothing of ours is one, but the key of the stock install', () => {
    const ours = manifestsOf((chart) => {
      const dask = new DaskWorkerPolicy(chart, 'Dask');
      const jobTemplate = new FlowJobTemplate(chart, 'Jobs', { dask, pipIndexUrl: SecretKeyRef.of('pip', 'url') });
      new PrefectAgent(chart, 'Agent', { api: cloud, jobTemplate });
      new FlowRunSweeper(chart, 'Sweeper', { api: cloud });
      new AgentRbac(chart, 'Rbac', { resourceName: 'rbac' });
    });
    expect(secretsOf(ours, of([]))).toEqual([]);
    expect(secretsOf(stock(), of([]))).toHaveLength(2);
  });

  test('one that was there is a count, one that differs is told', () => {
    expect(secretsOf(env('DB_PASSWORD', MARKER), env('DB_PASSWORD', MARKER))).toEqual([]);
    expect(UpgradeReview.of(stock(), stock()).toText()).toContain('Secrets in clear that were there before: 2.');
    expect(secretsOf(env('DB_PASSWORD', MARKER), env('DB_PASSWORD', 'another-one'))).toEqual([
      expect.stringContaining('(hidden, differs)'),
    ]);
  });

  test('in no output is one, wherever it stands', () => {
    const places: ((manifest: Manifest, secret: string) => void)[] = [
      ({ metadata }, secret) => Object.assign(metadata, { annotations: { note: secret, 'x/token': secret } }),
      ({ metadata }, secret) => Object.assign(metadata, { labels: { ...metadata.labels, extra: secret } }),
      ({ spec }, secret) => spec?.template && Object.assign(spec.template.metadata, { annotations: { note: secret } }),
      ({ spec }, secret) =>
        spec?.template?.spec.containers[0].args?.push(`--token=${secret}`, '--password', secret, secret, `--env=A_TOKEN=${secret}`),
      ({ spec }, secret) => spec?.template?.spec.containers[0].env?.push({ name: 'A', value: secret }, { name: 'B_TOKEN', value: secret }),
      ({ spec }, secret) => spec?.template && Object.assign(spec.template.spec.containers[0], { command: ['sh', '-c', `login ${secret}`] }),
      ({ spec }, secret) =>
        spec?.template && Object.assign(spec.template.spec.containers[0], { image: `https://user:${secret}@registry.example/a` }),
      ({ spec }, secret) =>
        spec?.template &&
        Object.assign(spec.template.spec.containers[0], { livenessProbe: { httpGet: { path: `/?t=${secret}`, port: 1 } } }),
      ({ data }, secret) =>
        data && Object.assign(data, { 'a.toml': `token = "${secret}"\n`, b: secret, 'c.json': `{"password": "${secret}"}` }),
      ({ data }, secret) =>
        data?.['job.yaml'] && Object.assign(data, { 'job.yaml': data['job.yaml'].replace('value: prefect\n', `value: ${secret}\n`) }),
      (manifest, secret) => Object.assign(manifest, { stringData: { key: secret }, unknown: { deep: [secret, { k: secret }] } }),
      (manifest, secret) =>
        manifest.kind === 'NetworkPolicy' && Object.assign(manifest.spec, { ingress: [{ from: [{ ipBlock: { cidr: secret } }] }] }),
    ];
    const base = [
      ...hardened().all,
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'default' } },
      { apiVersion: 'x/v1', kind: 'Other', metadata: { name: 'o' } },
    ];
    for (const place of places) {
      const put = (secret: string) => {
        const all = structuredClone(base) as Manifest[];
        for (const manifest of all) place(manifest, secret);
        return of(all);
      };
      const pairs = [
        [of(base), put(MARKER)],
        [put(MARKER), of(base)],
        [put(MARKER), put(`${MARKER}-rotated`)],
        [of([]), put(MARKER)],
        [put(MARKER), of([])],
      ] as const;
      for (const [old, next] of pairs) {
        const review = UpgradeReview.of(old, next);
        const output = `${review.toText()}${review.toMarkdown()}${JSON.stringify(review.toJson())}`;
        expect(output).not.toContain(MARKER);
        expect(output).not.toContain(MARKER.slice(0, 8));
      }
    }
  });
  test('neither its length nor a hash of it', () => {
    const outputs = ['a'.repeat(20), 'b'.repeat(20), 'c'.repeat(77)].map((value) => {
      const review = UpgradeReview.of(agent(), env('DB_PASSWORD', value));
      return review.toText() + review.toMarkdown() + JSON.stringify(review.toJson());
    });
    expect(new Set(outputs).size).toBe(1);
  });
});

describe('what manifests can hold', () => {
  const hostile = '\u001b[2J\u202Eevil`|<script>@team';
  const named = (name: string, value: string) =>
    of([{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'n; rm -rf /' }, data: { [name]: value } }]);

  test('control characters, Markdown and shell in names do nothing', () => {
    const review = UpgradeReview.of(named(hostile, '1'), named(hostile, '2'));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those that a terminal would obey
    expect(review.toText()).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
    expect(review.toMarkdown()).not.toMatch(/<script>|evil`|@team/);
    const [finding] = UpgradeReview.of(named(hostile, '1'), of([])).findings() as [UpgradeFinding];
    expect(finding.remedy).toContain("-n 'n; rm -rf /'");
  });
  test('names of prototypes are names', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(found(named(name, '1'), named(name, '2'))).toEqual([expect.stringContaining(`| ${name}: mounted files follow`)]);
      const volumes = (secret: string) =>
        changed(agent(), 'Deployment', ({ spec }) => {
          spec.template.spec.volumes.push({ name, secret: { secretName: secret } });
          spec.template.metadata.labels = { ...spec.template.metadata.labels, ...JSON.parse(`{"${name}": "${secret}"}`) };
        });
      expect(found(volumes('a'), volumes('b'), UpgradeClass.RESTARTS)).toEqual([
        expect.stringContaining(`volumes[${name}].secret.secretName`),
      ]);
    }
  });
  test('fields of other types than Kubernetes has do not break it', () => {
    for (const odd of [null, 1, 'x', [], {}, [null], [[1]], { a: null }]) {
      for (const { kind, apiVersion } of [...agent().all, { kind: 'Job', apiVersion: 'batch/v1' }] as Manifest[]) {
        for (const field of ['spec', 'data', 'rules', 'roleRef', 'subjects', 'imagePullSecrets']) {
          const manifest = (value: unknown) => of([{ apiVersion, kind, metadata: { name: 'n' }, [field]: value }]);
          const deep = (value: unknown) =>
            manifest({ template: { spec: { containers: value, volumes: value } }, strategy: value, selector: value });
          expect(() => [
            found(manifest(odd), manifest({ x: 1 })),
            found(manifest([{ y: 1 }]), manifest(odd)),
            found(deep(odd), deep([{ name: 'a', env: odd }])),
          ]).not.toThrow();
        }
      }
    }
  });
  test('two megabytes of what patterns could trip over', () => {
    const parts = ['key: value\n', 'eyJ-', 'a://', '-----BEGIN ', ' ', '\t', '"', 'a=', 'AKIA', "token = '", "['a' "];
    const program = ['--import', 'tsx', join(__dirname, 'long-texts.ts'), ...parts];
    const printed = execFileSync(process.execPath, program, { encoding: 'utf8', timeout: PATIENCE });
    expect(printed.trim().split('\n')).toEqual([...parts.map((part) => JSON.stringify(part)), 'done']);
  });
  test('the same object twice', () => {
    expect(() => found(of([...agent().all, ...agent().all.slice(0, 1)]), agent())).toThrow(
      'UpgradeReview: old is "ServiceAccount prefect/prefect-agent": it must occur once, and occurs twice; keep one of them',
    );
  });
  test('a comment of GitHub is not longer than it may be', () => {
    const many = (image: string) => {
      const deployment = agent({ image }).one('Deployment') as Manifest;
      return of(Array.from({ length: 2_000 }, (_, i) => ({ ...deployment, metadata: { ...deployment.metadata, name: `agent-${i}` } })));
    };
    const markdown = UpgradeReview.of(many('a:1'), many('a:2')).toMarkdown();
    expect(markdown.length).toBeLessThan(65_536);
    expect(markdown).toMatch(/\d+ more findings are not shown here/);
  });
});

test('the review can tell what upgrades do that props alone make, but for fewer than one changed object in twenty', () => {
  let [changed, unclear] = [0, 0];
  for (const { old, next } of pairsOfProps(process.env.FULL === '1' ? 2_000 : 100)) {
    const review = UpgradeReview.of(of(old), of(next)).toJson() as { summary: { changed: number } };
    changed += review.summary.changed;
    unclear += UpgradeReview.of(of(old), of(next)).findings(UpgradeClass.CANNOT_TELL).length;
  }
  expect(changed).toBeGreaterThan(50);
  expect([seed, unclear / changed < 0.05]).toEqual([seed, true]);
});

// `npm run bench` times it, beside synthesizing the fleet.
test('the review of a fleet finds each team once', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cdk8s-prefect-'));
  const teams = process.env.FULL === '1' ? 4_000 : 100;
  try {
    process.env.CDK8S_OUTDIR = folder;
    const names = Array.from({ length: teams }, (_, i) => `team-${i}`);
    new Fleet({ defaults: { api }, teams: Object.fromEntries(names.map((name) => [name, { agent: { labels: [name] } }])) }).synth();
    const old = Manifests.read(folder);
    const next = changed(old, 'Deployment', ({ spec }) => Object.assign(spec.template.spec.containers[0], { image: 'a:2' }));
    const findings = UpgradeReview.of(old, next).findings(UpgradeClass.RESTARTS);
    expect(new Set(findings.map(({ object }) => object)).size).toBe(teams);
    expect(findings).toHaveLength(teams);
  } finally {
    delete process.env.CDK8S_OUTDIR;
    rmSync(folder, { recursive: true });
  }
});
