import { createHash } from 'node:crypto';
import { type ApiObject, Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import { Construct } from 'constructs';
import { checkDnsLabel } from './_checks';
import { addObject, recommendedLabels } from './_object';

/** Levels of Prefect's loggers. */
export enum LogLevel {
  /** Everything. */
  DEBUG = 'DEBUG',
  /** What happens. Prefect's default. */
  INFO = 'INFO',
  /** What may go wrong. */
  WARNING = 'WARNING',
  /** What went wrong. */
  ERROR = 'ERROR',
  /** What cannot go on. */
  CRITICAL = 'CRITICAL',
}

/** Properties of `DebugConfig`. */
export interface DebugConfigProps {
  /**
   * Level of the agent's own log: `level` of `[cloud.agent]`.
   *
   * @default LogLevel.DEBUG
   * @see https://docs-v1.prefect.io/orchestration/agents/overview.html
   */
  readonly level?: LogLevel;
  /**
   * Level of the log of every flow run: `level` of `[logging]`. A flow's own run config may override it; a Job template cannot
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
 * Log levels of an agent and its flow runs, as a `config.toml` in a ConfigMap. Give it to a `PrefectAgent` in the same namespace
 * as `debug`: the agent mounts it, reads it, and is restarted when it changes.
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
  /** Level of the agent's own log. */
  public readonly level: LogLevel;
  /** Level of the log of every flow run. */
  public readonly flowLevel: LogLevel;
  /** SHA-256 of the file, in hexadecimal. */
  public readonly checksum: string;

  public constructor(scope: Construct, id: string, props: DebugConfigProps = {}) {
    super(scope, id);
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
      k8s.KubeConfigMap.manifest({
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
