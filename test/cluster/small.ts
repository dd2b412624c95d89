import type { KubeObject } from './harness/api-server';

/** The manifests with small CPU requests: by the default ones a node of two cores has room for 20 agents, and the tests have more at once. */
export function withSmallRequests(manifests: KubeObject[]): KubeObject[] {
  for (const { kind, spec } of manifests) {
    if (kind !== 'Deployment') continue;
    const { initContainers = [], containers } = spec.template.spec;
    for (const { resources } of [...initContainers, ...containers]) {
      if (resources?.requests?.cpu) resources.requests.cpu = '10m';
    }
  }
  return manifests;
}
