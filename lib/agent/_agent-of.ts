import { type Fields, fieldsOf, listOf } from '../kubernetes/_stored';
import { containersOf } from '../kubernetes/_weaknesses';

/** The settings of a Prefect 1 agent, from its arguments and environment. */
export interface AgentOf {
  readonly namespace: string;
  /** `undefined` if they cannot be read. */
  readonly labels?: readonly string[];
  readonly rawLabels: string;
  readonly replicas: number;
  /** Whether the new pod starts before the old one has ended (RollingUpdate). */
  readonly overlaps: boolean;
  /** The environment variables by name, without empty ones. */
  readonly api: Readonly<Record<string, string>>;
  /** `NAME/KEY` of the Secret that each flow run reads. */
  readonly keySecret?: string;
}

export function agentOf(manifest: Fields): AgentOf | undefined {
  if (manifest.kind !== 'Deployment') return undefined;
  const spec = fieldsOf(manifest.spec);
  for (const container of containersOf(fieldsOf(spec.template?.spec))) {
    const words = [container.command, container.args].flatMap((part) => (Array.isArray(part) ? part.map(String) : []));
    if (!/\bagent kubernetes start\b/.test(words.join(' '))) continue;
    const env = new Map(listOf(container.env).map(({ name, value }) => [name, String(value ?? '')]));
    const options = (name: string) => words.filter((word) => word.startsWith(`--${name}=`)).map((word) => word.slice(name.length + 3));
    const labels = options('label').map((label) => label.replaceAll('$$', '$'));
    const inEnv = env.get('PREFECT__CLOUD__AGENT__LABELS') ?? '';
    const listed = /^\[\s*(?:(?:'[^'\\]*'|"[^"\\]*")\s*(?:,\s*)?)*\]$/.test(inEnv) ? (inEnv.match(/'[^']*'|"[^"]*"/g) ?? []) : undefined;
    const api = ['PREFECT__BACKEND', 'PREFECT__CLOUD__API', 'PREFECT__CLOUD__TENANT_ID'].map(
      (name) => [name, env.get(name) ?? ''] as const,
    );
    return {
      namespace: env.get('NAMESPACE') || (manifest.metadata.namespace ?? ''),
      labels: labels.length > 0 || inEnv === '' ? labels.sort() : listed?.map((label) => label.slice(1, -1)).sort(),
      rawLabels: inEnv,
      replicas: typeof spec.replicas === 'number' ? spec.replicas : 1,
      overlaps: fieldsOf(spec.strategy).type !== 'Recreate',
      api: Object.fromEntries(api.filter(([, value]) => value !== '')),
      keySecret: options('api-key-secret')[0],
    };
  }
  return undefined;
}
