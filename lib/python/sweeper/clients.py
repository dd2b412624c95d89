"""What a sweeper asks of Kubernetes and Prefect, through the clients in Prefect's image."""

import json
import re
from datetime import datetime, timezone
from typing import Any, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from rules import DaskObject, Entry, Job, Ledger, Pod, Run, Sight

# Rows of one answer, so that what an answer needs is bounded.
KUBERNETES_PAGE = 500
PREFECT_PAGE = 100
JSON = "application/json"
# Of objects of which no more needs to be known.
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# What a ConfigMap can hold, in bytes, with something to spare.
LEDGER_ROOM = 1000000

STAMP = "cdk8s-prefect/"
FLOW_RUN = "prefect.io/flow_run_id"
DASK_CLUSTER = "dask.org/cluster-name"
# States of task runs that somebody takes up when it is time.
WAITING = ("Scheduled", "Retrying", "Queued", "Paused", "Resume")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")

# Of each kind: its API version, and its path.
KINDS = {
    "Job": ("batch/v1", "/apis/batch/v1/namespaces/{}/jobs"),
    "Pod": ("v1", "/api/v1/namespaces/{}/pods"),
    "Service": ("v1", "/api/v1/namespaces/{}/services"),
    "PodDisruptionBudget": ("policy/v1", "/apis/policy/v1/namespaces/{}/poddisruptionbudgets"),
    "ConfigMap": ("v1", "/api/v1/namespaces/{}/configmaps"),
    "Event": ("v1", "/api/v1/namespaces/{}/events"),
}


class Unlike(Exception):
    """Prefect answers otherwise than Prefect does."""


class Conflict(Exception):
    """Somebody else was faster."""


class Kubernetes:
    def __init__(self) -> None:
        from kubernetes import client, config

        config.load_incluster_config()
        self.api = client.ApiClient()

    def call(self, method: str, path: str, body: Any = None, content: str = JSON, accept: str = JSON, **query: Any) -> Any:
        """Not by the generated methods: they build an object for each field, and differ between releases of the client."""
        from kubernetes.client.rest import ApiException

        try:
            answer = self.api.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params={"Accept": accept, "Content-Type": content},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=60,
            )
        except ApiException as error:
            if error.status in (404, 409):
                raise Conflict(f"{method} {path}: {error.reason}") from error
            raise
        return json.loads((answer[0] if isinstance(answer, tuple) else answer).data)

    def list(self, kind: str, namespace: str, **query: Any) -> Iterator[Dict[str, Any]]:
        while True:
            page = self.call("GET", KINDS[kind][1].format(namespace), limit=KUBERNETES_PAGE, **query)
            # Of metadata, none are null.
            yield from page["items"] or []
            query["continue"] = page["metadata"].get("continue")
            if not query["continue"]:
                return

    def look(self, namespace: str, with_dask: bool) -> Sight:
        dask = []  # type: List[DaskObject]
        if with_dask:
            ended = "status.phase!=Pending,status.phase!=Running,status.phase!=Unknown"
            workers = self.list(
                "Pod", namespace, labelSelector=DASK_CLUSTER + ",dask.org/component=worker", fieldSelector=ended, accept=METADATA
            )
            finished = {item["metadata"]["uid"] for item in workers}
            for kind in ("Service", "PodDisruptionBudget", "Pod"):
                items = self.list(kind, namespace, labelSelector=DASK_CLUSTER, accept=METADATA)
                dask += [dask_object(kind, item["metadata"], finished) for item in items if "deletionTimestamp" not in item["metadata"]]
        jobs = map(job_of, self.list("Job", namespace, labelSelector=f"{FLOW_RUN},{STAMP}job-template"))
        # After the Jobs, so that the pods of each Job are there.
        return Sight(dask, [job for job in jobs if job], [pod_of(item) for item in self.list("Pod", namespace, labelSelector=FLOW_RUN)])

    def pod(self, namespace: str, name: str) -> Optional[Pod]:
        return next(map(pod_of, self.list("Pod", namespace, fieldSelector="metadata.name=" + name)), None)

    def warning(self, namespace: str, uid: str) -> Optional[str]:
        """The last warning about an object."""
        events = list(self.list("Event", namespace, fieldSelector="type=Warning,involvedObject.uid=" + uid))
        events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
        return "{reason}: {message}".format(**events[-1]) if events else None

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

    def read_ledger(self, namespace: str, name: str) -> Tuple[Ledger, str]:
        """The ledger, and the version of the object that holds it."""
        item = self.call("GET", KINDS["ConfigMap"][1].format(namespace) + "/" + name)
        return {run_id: entry_of(text) for run_id, text in (item.get("data") or {}).items()}, item["metadata"]["resourceVersion"]

    def write_ledger(self, namespace: str, name: str, before: Ledger, after: Ledger, version: str) -> None:
        """Changes what differs, unless somebody else has changed it since that version."""
        data = {}  # type: Dict[str, Optional[str]]
        for run_id in set(before) | set(after):
            if before.get(run_id) != after.get(run_id):
                data[run_id] = written(after[run_id]) if run_id in after else None
        if data:
            body = {"metadata": {"resourceVersion": version}, "data": data}
            self.call("PATCH", KINDS["ConfigMap"][1].format(namespace) + "/" + name, body, "application/merge-patch+json")


