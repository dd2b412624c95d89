"""The second look, right before an action: each case is what has changed since the first, and whether the action is still right."""

import pytest
from given import (
    CANCELLING,
    DELETED_JOB,
    ENTRY,
    FAILED_JOB,
    FAILED_POD,
    FINISHED,
    JOB,
    LIVING_POD,
    RUNNING,
    SUBMITTED,
    TASK,
    WAITING_POD,
    terminating,
)
from rules import Action, Entry, Run, Sight, after_loss, confirmed, goes_on, judge

# A heartbeat that moved before and is silent now.
SILENT = ENTRY._replace(beats=True)
LEAVING = terminating(LIVING_POD)


def looked(entry, run, jobs=(), pods=(), tasks=(), state="Failed"):
    """What the first look decided, and what there was to be seen."""
    return Action("a rule", "", run, entry, judge(entry, run, jobs, pods, tasks), state), Sight(jobs=jobs, pods=pods), run, tasks


# A run that is lost: its Job has failed, or its pod is silent on its way out. One whose pod waits, and those that a user has ended.
LOST = looked(ENTRY, RUNNING, [FAILED_JOB])
OUT = looked(SILENT, RUNNING, [DELETED_JOB], [LEAVING])
STUCK = looked(ENTRY, SUBMITTED, [JOB], [WAITING_POD])
HANGING = looked(ENTRY, CANCELLING, [JOB], [LIVING_POD], state="Cancelled")
ENDED = looked(ENTRY, FINISHED, [JOB], state=None)
AGAIN = looked(ENTRY._replace(end="gs"), RUNNING, [FAILED_JOB], state="Scheduled")
BEAT = "2030-01-01T00:00:00"

CHANGES = {
    "nothing has changed for a run that is lost": (LOST, {}, True),
    "nothing has changed for a run whose pod is on its way out": (OUT, {}, True),
    "nothing has changed for a run that cannot start": (STUCK, {}, True),
    "nothing has changed for a run whose pod had to leave": (AGAIN, {}, True),
    "Prefect does not know the run any more": (LOST, dict(run=None), False),
    "the state of the run has changed and back, which another agent may have done": (LOST, dict(run=RUNNING._replace(version=5)), False),
    "the run whose pod cannot start has another state": (STUCK, dict(run=SUBMITTED._replace(version=4)), False),
    "an object of the run cannot be read: it may be the pod that lives": (LOST, dict(odd=["run"]), False),
    "the run has shown life": (LOST, dict(run=RUNNING._replace(heartbeat=BEAT)), False),
    "the run whose pod cannot start has shown life elsewhere": (STUCK, dict(run=SUBMITTED._replace(heartbeat=BEAT)), False),
    "a flow that hangs when it is cancelled shows life, as its heartbeat is another process": (
        HANGING,
        dict(run=CANCELLING._replace(heartbeat=BEAT)),
        True,
    ),
    "a finished run shows life: what is left of it goes": (ENDED, dict(run=FINISHED._replace(heartbeat=BEAT)), True),
    "its pod lives after all": (LOST, dict(pods=[LIVING_POD]), False),
    "its pod has started after all": (STUCK, dict(pods=[LIVING_POD]), False),
    "its pod has made progress": (STUCK, dict(pods=[WAITING_POD._replace(progress="n1")]), False),
    "another pod of it is on its way out": (OUT, dict(pods=[LEAVING._replace(uid="other-uid")]), False),
    "its pod was given more time to end": (OUT, dict(pods=[terminating(LIVING_POD, 600)]), False),
    "its pod was given less time to end": (OUT, dict(pods=[terminating(LIVING_POD, 5)]), True),
    "a task of it may be retried by Prefect": (LOST, dict(tasks=[TASK._replace(may_retry=True)]), False),
    "a task of it waits": (LOST, dict(tasks=[TASK._replace(state="Retrying")]), False),
    "its process has failed by itself, so it does not run again": (AGAIN, dict(ends={"job-uid": "ofError, exit code 1"}), False),
    "how another Job ended is not how its Job ended": (AGAIN, dict(ends={"other-uid": "ofError, exit code 1"}), True),
    "a run that fails anyway fails, however it ended": (LOST, dict(ends={"job-uid": "ofError, exit code 1"}), True),
}


