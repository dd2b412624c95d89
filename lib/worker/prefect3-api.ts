import { checkHttpUrl } from '../kubernetes/_checks';
import { checkArguments } from '../kubernetes/_guard';
import { refuse } from '../kubernetes/_refuse';
import type { ConfigMapKeyRef, SecretKeyRef } from '../kubernetes/key-ref';
import type { HttpProxy } from '../kubernetes/network';
import { checkUuid } from '../prefect-api/_checks';

/** The way to a Prefect 3 API, whichever it is. */
export interface Prefect3ApiOptions {
  /**
   * Certificate authorities (PEM) that are trusted for the API, instead of those of the image: a ConfigMap in the namespace of each pod
   * that uses it. Flow runs are told the path of its file, which their Jobs mount.
   *
   * @default - those of the image
   * @see https://docs.prefect.io/v3/api-ref/settings-ref#ssl_cert_file
   */
  readonly certificateAuthorities?: ConfigMapKeyRef;
  /**
   * Proxy to the API, for flow runs too.
   *
   * @default - none
   */
  readonly proxy?: HttpProxy;
}

/** How to reach a workspace of Prefect Cloud. */
export interface Prefect3CloudOptions extends Prefect3ApiOptions {
  /** Id of the account: a UUID. */
  readonly accountId: string;
  /** Id of the workspace: a UUID. */
  readonly workspaceId: string;
  /**
   * Where the API key is: a Secret in the namespace of each pod that uses it.
   *
   * @see https://docs.prefect.io/v3/how-to-guides/cloud/manage-users/api-keys
   */
  readonly apiKey: SecretKeyRef;
}

/** How to reach a Prefect 3 server of one's own. */
export interface Prefect3ServerOptions extends Prefect3ApiOptions {
  /** URL of the API, which ends in `/api`: `http://prefect-server.prefect:4200/api`. Flow runs use it too, so it must resolve for them. */
  readonly url: string;
  /**
   * Where the server's auth string (`USER:PASSWORD`) is: a Secret in the namespace of each pod that uses it.
   *
   * @default - the server asks for none
   * @see https://docs.prefect.io/v3/advanced/security-settings#basic-authentication
   */
  readonly authString?: SecretKeyRef;
}

/**
 * Where the API of Prefect 3 is and how to authenticate: one value that all that works with it shares. For Prefect 1 it is `PrefectApi`.
 *
 * @example
 * const server = Prefect3Api.server({ url: 'http://prefect-server.prefect:4200/api' });
 * const cloud = Prefect3Api.cloud({
 *   accountId: '11111111-2222-3333-4444-555555555555',
 *   workspaceId: '66666666-7777-8888-9999-000000000000',
 *   apiKey: SecretKeyRef.of('prefect-api-key', 'key'),
 * });
 *
 * @see https://docs.prefect.io/v3/api-ref/settings-ref#apisettings
 */
export class Prefect3Api {
  /**
   * A workspace of Prefect Cloud.
   *
   * @param options Account, workspace and API key.
   */
  public static cloud(options: Prefect3CloudOptions): Prefect3Api {
    checkArguments('Prefect3Api.cloud', { options });
    checkUuid('Prefect3Api', 'accountId', options.accountId);
    checkUuid('Prefect3Api', 'workspaceId', options.workspaceId);
    const url = `https://api.prefect.cloud/api/accounts/${options.accountId}/workspaces/${options.workspaceId}`;
    return new Prefect3Api(url, options, options.apiKey, undefined);
  }

  /**
   * A server of your own.
   *
   * @param options URL, and the auth string if the server asks for one.
   */
  public static server(options: Prefect3ServerOptions): Prefect3Api {
    checkArguments('Prefect3Api.server', { options });
    checkHttpUrl('Prefect3Api', 'url', options.url, {
      url: 'write for example http://prefect-server.prefect:4200/api',
      credentials: 'give authString: SecretKeyRef.of(...)',
    });
    if (options.url.endsWith('/')) {
      refuse('Prefect3Api', {
        prop: 'url',
        value: options.url,
        allowed: 'must not end in "/": Prefect appends a path to it',
        remedy: `write ${options.url.replace(/\/+$/, '')}`,
      });
    }
    if (['localhost', '127.0.0.1', '[::1]'].includes(new URL(options.url).hostname)) {
      refuse('Prefect3Api', {
        prop: 'url',
        value: options.url,
        allowed: 'must not be localhost: each flow run would look for the server in its own pod',
        remedy: 'name the Service of the server, for example http://prefect-server.prefect:4200/api',
      });
    }
    return new Prefect3Api(options.url, options, undefined, options.authString);
  }

  /** The certificate authorities that are trusted for the API, in place of those of the image. */
  public readonly certificateAuthorities?: ConfigMapKeyRef;
  /** Proxy to the API, if there is one. */
  public readonly proxy?: HttpProxy;

  /**
   * What tells it from `PrefectApi`.
   * @internal
   */
  public readonly _ofPrefect3 = true;

  private constructor(
    /** URL of the API: `PREFECT_API_URL`. */
    public readonly url: string,
    { certificateAuthorities, proxy }: Prefect3ApiOptions,
    /** Where the API key is, of Prefect Cloud: `PREFECT_API_KEY`. */
    public readonly apiKey?: SecretKeyRef,
    /** Where the auth string is, of a server that asks for one: `PREFECT_API_AUTH_STRING`. */
    public readonly authString?: SecretKeyRef,
  ) {
    this.certificateAuthorities = certificateAuthorities;
    this.proxy = proxy;
  }
}
