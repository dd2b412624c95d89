import { Duration, Size } from 'cdk8s';
import { refuse } from '../kubernetes/_refuse';
import { EnvFrom, type EnvFromOptions } from '../kubernetes/env-from';
import { EnvValue } from '../kubernetes/env-value';
import { ConfigMapKeyRef, SecretKeyRef } from '../kubernetes/key-ref';
import { Cpu } from '../kubernetes/resources';
import { type DataVolumeOptions, Volume, type VolumeMountOptions } from '../kubernetes/volume';
import { PrefectApi, type PrefectCloudOptions, type PrefectServerOptions } from '../prefect-api/prefect-api';

// The notation of value classes in a file. scripts/fleet-schema.mjs uses `XNotation` wherever a prop has the type `X`.

/**
 * A time: numbers with d, h, m, s or ms, like 30s or 1h30m.
 *
 * @pattern ^(\d+(d|h|ms|m|s))+$
 */
export type DurationNotation = string;

/**
 * An amount of memory or disk: a number with Ki, Mi, Gi, Ti or Pi, like 512Mi.
 *
 * @pattern ^\d+(\.\d+)?(Ki|Mi|Gi|Ti|Pi)$
 */
export type SizeNotation = string;

/**
 * An amount of processor time: CPUs or, with m, thousandths of one, like 2, 0.5 or 500m.
 *
 * @pattern ^\d+(\.\d+)?m?$
 */
export type CpuNotation = string | number;

/** A key of a Secret. */
export interface SecretKeyRefNotation {
  /** Name of the Secret. */
  readonly name: string;
  /** Key in its data. */
  readonly key: string;
}

/** A key of a ConfigMap. */
export interface ConfigMapKeyRefNotation {
  /** Name of the ConfigMap. */
  readonly name: string;
  /** Key in its data. */
  readonly key: string;
}

/**
 * The Prefect API: either cloud or server.
 * @minProperties 1
 * @maxProperties 1
 */
export interface PrefectApiNotation {
  /** An API with the authentication of Prefect Cloud 1. */
  readonly cloud?: PrefectCloudOptions;
  /** A Prefect Server. */
  readonly server?: PrefectServerOptions;
}

/**
 * The source of an environment variable: one of secretKeyRef, configMapKeyRef and fieldRef.
 *
 * @minProperties 1
 * @maxProperties 1
 */
export interface EnvSource {
  /** A key of a Secret. */
  readonly secretKeyRef?: SecretKeyRefNotation;
  /** A key of a ConfigMap. */
  readonly configMapKeyRef?: ConfigMapKeyRefNotation;
  /** A field of the pod. */
  readonly fieldRef?: {
    /** For example status.hostIP. */
    readonly fieldPath: string;
  };
}

/** Every key of a Secret or ConfigMap as an environment variable: one of secretRef and configMapRef. */
export interface EnvFromNotation extends EnvFromOptions {
  /** Every key of a Secret. */
  readonly secretRef?: { readonly name: string };
  /** Every key of a ConfigMap. */
  readonly configMapRef?: { readonly name: string };
}

/** The value of an environment variable: a string (in quotes if it looks like a number or a boolean), or its source. */
export type EnvValueNotation = string | EnvSource;

/** A volume and its mount path: one of secret, configMap, persistentVolumeClaim, emptyDir and source. */
export interface VolumeNotation extends VolumeMountOptions {
  /** Each key of a Secret as a file. */
  readonly secret?: { readonly secretName: string } & Omit<DataVolumeOptions, keyof VolumeMountOptions>;
  /** Each key of a ConfigMap as a file. */
  readonly configMap?: { readonly name: string } & Omit<DataVolumeOptions, keyof VolumeMountOptions>;
  /** An existing claim. */
  readonly persistentVolumeClaim?: { readonly claimName: string };
  /** Any other source, in the words of the Kubernetes API, verbatim. */
  readonly source?: { readonly [kind: string]: unknown };
  /** An empty directory that lives as long as the pod. */
  readonly emptyDir?: { readonly medium?: 'Memory' };
}

/** Converts a notation to the value of a prop, by the name of the class. Nested notations are already converted. */
export const NOTATIONS = {
  Duration: (text: DurationNotation) => {
    const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
    const parts = [...text.matchAll(/(\d+)(d|h|ms|m|s)/g)];
    const millis = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * units[unit as keyof typeof units], 0);
    return millis % 1000 === 0 ? Duration.seconds(millis / 1000) : Duration.millis(millis);
  },
  Size: (text: SizeNotation) => {
    const power = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi'].indexOf(text.slice(-2));
    return Size.kibibytes(Number(text.slice(0, -2)) * 1024 ** power);
  },
  Cpu: (amount: CpuNotation) => {
    const text = String(amount);
    return text.endsWith('m') ? Cpu.millis(Number(text.slice(0, -1))) : Cpu.units(Number(text));
  },
  SecretKeyRef: ({ name, key }: SecretKeyRefNotation) => SecretKeyRef.of(name, key),
  ConfigMapKeyRef: ({ name, key }: ConfigMapKeyRefNotation) => ConfigMapKeyRef.of(name, key),
  PrefectApi: ({ cloud, server }: PrefectApiNotation) =>
    cloud ? PrefectApi.cloud(cloud) : PrefectApi.server(server as PrefectServerOptions),
  EnvValue: (value: EnvValueNotation) => {
    if (typeof value === 'string') return EnvValue.of(value);
    const { secretKeyRef, configMapKeyRef, fieldRef } = value;
    if (secretKeyRef) return EnvValue.fromSecret(SecretKeyRef.of(secretKeyRef.name, secretKeyRef.key));
    if (configMapKeyRef) return EnvValue.fromConfigMap(ConfigMapKeyRef.of(configMapKeyRef.name, configMapKeyRef.key));
    return EnvValue.fromField(fieldRef?.fieldPath ?? '');
  },
  EnvFrom: ({ secretRef, configMapRef, ...options }: EnvFromNotation) => {
    const [make, ...others] = [
      secretRef && (() => EnvFrom.secret(secretRef.name, options)),
      configMapRef && (() => EnvFrom.configMap(configMapRef.name, options)),
    ].filter((one) => one !== undefined);
    if (make === undefined || others.length > 0) {
      refuse('EnvFrom', { prop: 'its source', allowed: 'must be one of secretRef and configMapRef', remedy: 'give exactly one' });
    }
    return make();
  },
  Volume: ({ secret, configMap, persistentVolumeClaim, emptyDir, source, ...mount }: VolumeNotation) => {
    const sources = [
      secret &&
        (() => {
          const { secretName, ...data } = secret;
          return Volume.fromSecret(secretName, { ...mount, ...data });
        }),
      configMap &&
        (() => {
          const { name, ...data } = configMap;
          return Volume.fromConfigMap(name, { ...mount, ...data });
        }),
      persistentVolumeClaim && (() => Volume.fromPersistentVolumeClaim(persistentVolumeClaim.claimName, mount)),
      source && (() => Volume.fromSource(source, mount)),
      emptyDir && (() => Volume.emptyDir({ inMemory: emptyDir.medium === 'Memory', ...mount })),
    ].filter((make) => make !== undefined);
    const [make, ...others] = sources;
    if (make === undefined || others.length > 0) {
      refuse('Volume', {
        prop: 'its source',
        allowed: 'must be one of secret, configMap, persistentVolumeClaim, emptyDir and source',
        remedy: 'give exactly one',
      });
    }
    return make();
  },
} satisfies Record<string, (value: never) => object>;
