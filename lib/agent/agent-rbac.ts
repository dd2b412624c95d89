import type { ApiObject } from 'cdk8s';
import { Construct } from 'constructs';
import { checkDnsLabel, checkDnsSubdomain } from '../kubernetes/_checks';
import { checkProps } from '../kubernetes/_guard';
import { manifest } from '../kubernetes/_manifest';
import { addObject, namespaceOf, recommendedLabels } from '../kubernetes/_object';

/** Properties of `AgentRbac`. */
export interface AgentRbacProps {
  /**
   * Namespace of the flow runs' Jobs, with the Role and the RoleBinding.
   *
   * @default - the namespace of the chart
   */
  readonly flowNamespace?: string;
  /**
   * Name of the service account. The Role and the RoleBinding are named `<resourceName>-rbac`.
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
   * Whether the agent may delete Jobs. Give it the same value as `deleteFinishedJobs` of the agent.
   *
   * @default true
   */
  readonly deleteFinishedJobs?: boolean;
}

/**
 * The permissions of a Prefect 1 agent: exactly the calls that it makes, in the namespace of its flow runs. A `PrefectAgent` creates
 * its own. Use `AgentRbac` alone if service accounts and Roles belong to another chart.
 *
 * Everyone who may create Jobs in a namespace can read every Secret in it. So give flow runs a namespace of their own.
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
  /** The service account, child `ServiceAccount`, unless you gave an existing one. */
  public readonly serviceAccount?: ApiObject;
  /** Name of the service account with the permissions. */
  public readonly serviceAccountName: string;

  public constructor(scope: Construct, id: string, props: AgentRbacProps = {}) {
    super(scope, id);
    props = checkProps(this, 'AgentRbacProps', props);
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
        manifest('v1', 'ServiceAccount', {
          metadata: { name: resourceName, namespace, labels },
          automountServiceAccountToken: false,
        }),
      );
    }
    this.role = addObject(
      this,
      'Resource',
      manifest('rbac.authorization.k8s.io/v1', 'Role', {
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
      manifest('rbac.authorization.k8s.io/v1', 'RoleBinding', {
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name },
        subjects: [{ kind: 'ServiceAccount', name: this.serviceAccountName, namespace }],
      }),
    );
  }
}
