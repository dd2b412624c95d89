"""What the manifests of pods and Jobs say: each case is a manifest in which one of the checks of `sights` decides."""

import pytest
from sights import job_of, pod_of
from test_cases import CREATING, GATED, RUNNING, SCHEDULED, SIDECAR, status, terminated

RUN = "00000000-0000-0000-0000-000000000001"
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}
WAITING = {"waiting": {"reason": "PodInitializing"}}
COMPLETED = terminated(0, "Completed")


def pod(status, spec=None, policy=None, **metadata):
    """A pod whose flow container has this restart policy of its own."""
    flow = {
        "name": "flow",
        "env": [{"name": "PREFECT__CONTEXT__FLOW_RUN_ID", "value": RUN}],
        **({"restartPolicy": policy} if policy else {}),
    }
    spec = {"restartPolicy": "Never", **(spec or {}), "containers": [{"name": "proxy"}, flow]}
    return pod_of({"metadata": {"name": "pod", "uid": "uid", **metadata}, "spec": spec, "status": status})


def flow_is(state, **more):
    """The flow container is in this state, in a pod that runs."""
    of_pod = status("Running", state)
    of_pod["containerStatuses"][0].update(more)
    return of_pod


def init_is(state, **more):
    of_pod = status("Pending", inits=[("fetch", state)])
    of_pod["initContainerStatuses"][0].update(more)
    return of_pod


# Whether a process of the flow runs or has run

STARTED = {
    "its flow container runs": (flow_is(RUNNING), True),
    "its flow container has ended": (flow_is(terminated(1)), True),
    "its flow container is being created": (status("Pending", CREATING), False),
    "its flow container was started again before, and nothing is left of its last end": (flow_is(BACK_OFF, restartCount=1), True),
    "its flow container has ended once, and was not started again yet": (flow_is(BACK_OFF, lastState=terminated(1)), True),
    "only another container of it runs": (status("Pending", others=[("proxy", RUNNING)]), False),
    "the phase of a lost node is all that is known": ({"phase": "Unknown"}, True),
    "it has no status yet": ({}, False),
    "it waits for a node": ({"phase": "Pending"}, False),
    "its node has refused it": ({"phase": "Failed", "reason": "OutOfcpu"}, False),
    "it has succeeded, and its containers are not told of": ({"phase": "Succeeded"}, False),
}


@pytest.mark.parametrize("case", STARTED)
def test_flow_has_started_in_a_pod_when(case):
    of_pod, started = STARTED[case]
    assert pod(of_pod).started is started


# Whether its flow container has ended for good

OVER = {
    "it has failed, and its pod starts nothing again": (terminated(1), "Never", None, True),
    "it has failed, and its pod starts it again": (terminated(1), "OnFailure", None, False),
    "it has succeeded, and its pod would have started it again after a failure": (COMPLETED, "OnFailure", None, True),
    "it has succeeded, and its pod starts it again": (COMPLETED, "Always", None, False),
    "it has failed, and its own policy starts it again": (terminated(1), "Never", "OnFailure", False),
    "it has failed, and its own policy starts it never again": (terminated(1), "OnFailure", "Never", True),
    "it has ended, and nothing says whether it starts again": (terminated(1), None, None, False),
}


@pytest.mark.parametrize("case", OVER)
def test_flow_container_is_over_when(case):
    ended, of_pod, own, over = OVER[case]
    assert pod(flow_is(ended), {"restartPolicy": of_pod}, own).over is over


# Whether the start of a pod is held back on purpose

HELD = {
    "its init container is at work": (init_is(RUNNING), {}, True),
    "its init container has failed before, and is at work again": (init_is(RUNNING, restartCount=1), {}, False),
    "its init container is not at work yet": (init_is(WAITING), {}, False),
    "a sidecar of it runs": (status("Pending", inits=[("proxy", RUNNING)]), {"initContainers": [SIDECAR]}, False),
    "a queue holds it back": (status("Pending", conditions=[GATED]), {}, True),
    "no node has room for it": (status("Pending", conditions=[{**GATED, "reason": "Unschedulable"}]), {}, False),
}


@pytest.mark.parametrize("case", HELD)
def test_start_of_a_pod_is_held_back_when(case):
    of_pod, spec, held = HELD[case]
    assert pod(of_pod, spec).held is held


# The steps on the way to the start of a pod

