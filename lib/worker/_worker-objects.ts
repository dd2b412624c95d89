import type { ApiObject } from 'cdk8s';
import type { Construct } from 'constructs';
import type { PodTemplate } from '../kubernetes/_hardened-pod';
import { manifest } from '../kubernetes/_manifest';
import { addObject, recommendedLabels } from '../kubernetes/_object';

/** Permissions of one service account, as in a Role. */
export interface Rule {
  readonly apiGroups: string[];
  readonly resources: string[];
  readonly verbs: string[];
}

/** prefect_kubernetes.worker 0.8.0: _create_job, kill_infrastructure */
export const WORKER_RULES: Rule[] = [{ apiGroups: ['batch'], resources: ['jobs'], verbs: ['create', 'delete'] }];

/** prefect_kubernetes.observer 0.8.0: the handlers of kopf, _job_still_exists, _get_k8s_jobs, _fetch_crashed_pod_logs */
export const OBSERVER_RULES: Rule[] = [
  { apiGroups: ['batch'], resources: ['jobs'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] },
  { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
];

/** The rules as `kubectl auth can-i` takes them, one right each: `create jobs.batch`. */
export function rightsOf(rules: Rule[]): string[] {
  return rules.flatMap(({ apiGroups: [group], resources: [resource], verbs }) =>
    verbs.map((verb) => `${verb} ${resource}${group ? `.${group}` : ''}`),
  );
}

/** The names and labels of the worker or the observer. */
export function party(namespace: string, flowNamespace: string, component: string, name: string) {
  const selector = { app: name };
  const labels = { ...recommendedLabels(component, name), ...selector };
  return { name, namespace, flowNamespace, labels, selector, flowRunLabel: 'prefect.io/flow-run-id' };
}

export type Party = ReturnType<typeof party>;

export function addDeployment(scope: Construct, { name, labels, selector }: Party, replicas: number, template: PodTemplate): ApiObject {
  const deployment = manifest('apps/v1', 'Deployment', {
    metadata: { name, labels },
    spec: {
      replicas,
      // The old pod runs until the new one is ready. Two at once are safe, because the API gives a flow run to one worker only.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      selector: { matchLabels: selector },
      template,
    },
  });
  return addObject(scope, 'Resource', deployment);
}

export function addDisruptionBudget(scope: Construct, { name, labels, selector }: Party): ApiObject {
  const budget = { metadata: { name, labels }, spec: { maxUnavailable: 1, selector: { matchLabels: selector } } };
  return addObject(scope, 'PodDisruptionBudget', manifest('policy/v1', 'PodDisruptionBudget', budget));
}

/** A service account, and a Role for it in the flow namespace. */
export function addAccount(scope: Construct, { name, namespace, flowNamespace, labels }: Party, rules: Rule[]): void {
  const metadata = { name: `${name}-rbac`, namespace: flowNamespace, labels };
  const account = { metadata: { name, namespace, labels }, automountServiceAccountToken: false };
  addObject(scope, 'ServiceAccount', manifest('v1', 'ServiceAccount', account));
  addObject(scope, 'Role', manifest('rbac.authorization.k8s.io/v1', 'Role', { metadata, rules }));
  addObject(
    scope,
    'RoleBinding',
    manifest('rbac.authorization.k8s.io/v1', 'RoleBinding', {
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name },
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    }),
  );
}
