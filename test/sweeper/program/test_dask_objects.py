"""Which objects of a Dask cluster go, and when: each case is an object, the pod of its flow, and what the sweeper knows of both."""

import pytest
from given import ENDED_FLOW, ENTRY, FAILED_POD, FINISHED, JOB, LIVING_POD, RUNNING, terminating
from rules import ALIVE, LINGERING, DaskObject, Ledger, Sight, Wait, decide_dask, flow_pod_of, is_useless, lingering, observe_dask
from world import RULES

DELAY = RULES.orphaned_dask_clusters
# Of the pod `job-abcde` of the Job `job`, by its name.
FLOW_POD = LIVING_POD._replace(name="job-abcde")
CLUSTER = "dask-job-abcde-0123abcd-0"
SERVICE = DaskObject("Service", "service", "service-uid", CLUSTER)
OWNED = SERVICE._replace(cluster="etl", owner=("job-abcde", "pod-uid"))
NOTEBOOK = SERVICE._replace(name="theirs", uid="their-uid", cluster="etl")
WORKER = DaskObject("Pod", "worker", "worker-uid", CLUSTER, finished_worker=True)

# Whose it is

OWNERS = {
    "its owner is a pod": (OWNED, ("job-abcde", "pod-uid")),
    "its owner counts more than its label and its name": (OWNED._replace(flow_pod="other", cluster=CLUSTER), ("job-abcde", "pod-uid")),
    "its owner is no pod, whatever its label and name": (SERVICE._replace(foreign=True, flow_pod="job-abcde"), None),
    "its label counts more than its name": (SERVICE._replace(flow_pod="other"), ("other", "")),
    "its cluster has a name of our pattern": (SERVICE, ("job-abcde", "")),
    "its cluster has another name": (SERVICE._replace(cluster="etl"), None),
    "its cluster has almost a name of our pattern": (SERVICE._replace(cluster=CLUSTER + "x"), None),
}


@pytest.mark.parametrize("case", OWNERS)
def test_object_is_of_the_flow_pod_when(case):
    item, pod = OWNERS[case]
    assert flow_pod_of(item) == pod


# When the pod of its flow is of no use to it

USES = {
    "it is gone": (None, "", False, True),
    "it lives": (FLOW_POD, "", False, False),
    "it lives, and it is the owner": (FLOW_POD, "pod-uid", False, False),
    "another pod has its name": (FLOW_POD, "earlier-uid", False, True),
    "its flow has ended, and a sidecar has not": (ENDED_FLOW, "", False, True),
    "it lives, although its run is finished: the flow ends its cluster itself": (FLOW_POD, "", True, False),
    "it is on its way out, and its run goes on": (terminating(FLOW_POD), "", False, False),
    "it is on its way out, and its run is finished": (terminating(FLOW_POD), "", True, True),
}


@pytest.mark.parametrize("case", USES)
def test_flow_pod_is_useless_when(case):
    pod, uid, finished, useless = USES[case]
    assert bool(is_useless(pod, uid, finished)) is useless


# What is observed of the pods that matter

KNOWN = Ledger({"run": ENTRY})
JOB_SEEN = Sight(dask=[SERVICE], jobs=[JOB], pods=[FLOW_POD])
OTHER_ENTRY = {"run": ENTRY._replace(job="other")}
WAITED = Ledger({}, {"job-abcde": Wait("", 30)})
OBSERVED = {
    "its flow pod lives, and its Job is in the ledger": (KNOWN, JOB_SEEN, {"run": ENTRY}, {}),
    "its flow pod lives, and only the list of Jobs has its Job": (Ledger(), JOB_SEEN, OTHER_ENTRY, {"job-abcde": Wait("", ALIVE)}),
    "its flow pod is first seen to be gone": (KNOWN, Sight(dask=[SERVICE]), {"run": ENTRY}, {"job-abcde": Wait("", 0)}),
    "its flow pod was seen alive before": (
        Ledger({}, {"job-abcde": Wait("", ALIVE)}),
        Sight(dask=[SERVICE]),
        {},
        {"job-abcde": Wait("", 0)},
    ),
    "its flow pod was gone before": (WAITED, Sight(dask=[SERVICE]), {}, {"job-abcde": Wait("", 60)}),
    "an earlier pod of this name was gone before": (
        Ledger({}, {"job-abcde": Wait("earlier-uid", 30)}),
        Sight(dask=[OWNED]),
        {},
        {"job-abcde": Wait("pod-uid", 0)},
    ),
    "nobody has ever seen its flow pod or Job": (Ledger(), Sight(dask=[SERVICE]), {}, {}),
    "a worker has ended, and its flow lives": (KNOWN, JOB_SEEN._replace(dask=[WORKER]), {"run": ENTRY}, {"worker": Wait("worker-uid", 0)}),
    "a worker goes on": (KNOWN, JOB_SEEN._replace(dask=[WORKER._replace(finished_worker=False)]), {"run": ENTRY}, {}),
    "a worker has ended whose flow nobody has ever seen": (Ledger(), Sight(dask=[WORKER]), {}, {}),
    "its objects are gone": (WAITED, Sight(), {}, {}),
}


