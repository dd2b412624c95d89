/** A destination to which a pod may connect. */
export interface EgressRule {
  /** Addresses in CIDR notation, for example `10.0.0.0/8` or `2001:db8::/32`. */
  readonly cidr: string;
  /**
   * TCP ports.
   *
   * @default - all
   */
  readonly ports?: number[];
}

/** A proxy for requests to Prefect's API. Requests to the Kubernetes API never use it. */
export interface HttpProxy {
  /** URL of the proxy, without a password: everyone who can read the Deployment would see it. */
  readonly url: string;
  /**
   * Hosts, domains (`.example.com`) and networks (`10.0.0.0/8`) for which the proxy is not used.
   *
   * @default - none but the Kubernetes API
   */
  readonly noProxy?: string[];
}
