"""One sweeper at a time in a namespace: only the holder of its Lease acts.

The Lease has the same name for every sweeper. It is created at run time, because two apps with it in their manifests would prune each
other's. The holder is the uid of a pod. No two clocks are compared. The holder counts from the moment before it sent the renewal. Others
count from the moment at which they first saw this version of the Lease. Both use their own monotonic clock.
"""

from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, Callable, Dict, NamedTuple

from api_server import version_of
from errors import Conflict, Held

NAME = "flow-run-sweeper"
# The namespace and name of the sweeper to which the holder belongs.
SWEEPER = "cdk8s-prefect/sweeper"
# The resourceVersions of the lists of Jobs and pods that the ledger has taken in.
NOTE = "cdk8s-prefect/seen"
# How long a holder may act after a renewal, in seconds. The next pod of the same sweeper waits as long before it takes over. It is longer
# than a second look and a write to Prefect together.
HOLD = 12


class Holding(NamedTuple):
    version: str
    until: float


class Leases:
    def __init__(self, kubernetes: Any, pod_uid: str, sweeper: str, interval: float, now: Callable[[], float]):
        self.kubernetes = kubernetes
        self.pod_uid = pod_uid
        self.sweeper = sweeper
        self.interval = interval
        self.now = now
        # The duration of the last round through all namespaces, in seconds.
        self.round = 0.0
        # Notes in the Lease for the next process of this sweeper.
        self.notes = {}  # type: Dict[str, str]
        self.mine = {}  # type: Dict[str, Holding]
        # The namespaces whose Lease this process may hold, also if SIGTERM has cut off a renewal.
        self.taken = set()  # type: Set[str]
        # For each Lease that another pod holds: its resourceVersion, and when this process first saw it.
        self.seen = {}  # type: Dict[str, Tuple[str, float]]

    def renew(self, namespace: str) -> str:
        """Takes or renews the Lease, and returns the note in it. Raises `Held` if another pod may hold it."""
        asked = self.now()
        holding = self.mine.pop(namespace, None)
        try:
            # Nobody else has taken the Lease if it still has the resourceVersion of the last renewal, however long ago.
            version = holding.version if holding else self.free(namespace)
            self.taken.add(namespace)
            version = self.kubernetes.write_lease(namespace, self.lease(namespace, version, self.pod_uid))
        except Conflict as conflict:
            raise Held(f"its Lease has changed ({conflict})", False) from conflict
        self.mine[namespace] = Holding(version, asked + HOLD)
        return self.notes.get(namespace, "")

    def free(self, namespace: str) -> str:
        """The resourceVersion of a Lease that nobody holds any more."""
        found = self.kubernetes.read_lease(namespace)
        if found is None:
            # The holder of a deleted Lease may still act. So the new Lease counts as held only after that time.
            self.taken.discard(namespace)
            found = self.kubernetes.make_lease(namespace, self.lease(namespace, "", self.pod_uid))
        metadata, spec = found["metadata"], found.get("spec") or {}
        version, holder = version_of(found), spec.get("holderIdentity") or ""
        annotations = metadata.get("annotations") or {}
        own = annotations.get(SWEEPER) == self.sweeper
        # The notes of another sweeper are about its own ledger.
        self.notes[namespace] = annotations.get(NOTE, "") if own else ""
        seen, since = self.seen.get(namespace, ("", 0.0))
        if seen != version:
            since = self.now()
            self.seen[namespace] = (version, since)
        wait = max(HOLD, 0 if own else patience(spec)) if holder else 0
        if self.now() - since < wait:
            whose = "an earlier pod of this sweeper" if own else f"another sweeper, pod {holder}"
            raise Held(f"its Lease is held by {whose}", not own)
        return version

    def left(self, namespace: str) -> float:
        """The number of seconds for which the Lease is still held."""
        return self.mine[namespace].until - self.now() if namespace in self.mine else 0

    def release(self) -> None:
        """Releases all Leases, so that others need not wait. If a release fails, they wait."""
        self.mine.clear()
        for namespace in self.taken:
            with suppress(Exception):
                found = self.kubernetes.read_lease(namespace)
                if found and found["spec"]["holderIdentity"] == self.pod_uid:
                    self.kubernetes.write_lease(namespace, self.lease(namespace, version_of(found), ""))

    def lease(self, namespace: str, version: str, holder: str) -> Dict[str, Any]:
        notes = {SWEEPER: self.sweeper, NOTE: self.notes.get(namespace, "")}
        metadata = {"name": NAME, "annotations": notes}  # type: Dict[str, Any]
        if version:
            metadata["resourceVersion"] = version
        spec = {
            "holderIdentity": holder,
            # The time that another sweeper waits. This sweeper renews the Lease at least once in a round.
            "leaseDurationSeconds": int(HOLD + 2 * (self.interval + self.round)),
            # For people only. No sweeper compares it.
            "renewTime": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def patience(spec: Dict[str, Any]) -> float:
    seconds = spec.get("leaseDurationSeconds")
    return seconds if isinstance(seconds, int) else 0
