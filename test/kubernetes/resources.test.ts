import { Size } from 'cdk8s';
import { Cpu, PrefectAgent, PrefectApi } from '../../lib';
import { container, only, synth } from '../support';

test('millis', () => expect(Cpu.millis(250).millicores).toBe(250));
test('units', () => expect(Cpu.units(0.1).millicores).toBe(100));
test.each([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 1e21])('refuses %p millis', (amount) => {
  expect(() => Cpu.millis(amount)).toThrow(
    /^Cpu: (millis|amount) is .*: it must be a (positive whole number of thousandths of a CPU|number)/,
  );
});

test.each([
  [Size.kibibytes(100), '100Ki'],
  [Size.mebibytes(512), '512Mi'],
  [Size.mebibytes(2048), '2Gi'],
  [Size.gibibytes(1.5), '1536Mi'],
])('sizes are written in the largest whole unit', (memoryLimit, expected) => {
  const api = PrefectApi.server({ url: 'http://prefect' });
  const manifests = synth((chart) => new PrefectAgent(chart, 'Agent', { api, resources: { memoryLimit } }));
  expect(container(only('Deployment', manifests)).resources).toEqual({ limits: { memory: expected } });
});

describe('extended resources', () => {
  const resources = (extendedResources: Record<string, number>) => {
    const api = PrefectApi.server({ url: 'http://prefect' });
    const manifests = synth((chart) => new PrefectAgent(chart, 'Agent', { api, resources: { extendedResources } }));
    return container(only('Deployment', manifests)).resources;
  };
  test('are asked for and allowed at once', () => {
    expect(resources({ 'nvidia.com/gpu': 2 })).toEqual({ requests: { 'nvidia.com/gpu': 2 }, limits: { 'nvidia.com/gpu': 2 } });
  });
  test.each(['gpu', 'kubernetes.io/gpu', 'node.kubernetes.io/gpu', 'a b/c'])('refuses the name %p', (name) => {
    expect(() => resources({ [name]: 1 })).toThrow(`chart/Agent: resources.extendedResources["${name}"]`);
  });
  test.each([0, 0.5, -1])('refuses the amount %p', (amount) => {
    expect(() => resources({ 'nvidia.com/gpu': amount })).toThrow(`is ${amount}: it must be a whole number, at least 1`);
  });
});