@pytest.mark.parametrize("case", OBSERVED)
def test_ledger_has_of_dask_when(case):
    ledger, sight, after, expected = OBSERVED[case]
    assert observe_dask(ledger, sight, after, {"run": RUNNING}, 30) == expected


# What goes


def gone_for(seconds, uid=""):
    return Ledger({}, {"job-abcde": Wait(uid, seconds)})


OUT = JOB_SEEN._replace(pods=[terminating(FLOW_POD)])
LONG = int(DELAY + 30 + LINGERING)
ENDED = Ledger({"run": ENTRY}, {"worker": Wait("worker-uid", 0)})
OFF = RULES._replace(orphaned_dask_clusters=None, finished_dask_workers=None)
REMOVED = {
    "its flow pod has been gone for the delay": (gone_for(DELAY), Sight(dask=[SERVICE]), RUNNING, RULES, ["service"]),
    "its flow pod has not been gone for the delay": (gone_for(DELAY - 1), Sight(dask=[SERVICE]), RUNNING, RULES, []),
    "its flow pod is there again, which lists may not have shown before": (gone_for(DELAY), JOB_SEEN, RUNNING, RULES, []),
    "another pod has the name of its owner": (
        gone_for(DELAY, "earlier-uid"),
        JOB_SEEN._replace(dask=[OWNED._replace(owner=("job-abcde", "earlier-uid"))]),
        RUNNING,
        RULES,
        ["service"],
    ),
    "nobody has ever seen its flow pod or Job": (Ledger(), Sight(dask=[SERVICE]), RUNNING, RULES, []),
    "its flow pod is on its way out, and has not had its time": (gone_for(LONG - 1), OUT, FINISHED, RULES, []),
    "its flow pod is on its way out, and has had its time": (gone_for(LONG), OUT, FINISHED, RULES, ["service"]),
    "its flow pod is on its way out, and its run goes on, as on a lost node": (gone_for(LONG), OUT, RUNNING, RULES, []),
    "its flow has ended in a pod on its way out": (
        gone_for(DELAY),
        JOB_SEEN._replace(pods=[terminating(FAILED_POD._replace(name="job-abcde"))]),
        RUNNING,
        RULES,
        ["service"],
    ),
    "another pod that is on its way out has the name of its owner": (
        gone_for(DELAY, "earlier-uid"),
        OUT._replace(dask=[OWNED._replace(owner=("job-abcde", "earlier-uid"))]),
        RUNNING,
        RULES,
        ["service"],
    ),
    "the pod of its owner is on its way out": (
        gone_for(LONG - 1, "pod-uid"),
        OUT._replace(dask=[OWNED]),
        FINISHED,
        RULES,
        [],
    ),
    "a worker has ended, and its flow lives": (ENDED, JOB_SEEN._replace(dask=[WORKER]), RUNNING, RULES, ["worker"]),
    "a worker of the name of one that ended goes on": (
        ENDED,
        JOB_SEEN._replace(dask=[WORKER._replace(finished_worker=False)]),
        RUNNING,
        RULES,
        [],
    ),
    "a worker has ended, and was not seen to have ended at a pass": (KNOWN, JOB_SEEN._replace(dask=[WORKER]), RUNNING, RULES, []),
    "its flow pod is gone, and no pass has counted that": (KNOWN, Sight(dask=[SERVICE]), RUNNING, RULES, []),
    "an object of somebody else is beside it": (gone_for(DELAY), Sight(dask=[NOTEBOOK, SERVICE]), RUNNING, RULES, ["service"]),
    "somebody has made a flow pod that ended look like a worker": (
        gone_for(DELAY),
        Sight(dask=[WORKER._replace(name="job-abcde", cluster="etl")]),
        RUNNING,
        RULES,
        [],
    ),
    "both rules are off": (
        Ledger({}, {"job-abcde": Wait("", 9 * LONG), "worker": Wait("worker-uid", 9 * LONG)}),
        Sight(dask=[SERVICE, WORKER]),
        RUNNING,
        OFF,
        [],
    ),
}


@pytest.mark.parametrize("case", REMOVED)
def test_object_goes_when(case):
    ledger, sight, run, rules, expected = REMOVED[case]
    actions = decide_dask(ledger, sight, {"run": run}, rules)
    assert [item.name for action in actions for item in action.dask] == expected


def test_flow_pod_of_an_unknown_run_is_not_one_of_a_finished_run():
    assert decide_dask(gone_for(LONG), OUT, {}, RULES) == []


def test_flow_pod_that_is_not_on_its_way_out_has_no_time_to_end():
    assert lingering(FLOW_POD, "") == lingering(None, "") == 0