@pytest.mark.parametrize("case", CHANGES)
def test_action_is_right_when(case):
    (action, sight, run, tasks), change, right = CHANGES[case]
    sight = sight._replace(**{field: change[field] for field in ("pods", "odd", "ends") if field in change})
    verdict = confirmed(action, sight, change.get("run", run), change.get("tasks", tasks))
    assert (verdict is not None) is right


def test_job_whose_end_only_its_pods_have_shown_proves_nothing_without_them():
    """The Job is being deleted, and its pods went between the looks."""
    action, sight, run, _ = looked(ENTRY, RUNNING, [DELETED_JOB], [FAILED_POD])
    assert action.verdict.condition == "lost"
    assert confirmed(action, sight, run, []) is not None
    assert confirmed(action, sight._replace(pods=[]), run, []) is None


# What a sweeper has begun, and another that goes on finds

CLAIMED = Entry("job", "job-uid", version=3, rule="cancelling-runs")
CLAIMS = {
    "nothing has happened since": (CLAIMED, CANCELLING, True),
    "its own state has arrived, although no answer did": (CLAIMED, Run("run", "Cancelled", True, 4), True),
    "somebody else has given the run another state": (CLAIMED, Run("run", "Failed", True, 4), False),
    "the run has the same state as it would have, and had others between": (CLAIMED, Run("run", "Cancelled", True, 6), False),
    "there was none": (CLAIMED._replace(rule=""), Run("run", "Cancelled", True, 4), False),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_claim_holds_when(case):
    entry, run, holds = CLAIMS[case]
    assert goes_on(entry, run) is holds


# What becomes of a run that is lost, and what its owner is told

LEFT = ENTRY._replace(on_eviction="run-again", end="gs")
FAILED = "pod pod failed: Error, exit code 1"
SILENCE = "it and its pods have ended, were evicted or deleted"
LOSSES = {
    "its pod is there: it tells more than the end of its Job": (ENTRY._replace(end="sfError"), [FAILED_POD], ("Failed", FAILED)),
    "its pod is gone: what was seen of its end is told": (
        ENTRY._replace(end="ld"),
        [],
        ("Failed", "it took longer than activeDeadlineSeconds"),
    ),
    "nobody saw how it ended": (ENTRY, [], ("Failed", SILENCE)),
    "nobody saw how it ended, and it would run again with a proof": (
        LEFT._replace(end=""),
        [],
        ("Failed", f"{SILENCE}; nobody saw why, so it does not run again"),
    ),
    "it failed by itself, so it does not run again": (LEFT._replace(end="ofError"), [], ("Failed", "its process failed: Error")),
    "its pod had to leave": (LEFT, [], ("Scheduled", "its pod was deleted")),
    "its pod had to leave, and its owner wants it to fail": (LEFT._replace(on_eviction="fail"), [], ("Failed", "its pod was deleted")),
    "its pod had to leave once more than it may": (
        LEFT._replace(again=3),
        [],
        ("Failed", "its pod was deleted; it was to run again 3 times already, and may not once more"),
    ),
    "its pod had to leave, and a sweeper has begun to schedule it for the last time": (
        LEFT._replace(again=3, rule="lost-runs"),
        [],
        ("Scheduled", "its pod was deleted"),
    ),
}


@pytest.mark.parametrize("case", LOSSES)
def test_lost_run_when(case):
    entry, pods, expected = LOSSES[case]
    assert after_loss(entry, judge(entry, RUNNING, [FAILED_JOB], pods, []), limit=3) == expected
