"""The requests of a sweeper to Kubernetes."""

import logging
import time
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

from api_server import ApiServer, TooLarge, version_of
from errors import Conflict, Unlike
from lease import NAME as LEASE
from rules import DaskObject, Pod, Sight
from sights import DASK_CLUSTER, FLOW_RUN, ODD, STAMP, dask_object, flow_container_of_job, job_of, pod_of
from watch import seen_in

log = logging.getLogger("sweeper")

# The length of a watch that catches up, in seconds. Past changes arrive at once.
CATCH_UP = 1
# The number of objects in one answer. A page that is larger than the sweeper reads is asked for again with a quarter of them.
KUBERNETES_PAGE = 500
# The longest time for listing one namespace, in seconds, so that its objects do not keep the sweeper from other namespaces.
LOOK = 300
# The longest time for another list, in seconds.
LIST = 60
# Asks for the metadata of objects alone.
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

# The API version and the path of each kind.
KINDS = {
    "Job": ("batch/v1", "/apis/batch/v1/namespaces/{}/jobs"),
    "Pod": ("v1", "/api/v1/namespaces/{}/pods"),
    "Service": ("v1", "/api/v1/namespaces/{}/services"),
    "PodDisruptionBudget": ("policy/v1", "/apis/policy/v1/namespaces/{}/poddisruptionbudgets"),
    "ConfigMap": ("v1", "/api/v1/namespaces/{}/configmaps"),
    "Lease": ("coordination.k8s.io/v1", "/apis/coordination.k8s.io/v1/namespaces/{}/leases"),
    "Event": ("v1", "/api/v1/namespaces/{}/events"),
}


class Text(NamedTuple):
    """The text of a ledger, and the resourceVersion and uid of its ConfigMap."""

    data: Dict[str, str]
    version: str
    uid: str


