"""Reads the manifests of Jobs, pods and Dask objects into the types of the rules. Any optional field may be missing."""

import re
from typing import Any, Dict, List, Optional, Set

from rules import DaskObject, Job, Pod

STAMP = "cdk8s-prefect/"
FLOW_RUN = "prefect.io/flow_run_id"
FLOW_RUN_ENV = "PREFECT__CONTEXT__FLOW_RUN_ID"
DASK_CLUSTER = "dask.org/cluster-name"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
# The value of `spec.managedBy` for Kubernetes' own Job controller.
OWN_CONTROLLER = "kubernetes.io/job-controller"
# The errors that reading a malformed object can raise.
ODD = (AttributeError, IndexError, KeyError, TypeError, ValueError)

Manifest = Dict[str, Any]


def job_of(item: Manifest) -> Optional[Job]:
    """A Job of an agent with our labels. Its label and its flow container must name the same flow run."""
    metadata, spec, status = item["metadata"], item["spec"], item.get("status") or {}
    labels = metadata["labels"]
    run_id = labels[FLOW_RUN]
    if flow_run_in(flow_container_of_job(item)) != run_id or not UUID.match(run_id):
        return None
    conditions = {each.get("type"): each for each in status.get("conditions") or [] if each.get("status") == "True"}
    failed = conditions.get("Failed") or conditions.get("FailureTarget")
    rules = (spec.get("podFailurePolicy") or {}).get("rules") or []
    # Such a policy decides which failures count.
    uncertain = any(rule.get("action") != "FailJob" for rule in rules) or spec.get("backoffLimitPerIndex") is not None
    return Job(
        metadata["name"],
        metadata["uid"],
        run_id,
        metadata.get("creationTimestamp") or "",
        labels.get(STAMP + "on-eviction", ""),
        kept=labels.get(STAMP + "finished-jobs") == "keep",
        finished=bool(set(conditions) & {"Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"}),
        failed=(failed.get("reason") or "Failed") if failed else None,
        suspended=bool(spec.get("suspend")),
        deleted=bool(metadata.get("deletionTimestamp")),
        managed=(spec.get("managedBy") or OWN_CONTROLLER) != OWN_CONTROLLER,
        failures=int(status.get("failed") or 0),
        backoff_limit=None if uncertain else int(spec.get("backoffLimit", 6)),
    )


def flow_container_of_job(item: Manifest) -> Manifest:
    return item["spec"]["template"]["spec"]["containers"][0]


def flow_run_in(container: Manifest) -> Optional[str]:
    return next((each.get("value") for each in container.get("env") or [] if each.get("name") == FLOW_RUN_ENV), None)


def pod_of(item: Manifest, containers: Optional[Dict[str, str]] = None) -> Pod:
    """A pod. `containers` has the name of the flow container for each Job, by uid. Without the Job, it is the container that names the flow
    run.
    """
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    job_uid = next((owner["uid"] for owner in metadata.get("ownerReferences") or [] if owner.get("kind") == "Job"), None)
    named = {container.get("name"): container for container in spec.get("containers") or []}
    name = (containers or {}).get(job_uid or "")
    if name is None:
        name = next((each for each, container in named.items() if flow_run_in(container)), None)
    flow = next((each for each in status.get("containerStatuses") or [] if each.get("name") == name), None)
    state = (flow or {}).get("state") or {}
    ended, waits = state.get("terminated"), "waiting" in state
    phase = status.get("phase")
    finished = phase in ("Succeeded", "Failed")
    if flow is None:
        # A pod with an unknown status may live.
        started = phase not in ("Pending", "Succeeded", "Failed", None)
    else:
        # Kubernetes pauses before it starts a container again. For any other reason it cannot start it.
        stuck = (state.get("waiting") or {}).get("reason") not in (None, "CrashLoopBackOff")
        again = flow.get("restartCount") or (flow.get("lastState") or {}).get("terminated")
        started = bool(ended or "running" in state or again and not stuck)
    code = ended.get("exitCode") if ended else None
    policy = named.get(name, {}).get("restartPolicy") or spec.get("restartPolicy") or "Always"
    over = finished or bool(ended) and (policy == "Never" or policy == "OnFailure" and code == 0)
    grace = metadata.get("deletionGracePeriodSeconds")
    return Pod(
        metadata["name"],
        metadata["uid"],
        (metadata.get("labels") or {}).get(FLOW_RUN),
        job_uid,
        started=started,
        over=over,
        well=over and (phase == "Succeeded" or code == 0),
        finished=finished,
        restarts=(flow or {}).get("restartCount") or 0,
        held=not started and not finished and is_held(spec, status),
        terminating=float(30 if grace is None else grace) if metadata.get("deletionTimestamp") else None,
        progress="" if started or finished else progress_of(status),
        waiting=None if started or finished else waiting_for(status, state if waits else {}),
        failed=failure_of(status, flow) if phase == "Failed" or over and code else None,
        # Kubernetes sets it to False if the pod was left alone after all.
        disrupted=any(each.get("type") == "DisruptionTarget" and each.get("status") == "True" for each in status.get("conditions") or []),
    )


