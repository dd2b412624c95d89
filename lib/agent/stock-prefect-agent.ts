import type { ApiObject } from 'cdk8s';
import type { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { checkDnsLabel, checkDnsSubdomain, checkEnvName, checkLongText } from '../kubernetes/_checks';
import { checkProps } from '../kubernetes/_guard';
import { manifest, type Plain } from '../kubernetes/_manifest';
import { addObject } from '../kubernetes/_object';
import { refuse } from '../kubernetes/_refuse';
import { factsOf } from '../kubernetes/_warnings';
import { describeAgent, warnOfApi } from '../prefect-api/_api-access';
import { checkAgentLabels, checkApiUrl, checkUuid } from '../prefect-api/_checks';
import { jsonDumps, reprList } from '../prefect-api/_python';
import { PrefectBackend } from '../prefect-api/prefect-api';

/** Properties of `StockPrefectAgent`: the flags of `prefect agent kubernetes install`, under their own names. */
export interface StockPrefectAgentProps {
  /**
   * `--key`: the API key, in clear. The Deployment has it twice, and so does every Job that the agent creates.
   *
   * @default - no key
   */
  readonly key?: string;
  /**
   * `--tenant-id`: a UUID.
   *
   * @default - the default tenant of the key
   */
  readonly tenantId?: string;
  /**
   * `--label`, once for each.
   *
   * @default - none
   */
  readonly labels?: string[];
  /**
   * `--env`, once for each: environment variables of every flow run.
   *
   * @default - none
   */
  readonly env?: { [name: string]: string };
  /**
   * `--agent-config-id`: a UUID.
   *
   * @default - none
   */
  readonly agentConfigId?: string;
  /**
   * `--api`: URL of Prefect's API.
   *
   * @default 'https://api.prefect.io'
   */
  readonly api?: string;
  /**
   * `--namespace`: the namespace of the flow runs' Jobs, the Role and the RoleBinding. The Deployment is in the namespace of the chart,
   * if it has one.
   *
   * @default 'default'
   */
  readonly namespace?: string;
  /**
   * `--image-pull-secrets`: name of one Secret, for the agent and its Jobs.
   *
   * @default - none
   */
  readonly imagePullSecrets?: string;
  /**
   * `--rbac`: adds a Role that allows every verb, granted to the service account `default`.
   *
   * @default false
   */
  readonly rbac?: boolean;
  /**
   * `--latest`: image prefecthq/prefect:latest instead of that of the release.
   *
   * @default false
   */
  readonly latest?: boolean;
  /**
   * `--mem-request`. Prefect 1 does not read it.
   *
   * @default - empty
   */
  readonly memRequest?: string;
  /**
   * `--mem-limit`. Prefect 1 does not read it.
   *
   * @default - empty
   */
  readonly memLimit?: string;
  /**
   * `--cpu-request`. Prefect 1 does not read it.
   *
   * @default - empty
   */
  readonly cpuRequest?: string;
  /**
   * `--cpu-limit`. Prefect 1 does not read it.
   *
   * @default - empty
   */
  readonly cpuLimit?: string;
  /**
   * `--image-pull-policy`. Prefect 1 does not read it.
   *
   * @default - empty
   */
  readonly imagePullPolicy?: string;
  /**
   * `--service-account-name` of the Jobs.
   *
   * @default - empty: the account `default`
   */
  readonly serviceAccountName?: string;
  /**
   * `--backend`.
   *
   * @default PrefectBackend.CLOUD
   */
  readonly backend?: PrefectBackend;
}

/**
 * Exactly what `prefect agent kubernetes install` of Prefect 1.4.1 prints, to take over an existing install with an empty
 * `kubectl diff`. Replace it with `PrefectAgent` right afterwards:
 *
 * - The API key is in clear in the Deployment and in every Job.
 * - A Role allows every verb, to every pod of the service account `default`.
 * - The container runs as root, without limits.
 * - The shell that starts the agent hides SIGTERM from it.
 * - The health check answers even when the agent is stuck.
 *
 * @example
 * new StockPrefectAgent(chart, 'Agent', { key, labels: ['kube'], rbac: true });
 *
 * @see https://docs-v1.prefect.io/orchestration/agents/kubernetes.html#agent-configuration
 */
export class StockPrefectAgent extends Construct {
  /** The Deployment, child `Resource`. */
  public readonly deployment: ApiObject;
  /** The Role, child `Role`, with `rbac`. */
  public readonly role?: ApiObject;
  /** The RoleBinding, child `RoleBinding`, with `rbac`. */
  public readonly roleBinding?: ApiObject;

  public constructor(scope: Construct, id: string, props: StockPrefectAgentProps = {}) {
    super(scope, id);
    props = checkProps(this, 'StockPrefectAgentProps', props);
    this.check(props);
    const namespace = props.namespace ?? 'default';
    const labels = { app: 'prefect-agent' };
    const api = { url: props.api ?? 'https://api.prefect.io', tenantId: props.tenantId };
    factsOf(this).agents.push({ scope: this, takes: describeAgent(api, props.labels ?? []) });
    warnOfApi(this, api);

    this.deployment = addObject(
      this,
      'Resource',
      manifest('apps/v1', 'Deployment', {
        metadata: { name: 'prefect-agent', labels },
        spec: {
          replicas: 1,
          selector: { matchLabels: labels },
          template: {
            metadata: { labels },
            spec: {
              imagePullSecrets: props.imagePullSecrets === undefined ? undefined : [{ name: props.imagePullSecrets }],
              containers: [
                {
                  name: 'agent',
                  image: `prefecthq/prefect:${props.latest ? 'latest' : '1.4.1-python3.7'}`,
                  imagePullPolicy: 'Always',
                  command: ['/bin/bash', '-c'],
                  args: [
                    ['prefect agent kubernetes start', ...(props.agentConfigId ? [`--agent-config-id ${props.agentConfigId}`] : [])].join(
                      ' ',
                    ),
                  ],
                  env: renderEnv(props, namespace),
                  livenessProbe: {
                    httpGet: { path: '/api/health', port: 8080 },
                    initialDelaySeconds: 40,
                    periodSeconds: 40,
                    failureThreshold: 2,
                  },
                },
              ],
            },
          },
        },
      }),
    );
    if (props.rbac) {
      const metadata = { name: 'prefect-agent-rbac', namespace };
      this.role = addObject(
        this,
        'Role',
        manifest('rbac.authorization.k8s.io/v1', 'Role', {
          metadata,
          rules: [
            { apiGroups: ['batch', 'extensions'], resources: ['jobs'], verbs: ['*'] },
            { apiGroups: [''], resources: ['events', 'pods'], verbs: ['*'] },
          ],
        }),
      );
      this.roleBinding = addObject(
        this,
        'RoleBinding',
        manifest('rbac.authorization.k8s.io/v1', 'RoleBinding', {
          metadata,
          subjects: [{ kind: 'ServiceAccount', name: 'default' }],
          roleRef: { kind: 'Role', name: metadata.name, apiGroup: 'rbac.authorization.k8s.io' },
        }),
      );
    }
  }

  private check(props: StockPrefectAgentProps): void {
    if (props.tenantId !== undefined) checkUuid(this, 'tenantId', props.tenantId);
    if (props.agentConfigId !== undefined) checkUuid(this, 'agentConfigId', props.agentConfigId);
    if (props.api !== undefined) checkApiUrl(this, 'api', props.api);
    if (props.namespace !== undefined) checkDnsLabel(this, 'namespace', props.namespace);
    if (props.imagePullSecrets !== undefined) checkDnsSubdomain(this, 'imagePullSecrets', props.imagePullSecrets);
    if (props.serviceAccountName !== undefined) checkDnsSubdomain(this, 'serviceAccountName', props.serviceAccountName);
    checkAgentLabels(this, props.labels ?? []);
    for (const [i, label] of (props.labels ?? []).entries()) {
      if (!/^[ -~\u00a1-\u00ac\u00ae-\u024f]*$/.test(label)) {
        refuse(this, {
          prop: `labels[${i}]`,
          value: label,
          allowed: 'must have only ASCII characters and Latin letters: the CLI writes others differently in each Python release',
          remedy: 'adopt this install with PrefectAgent directly',
        });
      }
    }
    for (const [name, value] of Object.entries(props.env ?? {})) checkLongText(this, `env.${checkEnvName(this, 'env', name)}`, value);
  }
}

/** In the order, and with the dead variables, of agent/kubernetes/deployment.yaml of Prefect 1.4.1. */
function renderEnv(props: StockPrefectAgentProps, namespace: string): Plain<k8s.EnvVar>[] {
  const env = props.env ?? {};
  return [
    { name: 'PREFECT__CLOUD__AGENT__AUTH_TOKEN', value: props.key ?? '' },
    { name: 'PREFECT__CLOUD__API', value: props.api ?? 'https://api.prefect.io' },
    { name: 'NAMESPACE', value: namespace },
    { name: 'IMAGE_PULL_SECRETS', value: props.imagePullSecrets ?? '' },
    { name: 'PREFECT__CLOUD__AGENT__LABELS', value: reprList([...(props.labels ?? [])].sort()) },
    { name: 'JOB_MEM_REQUEST', value: props.memRequest ?? '' },
    { name: 'JOB_MEM_LIMIT', value: props.memLimit ?? '' },
    { name: 'JOB_CPU_REQUEST', value: props.cpuRequest ?? '' },
    { name: 'JOB_CPU_LIMIT', value: props.cpuLimit ?? '' },
    { name: 'IMAGE_PULL_POLICY', value: props.imagePullPolicy ?? '' },
    { name: 'SERVICE_ACCOUNT_NAME', value: props.serviceAccountName ?? '' },
    { name: 'PREFECT__BACKEND', value: props.backend ?? PrefectBackend.CLOUD },
    { name: 'PREFECT__CLOUD__AGENT__AGENT_ADDRESS', value: 'http://:8080' },
    { name: 'PREFECT__CLOUD__API_KEY', value: props.key ?? '' },
    { name: 'PREFECT__CLOUD__TENANT_ID', value: props.tenantId ?? '' },
    ...(Object.keys(env).length > 0 ? [{ name: 'PREFECT__CLOUD__AGENT__ENV_VARS', value: jsonDumps(env) }] : []),
  ];
}
