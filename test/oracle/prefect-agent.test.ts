import { App, Chart, Duration, Testing } from 'cdk8s';
import fc from 'fast-check';
import { type AgentSettings, DebugConfig, LogLevel, PrefectAgent, PrefectApi, PrefectBackend, SecretKeyRef } from '../../lib';
import { only } from '../support';
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

test('an empty key is an error that says so', async () => {
  const container = view({ backend: PrefectBackend.CLOUD, url: 'https://api.prefect.io', key: ' \n', settings: {} });
  await expect(oracle.ask({ agent: container })).rejects.toThrow('is empty: put the Prefect API key into the Secret that is mounted there');
});