class Kubernetes:
    def __init__(self, server: ApiServer) -> None:
        self.call = server.call
        self.watch = server.watch
        self.version = ""
        # The end of the look at a namespace, if one is under way.
        self.until = None  # type: Optional[float]

    def watch_list(self, kind: str, namespace: str, each: Callable[[str, Dict[str, Any]], None], version: str, selector: str) -> None:
        """Calls `each` for every change since the list of this resourceVersion."""
        self.watch(KINDS[kind][1].format(namespace), CATCH_UP, each, labelSelector=selector, resourceVersion=version)

    def list(self, kind: str, namespace: str, **query: Any) -> Iterator[Dict[str, Any]]:
        limit = KUBERNETES_PAGE
        until = time.monotonic() + LIST if self.until is None else self.until
        while True:
            if time.monotonic() > until:
                took = LIST if self.until is None else LOOK
                raise TimeoutError(f"{namespace} is not listed after {took} s: its Jobs and pods are too many or too large")
            try:
                page = self.call("GET", KINDS[kind][1].format(namespace), limit=limit, **query)
            except TooLarge:
                if limit == 1:
                    raise
                limit = max(1, limit // 4)
                continue
            # All pages of a list have the same resourceVersion.
            self.version = version_of(page)
            # A list of metadata without items has `null`.
            items = [] if page["items"] is None else page["items"]
            if not isinstance(items, list):
                # Read as an empty list, it would say that every Job and pod is gone.
                raise Unlike(f"the list of {kind} in {namespace} has {type(items).__name__} for items")
            yield from items
            last, query["continue"] = query.get("continue"), page["metadata"].get("continue")
            if not query["continue"]:
                return
            if query["continue"] == last:
                raise Unlike(f"the list of {kind} in {namespace} does not end")

    def look(self, namespace: str, with_dask: bool) -> Sight:
        self.until = time.monotonic() + LOOK
        try:
            odd = []  # type: List[str]
            dask = list(self.dask_objects(namespace, odd)) if with_dask else []
            return self.jobs_and_pods(namespace, odd)._replace(dask=dask)
        finally:
            self.until = None

    def look_again(self, namespace: str, run_id: str) -> Sight:
        """The Jobs and pods of one flow run."""
        sight = self.jobs_and_pods(namespace, [], "=" + run_id)
        return sight._replace(ends=seen_in(sight).letters)

    def jobs_and_pods(self, namespace: str, odd: List[str], run: str = "") -> Sight:
        jobs, containers = [], {}  # type: List[Job], Dict[str, str]
        for item in self.list("Job", namespace, labelSelector=f"{FLOW_RUN}{run},{STAMP}job-template"):
            job = self.read(job_of, item, odd)
            if job:
                jobs.append(job)
                containers[job.uid] = flow_container_of_job(item)["name"]
        version = self.version
        # Pods are listed after the Jobs, so that the list has the pods of each Job.
        items = self.list("Pod", namespace, labelSelector=FLOW_RUN + run)
        pods = [self.read(lambda item: pod_of(item, containers), item, odd) for item in items]
        return Sight((), jobs, [pod for pod in pods if pod], odd, (version, self.version))

    def dask_objects(self, namespace: str, odd: List[str]) -> Iterator[DaskObject]:
        ended = "status.phase!=Pending,status.phase!=Running,status.phase!=Unknown"
        selector = DASK_CLUSTER + ",dask.org/component=worker"
        workers = self.list("Pod", namespace, labelSelector=selector, fieldSelector=ended, accept=METADATA)
        finished = {item["metadata"]["uid"] for item in workers}
        for kind in ("Service", "PodDisruptionBudget", "Pod"):
            for item in self.list(kind, namespace, labelSelector=DASK_CLUSTER, accept=METADATA):
                found = self.read(lambda item, kind=kind: dask_object(kind, item["metadata"], finished), item, odd)
                if found and not item["metadata"].get("deletionTimestamp"):
                    yield found

    def read(self, parse: Any, item: Dict[str, Any], odd: List[str]) -> Any:
        """Reads an object. If a field is malformed, the flow run of its label is added to `odd`."""
        try:
            return parse(item)
        except ODD as error:
            metadata = fields_of(fields_of(item).get("metadata"))
            log.error("%s cannot be read, its flow run is left alone: %s: %s", metadata.get("name"), type(error).__name__, error)
            odd.append(str(fields_of(metadata.get("labels")).get(FLOW_RUN, "")))
            return None

    def pod(self, namespace: str, name: str) -> Optional[Pod]:
        return next(map(pod_of, self.list("Pod", namespace, fieldSelector="metadata.name=" + name)), None)

    def events(self, namespace: str, uid: str) -> List[Dict[str, Any]]:
        return list(self.list("Event", namespace, fieldSelector="involvedObject.uid=" + uid))

    def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        self.call("DELETE", KINDS[kind][1].format(namespace) + "/" + name, body)

    def tell(self, namespace: str, kind: str, name: str, uid: str, reason: str, message: str) -> None:
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "metadata": {"generateName": name[:50].rstrip("-.") + "-"},
            "involvedObject": {"apiVersion": KINDS[kind][0], "kind": kind, "namespace": namespace, "name": name, "uid": uid},
            "reason": reason,
            "message": message[:1024],
            "type": "Normal",
            "source": {"component": "flow-run-sweeper"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        self.call("POST", KINDS["Event"][1].format(namespace), event)

    def read_lease(self, namespace: str) -> Optional[Dict[str, Any]]:
        try:
            return self.call("GET", KINDS["Lease"][1].format(namespace) + "/" + LEASE)
        except Conflict:
            return None

    def make_lease(self, namespace: str, lease: Dict[str, Any]) -> Dict[str, Any]:
        return self.call("POST", KINDS["Lease"][1].format(namespace), lease)

    def write_lease(self, namespace: str, lease: Dict[str, Any]) -> str:
        """Replaces the Lease if it still has the resourceVersion of the new one. Returns the resourceVersion after that."""
        return version_of(self.call("PUT", KINDS["Lease"][1].format(namespace) + "/" + LEASE, lease))

    def read_ledger(self, namespace: str, name: str) -> Optional[Text]:
        try:
            item = self.call("GET", KINDS["ConfigMap"][1].format(namespace) + "/" + name)
        except Conflict:
            return None
        return Text(item.get("data") or {}, version_of(item), item["metadata"]["uid"])

    def write_ledger(self, namespace: str, name: str, before: Dict[str, str], after: Dict[str, str], version: str) -> str:
        """Writes the differences, unless the ConfigMap has changed since this resourceVersion. Returns the resourceVersion after that."""
        changed = {key: after.get(key) for key in (*before, *after) if before.get(key) != after.get(key)}
        if not changed:
            return version
        body = {"metadata": {"resourceVersion": version}, "data": changed}
        path = KINDS["ConfigMap"][1].format(namespace) + "/" + name
        return version_of(self.call("PATCH", path, body, "application/merge-patch+json"))


def fields_of(item: Any) -> Dict[str, Any]:
    return item if isinstance(item, dict) else {}
