import { EnvValue, PrefectAgent, type PrefectAgentProps, PrefectApi } from '../../lib';
import { synth } from '../support';
import { Oracle } from './oracle';

// What the library has to repeat of Prefect, held against Prefect itself.
const oracle = new Oracle();
afterAll(() => oracle.stop());

const agent = (props: Partial<PrefectAgentProps>) =>
  synth((chart) => new PrefectAgent(chart, 'Agent', { api: PrefectApi.server({ url: 'http://prefect:4200' }), ...props }));

test('every configuration key that Prefect refuses is refused', async () => {
  const { configKeys } = await oracle.ask({ facts: null });
  expect(configKeys).toContain('keys');
  for (const key of configKeys as string[]) {
    const name = `PREFECT__TEAM__${key.toUpperCase()}`;
    expect(() => agent({ env: { [name]: EnvValue.of('1') } })).toThrow(`env.${name} must not have the part "${key}"`);
  }
});

test('every flow variable that the agent overwrites is refused', async () => {
  const { forcedFlowEnv } = await oracle.ask({ facts: null });
  expect(forcedFlowEnv).toContain('PREFECT__CLOUD__API_KEY');
  for (const name of forcedFlowEnv as string[]) {
    expect(() => agent({ flowEnvVars: { [name]: 'ours' } })).toThrow(`flowEnvVars.${name} must not be set`);
  }
});

test('every option of the agent is a prop, or left out for a reason', async () => {
  const { startFlags } = await oracle.ask({ facts: null });
  const props = '--agent-config-id --api --env --key --label --log-level --name --namespace --no-cloud-logs --tenant-id'.split(' ');
  const leftOut = {
    '--disable-job-deletion': 'what it does depends on the release of click; the variable is used',
    '--agent-address': 'nothing may connect to the agent',
    '--image-pull-secrets': 'they belong to the Job template, which the agent would overwrite',
    '--job-template': 'the construct of the Job template passes it',
    '--max-polls': 'a Deployment restarts an agent that stops',
    '--service-account-name': 'it belongs to the Job template, which the agent would overwrite',
  };
  expect(startFlags).toEqual([...props, ...Object.keys(leftOut)].sort());
});