def written(entry: Entry) -> str:
    return json.dumps({key: value for key, value in entry._asdict().items() if value}, separators=(",", ":"))


def entry_of(text: str) -> Entry:
    """As `written`, perhaps by another release of the sweeper."""
    return Entry(**{key: value for key, value in json.loads(text).items() if key in Entry._fields})


def fitting(ledger: Ledger, first: Iterable[str]) -> Ledger:
    """As much of a ledger as there is room for; these entries first."""
    room, fits = LEDGER_ROOM, {}
    for run_id in sorted(ledger, key=lambda run_id: run_id not in first):
        room -= len(run_id) + len(written(ledger[run_id]))
        if room >= 0:
            fits[run_id] = ledger[run_id]
    return fits


def job_of(item: Dict[str, Any]) -> Optional[Job]:
    """A Job that an agent made and our launcher stamped: its label and its container say the same flow run."""
    metadata, spec, status = item["metadata"], item["spec"], item.get("status", {})
    labels = metadata["labels"]
    env = {entry["name"]: entry.get("value") for entry in spec["template"]["spec"]["containers"][0].get("env", [])}
    run_id = labels[FLOW_RUN]
    if env.get("PREFECT__CONTEXT__FLOW_RUN_ID") != run_id or not UUID.match(run_id):
        return None
    started = epoch(status.get("startTime") or metadata["creationTimestamp"])
    seconds = spec.get("activeDeadlineSeconds")
    conditions = {condition["type"] for condition in status.get("conditions", []) if condition["status"] == "True"}
    return Job(
        metadata["name"],
        metadata["uid"],
        run_id,
        started,
        labels.get(STAMP + "on-eviction", ""),
        kept=labels.get(STAMP + "finished-jobs") == "keep",
        deadline=started + seconds if seconds else None,
        finished=bool(conditions & {"Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"}),
        suspended=spec.get("suspend", False),
        deleted="deletionTimestamp" in metadata,
    )


def pod_of(item: Dict[str, Any]) -> Pod:
    metadata, status = item["metadata"], item["status"]
    phase = status.get("phase")
    return Pod(
        metadata["name"],
        metadata["uid"],
        next((owner["uid"] for owner in metadata.get("ownerReferences", []) if owner["kind"] == "Job"), None),
        finished=phase in ("Succeeded", "Failed"),
        waiting=waiting_for(status) if phase == "Pending" else None,
        failed=failure_of(status) if phase == "Failed" else None,
        disrupted=any(condition["type"] == "DisruptionTarget" for condition in status.get("conditions", [])),
    )


