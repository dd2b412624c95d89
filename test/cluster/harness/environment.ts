/** What the tests are told about the cluster of their run, by the setup, which knows how it came to be. */
export interface Environment {
  readonly kubectl: string;
  readonly kubeconfig: string;
  /** The socket of a `kubectl proxy`: the API, without each request's cost of a process or of signing in. */
  readonly apiSocket: string;
  /** The label that this run's namespaces carry. */
  readonly runLabel: string;
  /** The address at which pods reach the machine of the tests. */
  readonly hostAddress?: string;
  /** The audit log of the API server. */
  readonly auditLog?: string;
  /** The socket to an API server of the Kubernetes version that cdk8s-plus-27 describes. */
  readonly oldestApiSocket?: string;
  /** The socket to an API server of the cluster's Kubernetes that has no controllers. */
  readonly bareApiSocket?: string;
  /** The programs of the second node, or why there is none. */
  readonly secondNode?: Offer;
  /** The program that enforces NetworkPolicies on it, or why nothing does. */
  readonly policyAgent?: Offer;
  /** Where the programs of the cluster log. */
  readonly logDir?: string;
}

/** Where something is that a machine may lack, or why this one lacks it. */
export type Offer = { readonly path: string } | { readonly missing: string };

const variable = 'CDK8S_PREFECT_TEST_CLUSTER';

export function setEnvironment(environment: Environment): void {
  process.env[variable] = JSON.stringify(environment);
}

export function getEnvironment(): Environment {
  const environment = process.env[variable];
  if (!environment) throw new Error('there is no cluster: these tests run by `npm run test:cluster`, whose setup brings one up');
  return JSON.parse(environment);
}
