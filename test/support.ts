import { App, Chart, Testing } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import type { Construct } from 'constructs';

/** A manifest as tests read it. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into manifests of every kind
export type Manifest = any;

/** The manifests of a chart in namespace `prefect` (unless told otherwise) to which `build` has added what it tests. */
export function synth(build: (chart: Chart) => void, namespace: string | undefined = 'prefect'): Manifest[] {
  return Testing.synth(chartWith(build, namespace));
}

export function chartWith(build: (chart: Chart) => void, namespace: string | undefined = 'prefect'): Chart {
  const chart = newChart(namespace);
  build(chart);
  return chart;
}

export function newChart(namespace?: string): Chart {
  return new Chart(new App(), 'chart', { namespace });
}

/** The one manifest of a kind. */
export function only(kind: string, manifests: Manifest[]): Manifest {
  const found = manifests.filter((manifest) => manifest.kind === kind);
  expect(found).toHaveLength(1);
  return found[0];
}

/** The first container of a workload. */
export function container(workload: Manifest): k8s.Container & Manifest {
  return workload.spec.template.spec.containers[0];
}

/** The environment of a workload's first container, as names and literal values. */
export function literalEnv(workload: Manifest): Record<string, string> {
  return Object.fromEntries(container(workload).env.map(({ name, value }: { name: string; value: string }) => [name, value]));
}

/** Every construct below a scope, by path, with what it renders. */
export function tree(scope: Construct): string[] {
  return scope.node.findAll().map((construct) => `${construct.node.path} ${construct.constructor.name}`);
}
