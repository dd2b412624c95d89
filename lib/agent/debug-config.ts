import { createHash } from 'node:crypto';
import { type ApiObject, Chart } from 'cdk8s';
import { Construct } from 'constructs';
import { checkDnsLabel } from '../kubernetes/_checks';
import { checkProps } from '../kubernetes/_guard';
import { manifest } from '../kubernetes/_manifest';
import { addObject, recommendedLabels } from '../kubernetes/_object';
import { LogLevel } from '../prefect-api/log-level';

/** Properties of `DebugConfig`. */
export interface DebugConfigProps {
  /**
   * Log level of the agent: `level` of `[cloud.agent]`.
   *
   * @default LogLevel.DEBUG
   * @see https://docs-v1.prefect.io/orchestration/agents/overview.html
   */
  readonly level?: LogLevel;
  /**
   * Log level of every flow run: `level` of `[logging]`. The run config of a flow overrides it. A Job template cannot override it
   * (PrefectHQ/prefect#4549).
   *
   * @default - not written: LogLevel.INFO
   * @see https://docs-v1.prefect.io/core/concepts/logging.html
   */
  readonly flowLevel?: LogLevel;
  /**
   * Name of the ConfigMap.
   *
   * @default 'config-toml'
   */
  readonly resourceName?: string;
}

/**
 * Log levels of an agent and its flow runs, as a `config.toml` in a ConfigMap. Give it to a `PrefectAgent` of the same namespace as
 * `debug`. The agent restarts when it changes.
 *
 * @example
 * const debug = new DebugConfig(chart, 'Debug', { flowLevel: LogLevel.DEBUG });
 * new PrefectAgent(chart, 'Agent', { api, debug });
 *
 * @see https://docs-v1.prefect.io/core/concepts/configuration.html
 */
export class DebugConfig extends Construct {
  /** The ConfigMap, child `Resource`. */
  public readonly configMap: ApiObject;
  /** Name of the ConfigMap. */
  public readonly configMapName: string;
  /** Namespace of the ConfigMap, if its chart has one. */
  public readonly namespace?: string;
  /** Log level of the agent. */
  public readonly level: LogLevel;
  /** Log level of every flow run. */
  public readonly flowLevel: LogLevel;
  /** SHA-256 of the file, in hexadecimal. */
  public readonly checksum: string;

  public constructor(scope: Construct, id: string, props: DebugConfigProps = {}) {
    super(scope, id);
    props = checkProps(this, 'DebugConfigProps', props);
    this.configMapName = checkDnsLabel(this, 'resourceName', props.resourceName ?? 'config-toml');
    this.namespace = Chart.of(this).namespace;

    this.level = props.level ?? LogLevel.DEBUG;
    this.flowLevel = props.flowLevel ?? LogLevel.INFO;
    const toml = [
      '[cloud.agent]',
      `level = "${this.level}"`,
      ...(props.flowLevel ? ['', '[logging]', `level = "${props.flowLevel}"`] : []),
      '',
    ].join('\n');
    this.checksum = createHash('sha256').update(toml).digest('hex');
    this.configMap = addObject(
      this,
      'Resource',
      manifest('v1', 'ConfigMap', {
        metadata: { name: this.configMapName, labels: recommendedLabels('prefect-config', this.configMapName) },
        data: { [DebugConfig._FILE]: toml },
      }),
    );
  }

  /**
   * Key of the ConfigMap.
   * @internal
   */
  public static readonly _FILE = 'config.toml';
}
