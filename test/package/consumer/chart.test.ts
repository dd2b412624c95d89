// A test of a chart, as a team writes it: compiled and run in a project of its own, which has nothing but the packages.
import { App, Chart } from 'cdk8s';
import { Manifests, PrefectAgent, PrefectApi, SecretKeyRef } from 'cdk8s-prefect';

const chart = new Chart(new App(), 'prefect', { namespace: 'prefect' });
const agent = new PrefectAgent(chart, 'Agent', {
  api: PrefectApi.cloud({ apiKey: SecretKeyRef.of('prefect-api-key', 'key'), url: 'https://api.prefect.io' }),
  flowNamespace: 'flows',
});
const manifests = Manifests.of(chart);

test('the agent may work in the namespace of the flows, and nowhere else', () => {
  expect(manifests.rulesOf('prefect-agent').every((rule) => rule.endsWith(' in flows'))).toBe(true);
});
test('flow runs get the image that they ask for', () => {
  expect(agent.effectiveJob({ runConfig: { image: 'registry.example/flows:42' } })).toHaveProperty(
    'spec.template.spec.containers.0.image',
    'registry.example/flows:42',
  );
});
test('the programs that are mounted came with the package', () => {
  expect(manifests.withoutPrograms().names()).toContain('ConfigMap prefect/prefect-agent-launcher-00000000');
  expect(JSON.stringify(manifests.all)).toContain('def main');
});
