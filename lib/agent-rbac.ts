import type { ApiObject } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { checkDnsLabel, checkDnsSubdomain } from './_checks';
import { addObject, namespaceOf, recommendedLabels } from './_object';

/** Properties of `AgentRbac`. */
export interface AgentRbacProps {
  /**
   * Namespace of the flow runs' Jobs: the Role and the RoleBinding are there.
   *
   * @default - the namespace of the chart
   */
  readonly flowNamespace?: string;
  /**
   * Name of the service account; the Role and the RoleBinding are named `<resourceName>-rbac`.
   *
   * @default 'prefect-agent'
   */
  readonly resourceName?: string;
  /**
   * An existing service account in the chart's namespace to bind the Role to.
   *
   * @default - one is made, named `resourceName`
   */
  readonly serviceAccountName?: string;
  /**
   * Whether the agent may delete Jobs, which one with `deleteFinishedJobs: false` never does.
   *
   * @default true
   */
  readonly deleteFinishedJobs?: boolean;
}

/**
 * What a Prefect 1 Kubernetes agent may do: exactly the calls that it makes, in the one namespace of its flow runs. A
 * `PrefectAgent` makes its own; use it alone where accounts and roles belong to another chart.
 *
 * Whoever may create Jobs in a namespace can read every Secret in it: give flow runs a namespace of their own.
 *
 * @example
 * const rbac = new AgentRbac(adminChart, 'AgentRbac', { flowNamespace: 'flows' });
 * new PrefectAgent(chart, 'Agent', { api, flowNamespace: 'flows', serviceAccountName: rbac.serviceAccountName });
 *
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */
export class AgentRbac extends Construct {
  /** The Role, child `Resource`. */
  public readonly role: ApiObject;
  /** The RoleBinding, child `RoleBinding`. */
  public readonly roleBinding: ApiObject;
  /** The service account, child `ServiceAccount`, unless an existing one is bound. */
  public readonly serviceAccount?: ApiObject;
  /** Name of the service account that is bound. */
  public readonly serviceAccountName: string;

  public constructor(scope: Construct, id: string, props: AgentRbacProps = {}) {
    super(scope, id);
    const namespace = namespaceOf(this);
    const flowNamespace = checkDnsLabel(this, 'flowNamespace', props.flowNamespace ?? namespace);
    const resourceName = checkDnsLabel(this, 'resourceName', props.resourceName ?? 'prefect-agent');
    this.serviceAccountName = checkDnsSubdomain(this, 'serviceAccountName', props.serviceAccountName ?? resourceName);
    const labels = recommendedLabels('prefect-agent', resourceName);
    const metadata = { name: `${resourceName}-rbac`, namespace: flowNamespace, labels };

    if (props.serviceAccountName === undefined) {
      this.serviceAccount = addObject(
        this,
        'ServiceAccount',
        k8s.KubeServiceAccount.manifest({
          metadata: { name: resourceName, namespace, labels },
          automountServiceAccountToken: false,
        }),
      );
    }
    this.role = addObject(
      this,
      'Resource',
      k8s.KubeRole.manifest({
        metadata,
        rules: [
          // PrefectHQ/prefect 1.4.1, agent/kubernetes/agent.py: deploy_flow, manage_jobs
          {
            apiGroups: ['batch'],
            resources: ['jobs'],
            verbs: ['create', 'list', ...((props.deleteFinishedJobs ?? true) ? ['delete'] : [])],
          },
          { apiGroups: [''], resources: ['pods', 'events'], verbs: ['list'] },
        ],
      }),
    );
    this.roleBinding = addObject(
      this,
      'RoleBinding',
      k8s.KubeRoleBinding.manifest({
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name },
        subjects: [{ kind: 'ServiceAccount', name: this.serviceAccountName, namespace }],
      }),
    );
  }
}
