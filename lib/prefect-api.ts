import { checkApiUrl, checkUuid } from './_checks';
import type { SecretKeyRef } from './key-ref';

/** The kind of API that Prefect 1 speaks to (`PREFECT__BACKEND`). */
export enum PrefectBackend {
  /** Prefect Cloud 1, or an API that authenticates as it does. */
  CLOUD = 'cloud',
  /** Prefect Server. */
  SERVER = 'server',
}

/** How to reach Prefect Cloud. */
export interface PrefectCloudOptions {
  /**
   * Where the API key is. The Secret must be in the agent's namespace, and in the namespace of its flows.
   *
   * @see https://docs-v1.prefect.io/orchestration/concepts/api_keys.html
   */
  readonly apiKey: SecretKeyRef;
  /**
   * The tenant to work in: a UUID.
   *
   * @default - the default tenant of the API key
   */
  readonly tenantId?: string;
  /**
   * URL of the API. Flow pods use it too, so it must resolve in their namespace.
   *
   * @default 'https://api.prefect.io'
   */
  readonly url?: string;
}

/** How to reach a Prefect Server. */
export interface PrefectServerOptions {
  /** URL of the API, for example `http://prefect-apollo.prefect:4200`. Flow pods use it too, so it must resolve in their namespace. */
  readonly url: string;
  /**
   * The tenant to work in: a UUID.
   *
   * @default - the first tenant of the server
   */
  readonly tenantId?: string;
  /**
   * Where a bearer token is, for a server behind a proxy that asks for one.
   *
   * @default - requests carry no token
   */
  readonly apiKey?: SecretKeyRef;
}

/**
 * Where Prefect's API is and how to authenticate: one value that the agent and all that works beside it share.
 *
 * @see https://docs-v1.prefect.io/orchestration/concepts/api.html
 */
export class PrefectApi {
  /** Prefect Cloud 1. */
  public static cloud(options: PrefectCloudOptions): PrefectApi {
    return new PrefectApi(PrefectBackend.CLOUD, options.url ?? 'https://api.prefect.io', options.tenantId, options.apiKey);
  }

  /** A Prefect Server of one's own. */
  public static server(options: PrefectServerOptions): PrefectApi {
    return new PrefectApi(PrefectBackend.SERVER, options.url, options.tenantId, options.apiKey);
  }

  private constructor(
    /** Which kind of API it is. */
    public readonly backend: PrefectBackend,
    /** URL of the API. */
    public readonly url: string,
    /** The tenant, if one was chosen. */
    public readonly tenantId?: string,
    /** Where the API key is, if one is needed. */
    public readonly apiKey?: SecretKeyRef,
  ) {
    checkApiUrl('PrefectApi', 'url', url);
    if (tenantId !== undefined) checkUuid('PrefectApi', 'tenantId', tenantId);
  }
}
