/** Where the agent may connect to. */
export interface EgressRule {
  /** Addresses, in CIDR notation: `10.0.0.0/8`, `2001:db8::/32`. */
  readonly cidr: string;
  /**
   * TCP ports.
   *
   * @default - all
   */
  readonly ports?: number[];
}

/** The proxy through which the agent reaches Prefect's API. The Kubernetes API is always reached directly. */
export interface HttpProxy {
  /** URL of the proxy. Without a password: it would be in clear in the Deployment. */
  readonly url: string;
  /**
   * Hosts, domains (`.example.com`) and networks (`10.0.0.0/8`) that are reached directly.
   *
   * @default - none but the Kubernetes API
   */
  readonly noProxy?: string[];
}