PROGRESS = {
    "it has no node": (status("Pending", conditions=[]), ""),
    "no node has room for it": (status("Pending", conditions=[{**SCHEDULED, "status": "False"}]), ""),
    "it has a node": (status("Pending"), "n"),
    "its first init container waits": (init_is(WAITING), "n0"),
    "its first init container runs": (init_is(RUNNING), "n1"),
    "its first init container has failed": (init_is(terminated(1)), "n1"),
    "its first init container has failed, and waits to be started again": (init_is(BACK_OFF, restartCount=1), "n1"),
    "its first init container has succeeded": (init_is(COMPLETED), "n2"),
    "its first init container has succeeded, and the next runs": (status("Pending", inits=[("a", COMPLETED), ("b", RUNNING)]), "n21"),
    "it has started": (flow_is(RUNNING), ""),
}


@pytest.mark.parametrize("case", PROGRESS)
def test_steps_of_a_pod_when(case):
    of_pod, steps = PROGRESS[case]
    assert pod(of_pod).progress == steps


# How long a pod that is deleted has

DELETED = {"deletionTimestamp": "2030-01-01T00:00:00Z"}
TIMES = {
    "it is not deleted": ({"deletionGracePeriodSeconds": 5}, None),
    "Kubernetes does not say how long: as long as by default": (DELETED, 30),
    "it has its own time": ({**DELETED, "deletionGracePeriodSeconds": 600}, 600),
    "it has no time": ({**DELETED, "deletionGracePeriodSeconds": 0}, 0),
}


@pytest.mark.parametrize("case", TIMES)
def test_time_of_a_pod_on_its_way_out_when(case):
    metadata, seconds = TIMES[case]
    assert pod(flow_is(RUNNING), **metadata).terminating == seconds


# What a Job says of itself


def job(spec=None, conditions=()):
    env = [{"name": "PREFECT__CONTEXT__FLOW_RUN_ID", "value": RUN}]
    labels = {"prefect.io/flow_run_id": RUN, "cdk8s-prefect/job-template": "prefect-job-template"}
    template = {"spec": {"containers": [{"name": "flow", "env": env}]}}
    metadata = {"name": "job", "uid": "uid", "labels": labels}
    return job_of({"metadata": metadata, "spec": {"template": template, **(spec or {})}, "status": {"conditions": list(conditions)}})


def condition(kind, is_so="True", **reason):
    return {"type": kind, "status": is_so, **reason}


ENDS = {
    "it says nothing": ([], False, None),
    "it is complete": ([condition("Complete")], True, None),
    "it has failed": ([condition("Failed", reason="BackoffLimitExceeded")], True, "BackoffLimitExceeded"),
    "it has failed, and says no reason": ([condition("Failed")], True, "Failed"),
    "it will have failed when its pods have ended: it creates no other": (
        [condition("FailureTarget", reason="DeadlineExceeded")],
        True,
        "DeadlineExceeded",
    ),
    "it will be complete when its pods have ended: it creates no other": ([condition("SuccessCriteriaMet")], True, None),
    "it has not failed, and says so": ([condition("Failed", "False", reason="Other")], False, None),
    "it is not complete, and says so": ([condition("Complete", "False")], False, None),
    "it goes on after it was suspended": ([condition("Suspended", "False")], False, None),
}


@pytest.mark.parametrize("case", ENDS)
def test_job_has_finished_when(case):
    conditions, finished, failed = ENDS[case]
    assert (job(conditions=conditions).finished, job(conditions=conditions).failed) == (finished, failed)


def policy(*actions):
    return {"podFailurePolicy": {"rules": [{"action": action} for action in actions]}}


LIMITS = {
    "it says nothing: as many as by default": ({}, 6),
    "it may create no other pod": ({"backoffLimit": 0}, 0),
    "some failures end it at once, and the others count": ({**policy("FailJob"), "backoffLimit": 2}, 2),
    "some failures do not count": ({**policy("FailJob", "Ignore"), "backoffLimit": 2}, None),
    "each index has failures of its own": ({"backoffLimitPerIndex": 0, "backoffLimit": 2}, None),
}


@pytest.mark.parametrize("case", LIMITS)
def test_pods_that_a_job_may_replace_when(case):
    spec, limit = LIMITS[case]
    assert job(spec).backoff_limit == limit
