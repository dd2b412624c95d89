import { App, Chart, Duration, Testing } from 'cdk8s';
import { type AgentSettings, DebugConfig, LogLevel, PrefectAgent, PrefectApi, PrefectBackend, SecretKeyRef } from '../../lib';
import fc from '../fast-check';
import { only, synth } from '../support';
import * as generate from './generate';
import { type ContainerView, containerView } from './kubelet';
import { Oracle } from './oracle';

const oracle = new Oracle();
afterAll(() => oracle.stop());

interface Input {
  readonly backend: PrefectBackend;
  readonly url: string;
  readonly tenantId?: string;
  readonly key?: string;
  readonly level?: LogLevel;
  readonly flowLevel?: LogLevel;
  readonly flowNamespace?: string;
  readonly requestTimeoutSeconds?: number;
  readonly settings: AgentSettings;
}

const level = fc.option(fc.constantFrom(...Object.values(LogLevel)), { nil: undefined });
const format = fc.constantFrom(
  '%(asctime)s %(message)s',
  '{"time": "%(asctime)s", "message": "%(message)s"}',
  '"%(message)s"',
  "$HOME %(levelname)-8s it's",
  '~ [%(name)s]',
);

const input: fc.Arbitrary<Input> = fc.record(
  {
    backend: fc.constantFrom(PrefectBackend.CLOUD, PrefectBackend.SERVER),
    url: generate.url,
    tenantId: generate.uuid,
    key: generate.apiKey,
    level,
    flowLevel: level,
    flowNamespace: generate.dnsLabel,
    requestTimeoutSeconds: fc.integer({ min: 1, max: 30 }),
    settings: fc.record(
      {
        labels: generate.labels,
        name: generate.label,
        agentConfigId: generate.uuid,
        flowEnvVars: generate.envVars,
        deleteFinishedJobs: fc.boolean(),
        sendFlowRunLogs: fc.boolean(),
        kubernetesKeepAlive: fc.boolean(),
        logFormat: format,
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ['backend', 'url', 'settings'] },
);

function view({
  backend,
  url,
  tenantId,
  key,
  level: agentLevel,
  flowLevel,
  flowNamespace,
  requestTimeoutSeconds,
  settings,
}: Input): ContainerView {
  const chart = new Chart(new App(), 'chart', { namespace: 'prefect' });
  const apiKey = SecretKeyRef.of('prefect-api-key', 'token');
  new PrefectAgent(chart, 'Agent', {
    ...settings,
    api:
      backend === PrefectBackend.CLOUD
        ? PrefectApi.cloud({ apiKey, url, tenantId })
        : PrefectApi.server({ url, tenantId, apiKey: key ? apiKey : undefined }),
    debug: agentLevel || flowLevel ? new DebugConfig(chart, 'Debug', { level: agentLevel, flowLevel }) : undefined,
    flowNamespace,
    requestTimeout: requestTimeoutSeconds === undefined ? undefined : Duration.seconds(requestTimeoutSeconds),
  });
  const manifests = Testing.synth(chart);
  return containerView(only('Deployment', manifests), manifests, { 'prefect-api-key': { token: key ?? 'default-key' } });
}

/** What the props asked for, in the agent's own words; what they left out is Prefect's default. */
function asked({ backend, url, tenantId, key, level: agentLevel, flowLevel, flowNamespace, requestTimeoutSeconds, settings }: Input) {
  return {
    name: settings.name ?? 'agent',
    labels: [...(settings.labels ?? [])].sort(),
    flowEnvVars: settings.flowEnvVars ?? {},
    agentConfigId: settings.agentConfigId ?? null,
    agentAddress: '',
    namespace: flowNamespace ?? 'prefect',
    serviceAccountName: null,
    imagePullSecrets: null,
    deleteFinishedJobs: settings.deleteFinishedJobs ?? true,
    sendFlowRunLogs: settings.sendFlowRunLogs ?? true,
    kubernetesKeepAlive: settings.kubernetesKeepAlive ?? true,
    kubernetesThroughProxy: false,
    backend,
    url,
    apiServer: url,
    apiKey: key ?? (backend === PrefectBackend.CLOUD ? 'default-key' : null),
    tenantId: tenantId ?? null,
    requestTimeout: requestTimeoutSeconds ?? 15,
    level: agentLevel ?? (flowLevel ? LogLevel.DEBUG : LogLevel.INFO),
    flowLevel: flowLevel ?? LogLevel.INFO,
    logFormat: settings.logFormat ?? '[%(asctime)s] %(levelname)s - %(name)s | %(message)s',
  };
}

test('the real agent is what 500 generated props ask for', async () => {
  const tally = new generate.Tally();
  await fc.assert(
    fc.asyncProperty(input, async (props) => {
      const container = tally.take(() => view(props), []);
      const found = await oracle.ask({ agent: container });
      expect({ ...found, labels: [...found.labels].sort() }).toEqual(asked(props));
    }),
    { numRuns: 500 },
  );
  console.info(`PrefectAgent and the real agent: ${tally}`);
});

// That of the environment, the first that reads the variables, and one that was written anew.
test.each(['', '34.1.0', '37.0.2'])('Kubernetes is asked directly beside a proxy, by release %s of its client', async (release) => {
  const manifests = synth((chart) => {
    const proxy = { url: 'http://proxy.example:3128', noProxy: ['.example.com'] };
    return new PrefectAgent(chart, 'Agent', { api: PrefectApi.server({ url: 'http://prefect:4200' }), proxy });
  });
  const container = containerView(only('Deployment', manifests), manifests, {});
  const other = new Oracle(...(release ? [`kubernetes==${release}`] : []));
  try {
    expect(await other.ask({ agent: container })).toMatchObject({ kubernetesThroughProxy: false, kubernetesKeepAlive: true });
    // The variables are read, so that this says something.
    const env = { ...container.env, NO_PROXY: '', no_proxy: '' };
    if (release) expect(await other.ask({ agent: { ...container, env } })).toMatchObject({ kubernetesThroughProxy: true });
  } finally {
    await other.stop();
  }
});
const keyed = (key: string) => view({ backend: PrefectBackend.CLOUD, url: 'https://api.prefect.io', key, settings: {} });

test('an empty key is an error that says so', async () => {
  await expect(oracle.ask({ agent: keyed('') })).rejects.toThrow('is empty: put the Prefect API key into the Secret that is mounted there');
});

// A flow run gets it as it is in the Secret, and would print it when it cannot use it.
test.each(['pcu_abc\n', ' pcu_abc', '\uFEFFpcu_abc', 'pcu abc', 'pcü_abc'])(
  'a key that no flow run could use is an error that does not say it: %j',
  async (key) => {
    const refusal = await oracle.ask({ agent: keyed(key) }).catch(String);
    expect(refusal).toContain('has white space, a byte order mark or another sign that no API key has');
    expect(refusal).not.toContain('abc');
  },
);
