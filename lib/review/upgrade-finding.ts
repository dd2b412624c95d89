/** The effect of a change, the most dangerous first. */
export enum UpgradeClass {
  /** A Secret, ConfigMap, service account or Role is newly used and is not among the manifests. */
  NEEDS = 'needs',
  /** The API server refuses to update the object. */
  REFUSED = 'refused',
  /** A secret value becomes readable. */
  SECRET_IN_CLEAR = 'secret-in-clear',
  /** A service account, user or group may do more. */
  PERMISSIONS_WIDENED = 'permissions-widened',
  /** A second agent runs next to the first, permanently or during a restart. */
  SECOND_AGENT = 'second-agent',
  /** No agent runs. */
  AGENT_STOPS = 'agent-stops',
  /** A pod, or the Pod Security level of a namespace, becomes less secure. */
  POD_SECURITY_WEAKENED = 'pod-security-weakened',
  /** The review does not know the effect of the change. */
  CANNOT_TELL = 'cannot-tell',
  /** The change affects current flow runs. */
  RUNNING_FLOWS = 'running-flows',
  /** An object is no longer among the manifests, and stays in the cluster until you delete it. */
  LEFT_BEHIND = 'left-behind',
  /** The pods of a Deployment are replaced. */
  RESTARTS = 'restarts',
  /** The change takes effect immediately, without a restart. */
  LIVE_CHANGE = 'live-change',
  /** Later flow runs are different. */
  NEXT_RUN = 'next-run',
  /** A service account, user or group may do less. */
  PERMISSIONS_NARROWED = 'permissions-narrowed',
  /** A service account gets permissions that the previous account of the same pods had. */
  PERMISSIONS_MOVED = 'permissions-moved',
  /** The change has no effect. */
  HARMLESS = 'harmless',
}

/** How manifests are applied. */
export enum ApplyMode {
  /** `kubectl apply`. */
  CLIENT_SIDE = 'client-side',
  /** `kubectl apply --server-side`, Flux, and Argo CD with `ServerSideApply=true`. */
  SERVER_SIDE = 'server-side',
}

/** One effect of an upgrade on one object. */
export class UpgradeFinding {
  /** @internal */
  public static _of(finding: object): UpgradeFinding {
    return Object.assign(new UpgradeFinding(), finding);
  }

  /** The effect. */
  public readonly upgradeClass!: UpgradeClass;
  /** The object, as `KIND NAMESPACE/NAME`. For permissions, the subject that has them. */
  public readonly object!: string;
  /** The reason in a few words. It never contains a secret. */
  public readonly reason!: string;
  /** The field of the object, if the effect has one. */
  public readonly path?: string;
  /** What to do: a command, if there is one. */
  public readonly remedy?: string;
  /** The only way of applying that has this effect. Undefined if every way has it. */
  public readonly applyMode?: ApplyMode;

  private constructor() {}
}
