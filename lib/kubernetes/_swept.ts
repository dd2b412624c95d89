import type { IConstruct } from 'constructs';

/** Rules of a sweeper that an agent must know. */
export type SweptRule = 'lostRuns' | 'unstartableJobs';

const swept = new WeakMap<IConstruct, Set<string>>();

/** Registers that a sweeper of this app has a rule for a namespace. Agents of that namespace leave such flow runs to it. */
export function declareSwept(scope: IConstruct, namespace: string, rule: SweptRule): void {
  const namespaces = swept.get(scope.node.root) ?? new Set();
  swept.set(scope.node.root, namespaces.add(`${rule} ${namespace}`));
}

/** Whether a sweeper of this app has a rule for a namespace. It is only known at synthesis. */
export function isSwept(scope: IConstruct, namespace: string, rule: SweptRule): boolean {
  return swept.get(scope.node.root)?.has(`${rule} ${namespace}`) ?? false;
}