def waiting_for(status: Dict[str, Any]) -> Optional[str]:
    """Why a pod has not started, if nothing in it runs and nobody holds it back on purpose."""
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return None if condition.get("reason") == "SchedulingGated" else "{}: {}".format(condition["reason"], condition.get("message"))
    states = [container.get("state", {}) for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", [])]
    if any("running" in state for state in states):
        return None
    for state in states:
        waiting = state.get("waiting", {})
        if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            return "{}: {}".format(waiting["reason"], waiting.get("message", ""))
    return "ContainerCreating"


def failure_of(status: Dict[str, Any]) -> str:
    ends = [container.get("state", {}).get("terminated") for container in status.get("containerStatuses", [])]
    ended = ["{reason}, exit code {exitCode}".format(**dict(end, reason=end.get("reason"))) for end in ends if end and end["exitCode"]]
    return ": ".join(filter(None, [status.get("reason"), status.get("message")])) or "; ".join(ended) or "no reason is known"


def dask_object(kind: str, metadata: Dict[str, Any], finished_workers: Set[str]) -> DaskObject:
    labels, uid = metadata["labels"], metadata["uid"]
    return DaskObject(kind, metadata["name"], uid, labels[DASK_CLUSTER], labels.get(STAMP + "flow-pod"), uid in finished_workers)


class Prefect:
    # What is asked of a flow run, and of its task runs: only those that are not finished.
    RUN = {"id", "state", "version", "heartbeat"}
    TASK_RUNS = f"task_runs(where: {{state: {{_in: {json.dumps(('Running', 'Submitted') + WAITING)}}}}})"

    def __init__(self, api_key: Optional[str] = None) -> None:
        from prefect.client import Client
        from prefect.engine import state

        self.client = Client(api_key=api_key)
        self.states = {name: kind for name, kind in vars(state).items() if isinstance(kind, type) and issubclass(kind, state.State)}
        self.final = {name for name, kind in self.states.items() if issubclass(kind, state.Finished)}

    def runs(self, ids: Set[str]) -> Dict[str, Run]:
        """The flow runs that Prefect knows. It is asked even if there are none, so that it must answer."""
        rows = self.ask(ids, dict.fromkeys(self.RUN, True))
        return {row["id"]: self.run(row) for row in rows}

    def waiting(self, ids: Set[str]) -> Set[str]:
        """Those flow runs of which a task waits."""
        return {row["id"] for row in self.ask(ids, {"id"}, task_runs={"state": {"_in": WAITING}})}

    def closely(self, run_id: str) -> Tuple[Optional[Run], List[Dict[str, Any]]]:
        """A flow run as it is now, and those of its task runs that run or wait."""
        rows = self.ask({run_id}, dict(dict.fromkeys(self.RUN, True), **{self.TASK_RUNS: {"id", "state", "version"}}))
        return (self.run(rows[0]), rows[0]["task_runs"]) if rows else (None, [])

    def ask(self, ids: Set[str], fields: Any, **where: Any) -> List[Dict[str, Any]]:
        query = {"query($where: flow_run_bool_exp)": {"flow_run(where: $where)": fields}}
        found = []  # type: List[Dict[str, Any]]
        wanted = sorted(ids)
        for start in range(0, len(wanted) or 1, PREFECT_PAGE):
            page = wanted[start : start + PREFECT_PAGE]
            answer = self.client.graphql(query, variables={"where": dict(where, id={"_in": page})})
            rows = answer.to_dict()["data"]["flow_run"]
            if not {row["id"] for row in rows} <= set(page) or len(rows) > len(page):
                raise Unlike(f"asked about {len(page)} flow runs, Prefect answered about others")
            found += rows
        return found

    def run(self, row: Dict[str, Any]) -> Run:
        if row["state"] not in self.states or not isinstance(row["version"], int):
            raise Unlike("Prefect answered that flow run {id} is {state} in version {version}".format(**row))
        return Run(row["id"], row["state"], row["state"] in self.final, row["version"], row["heartbeat"])

    def set_run(self, run: Run, state: str, message: str) -> None:
        self.set_state(self.client.set_flow_run_state, run.id, run.version, state, message)

    def set_task(self, task_run: Dict[str, Any], state: str, message: str) -> None:
        self.set_state(self.client.set_task_run_state, task_run["id"], task_run["version"], state, message)

    def set_state(self, setter: Any, run_id: str, version: int, state: str, message: str) -> None:
        from prefect.exceptions import VersionLockMismatchSignal

        try:
            setter(run_id, self.states[state](message=message), version=version)
        except VersionLockMismatchSignal as mismatch:
            raise Conflict("the run has changed") from mismatch


def epoch(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
