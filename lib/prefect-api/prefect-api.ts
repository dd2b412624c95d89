import { checkArguments } from '../kubernetes/_guard';
import type { SecretKeyRef } from '../kubernetes/key-ref';
import { checkApiUrl, checkUuid } from './_checks';

/** The kind of Prefect API (`PREFECT__BACKEND`). */
export enum PrefectBackend {
  /** An API that authenticates as Prefect Cloud 1 did. */
  CLOUD = 'cloud',
  /** Prefect Server. */
  SERVER = 'server',
}

/** Connection to an API that authenticates as Prefect Cloud 1 did. */
export interface PrefectCloudOptions {
  /**
   * The Secret with the API key. It must exist in the namespace of the agent, and under the same name in that of the flow runs.
   *
   * @see https://docs-v1.prefect.io/orchestration/concepts/api_keys.html
   */
  readonly apiKey: SecretKeyRef;
  /**
   * Id of the tenant: a UUID.
   *
   * @default - the default tenant of the API key
   */
  readonly tenantId?: string;
  /** URL of the API, for example `https://prefect.example.com`. The pods of flow runs use it too, so it must resolve in their namespace. */
  readonly url: string;
}

/** Connection to a Prefect Server. */
export interface PrefectServerOptions {
  /**
   * URL of the API, for example `http://prefect-apollo.prefect:4200`. The pods of flow runs use it too, so it must resolve in their
   * namespace.
   */
  readonly url: string;
  /**
   * Id of the tenant: a UUID.
   *
   * @default - the first tenant of the server
   */
  readonly tenantId?: string;
  /**
   * The Secret with a bearer token, for a server behind a proxy that asks for one.
   *
   * @default - requests carry no token
   */
  readonly apiKey?: SecretKeyRef;
}

/**
 * The Prefect API and how to authenticate. The agent, the flow runs and the sweeper share one value.
 *
 * @see https://docs-v1.prefect.io/orchestration/concepts/api.html
 */
export class PrefectApi {
  /**
   * An API that authenticates as Prefect Cloud 1 did, with an API key in every request. Prefect Cloud 1 itself was shut down, so the
   * URL has no default. For Prefect Server, use `PrefectApi.server`.
   *
   * @param options URL, API key and tenant
   */
  public static cloud(options: PrefectCloudOptions): PrefectApi {
    checkArguments('PrefectApi.cloud', { options });
    return new PrefectApi(PrefectBackend.CLOUD, options.url, options.tenantId, options.apiKey);
  }

  /**
   * A Prefect Server, on your own cluster or machine.
   *
   * @param options URL, tenant and token
   */
  public static server(options: PrefectServerOptions): PrefectApi {
    checkArguments('PrefectApi.server', { options });
    return new PrefectApi(PrefectBackend.SERVER, options.url, options.tenantId, options.apiKey);
  }

  private constructor(
    /** The kind of API. */
    public readonly backend: PrefectBackend,
    /** URL of the API. */
    public readonly url: string,
    /** Id of the tenant, if you gave one. */
    public readonly tenantId?: string,
    /** The Secret with the API key or token, if you gave one. */
    public readonly apiKey?: SecretKeyRef,
  ) {
    checkApiUrl('PrefectApi', 'url', url);
    if (tenantId !== undefined) checkUuid('PrefectApi', 'tenantId', tenantId);
  }
}