def is_held(spec: Manifest, status: Manifest) -> bool:
    """Whether the start of a pod is held back on purpose: by a scheduling gate, or by an init container that runs for the first time."""
    if any(each.get("reason") == "SchedulingGated" for each in status.get("conditions") or [] if each.get("type") == "PodScheduled"):
        return True
    sidecars = {each.get("name") for each in spec.get("initContainers") or [] if each.get("restartPolicy") == "Always"}
    for each in status.get("initContainerStatuses") or []:
        if "running" in (each.get("state") or {}) and not each.get("restartCount") and each.get("name") not in sidecars:
            return True
    return False


def progress_of(status: Manifest) -> str:
    """The steps of a pod on the way to its start: a node, and the start and success of each init container."""

    def reached(container: Manifest) -> str:
        state = container.get("state") or {}
        ended = state.get("terminated")
        if ended and ended.get("exitCode") == 0:
            return "2"
        return "1" if "running" in state or ended or container.get("restartCount") else "0"

    scheduled = any(each.get("type") == "PodScheduled" and each.get("status") == "True" for each in status.get("conditions") or [])
    return ("n" if scheduled else "") + "".join(map(reached, status.get("initContainerStatuses") or []))


def waiting_for(status: Manifest, flow: Manifest) -> str:
    """The reason why a pod has not started."""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return reason_of(condition, "Unschedulable")
    containers = (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or [])
    for state in [flow] + [each.get("state") or {} for each in containers]:
        waiting = state.get("waiting") or {}
        if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            return reason_of(waiting, "")
    return "ContainerCreating"


def failure_of(status: Manifest, flow: Optional[Manifest]) -> str:
    containers = [flow] if flow else status.get("containerStatuses") or []
    ends = [(each.get("state") or {}).get("terminated") for each in containers]
    ended = ["{}, exit code {}".format(end.get("reason"), end.get("exitCode")) for end in ends if end and end.get("exitCode")]
    why = ": ".join(filter(None, [status.get("reason"), status.get("message")])) or "; ".join(ended) or "no reason is known"
    return one_line(why)


def reason_of(what: Manifest, otherwise: str) -> str:
    return one_line("{}: {}".format(what.get("reason") or otherwise, what.get("message") or ""))


def one_line(text: str) -> str:
    """A line break in what others write would begin a line of the log."""
    return " ".join(text.split())


def warning_in(events: List[Manifest]) -> Optional[str]:
    """The last warning among Events."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    warnings.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    return reason_of(warnings[-1], "Warning") if warnings else None


def pulls_in(events: List[Manifest]) -> int:
    """The number of containers whose image was pulled or is being pulled. 0 if no pull is in progress."""
    reasons = {}  # type: Dict[str, Set[Optional[str]]]
    for event in events:
        reasons.setdefault((event.get("involvedObject") or {}).get("fieldPath") or "", set()).add(event.get("reason"))
    pulled = [seen for seen in reasons.values() if "Pulling" in seen and not seen & {"Failed", "BackOff"}]
    return len(pulled) if any("Pulled" not in seen for seen in pulled) else 0


def dask_object(kind: str, metadata: Manifest, finished_workers: Set[str]) -> DaskObject:
    labels, uid = metadata["labels"], metadata["uid"]
    owners = metadata.get("ownerReferences") or []
    pod = next((owner for owner in owners if owner.get("kind") == "Pod"), None)
    return DaskObject(
        kind,
        metadata["name"],
        uid,
        labels[DASK_CLUSTER],
        owner=(pod["name"], pod["uid"]) if pod else None,
        flow_pod=labels.get(STAMP + "flow-pod"),
        foreign=bool(owners) and not pod,
        finished_worker=uid in finished_workers,
    )
