import { App, Chart, Testing } from 'cdk8s';
import { PrefectBackend, StockPrefectAgent, type StockPrefectAgentProps } from '../../lib';
import { everyStockFlag } from '../every-prop';
import fc from '../fast-check';
import type { Manifest } from '../support';
import * as generate from './generate';
import { Oracle } from './oracle';

const oracle = new Oracle();
afterAll(() => oracle.stop());

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const quantity = fc.constantFrom('1G', '500m', '', 'a lot');

const flags: fc.Arbitrary<StockPrefectAgentProps> = fc.record(
  {
    key: generate.apiKey,
    tenantId: generate.uuid,
    // Half-wide input: what is refused is counted.
    labels: fc.oneof({ weight: 29, arbitrary: generate.labels }, { weight: 1, arbitrary: fc.array(fc.string({ unit: 'binary' })) }),
    env: generate.envVars,
    agentConfigId: generate.uuid,
    api: generate.url,
    namespace: fc.oneof({ weight: 29, arbitrary: generate.dnsLabel }, { weight: 1, arbitrary: fc.string() }),
    imagePullSecrets: generate.dnsLabel,
    rbac: fc.boolean(),
    latest: fc.boolean(),
    memRequest: quantity,
    memLimit: quantity,
    cpuRequest: quantity,
    cpuLimit: quantity,
    imagePullPolicy: fc.constantFrom('Always', 'IfNotPresent', ''),
    serviceAccountName: generate.dnsLabel,
    backend: optional(fc.constantFrom(PrefectBackend.CLOUD, PrefectBackend.SERVER)),
  },
  { requiredKeys: [] },
);

/** Why a construct may refuse what the CLI takes: each would fail, or be misread, later. */
const REFUSALS = [
  /labels\[\d+\] is .* must not be blank, begin or end with white space, or have control characters/,
  /labels\[\d+\] is .* must not be given twice/,
  /labels\[\d+\] is .* must have only ASCII characters and Latin letters/,
  /namespace is .* must be a DNS label/,
];

/** `labels` as `--label`, `tenantId` as `--tenant-id`. */
function cliArguments(props: StockPrefectAgentProps): string[] {
  return Object.entries(props).flatMap(([prop, value]) => {
    const flag = `--${prop.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (prop === 'labels') return (value as string[]).map((label) => `--label=${label}`);
    if (prop === 'env') return Object.entries(value as Record<string, string>).map(([name, text]) => `--env=${name}=${text}`);
    if (typeof value === 'boolean') return value ? [flag] : [];
    return value === undefined ? [] : [`${flag}=${value}`];
  });
}

function synth(props: StockPrefectAgentProps): Manifest[] {
  const chart = new Chart(new App(), 'stock');
  new StockPrefectAgent(chart, 'Agent', props);
  return Testing.synth(chart);
}

test('equals the output of the CLI for 600 generated sets of flags', async () => {
  const tally = new generate.Tally();
  await fc.assert(
    fc.asyncProperty(flags, async (props) => {
      const manifests = tally.take(() => synth(props), REFUSALS);
      if (manifests) expect(manifests).toEqual(await oracle.ask({ install: cliArguments(props) }));
    }),
    { numRuns: 600 },
  );
  console.info(`StockPrefectAgent and the CLI: ${tally}`);
  expect(tally.share).toBeGreaterThanOrEqual(0.8);
});

test('every flag of the CLI is a prop', async () => {
  expect(synth(everyStockFlag)).toEqual(await oracle.ask({ install: cliArguments(everyStockFlag) }));
  const { installFlags } = await oracle.ask({ facts: null });
  expect([...new Set(cliArguments(everyStockFlag).map((argument) => argument.split('=')[0]))].sort()).toEqual(installFlags);
});
