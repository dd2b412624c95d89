"""The condition of one flow run: each case is a situation in which one of the checks of `judge` decides, and what the run is due then."""

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
    OTHER_JOB,
    RUNNING,
    SUBMITTED,
    TASK,
    WAITING_POD,
    orphaned,
    terminating,
)
from rules import BACKOFF, LINGERING, ZOMBIE_KILLER, Entry, judge
from rules import SUBMITTED as TAKING_UP

KEPT = JOB._replace(kept=True)


def condition_of(entry=ENTRY, run=RUNNING, jobs=(), pods=(), tasks=()):
    return judge(entry, run, jobs, pods, tasks)


# What is removed with a finished run

REMOVED = {
    "a Job that is to be kept goes too while it may start a pod, which would run a flow that has ended": ([KEPT], [], [KEPT]),
    "a Job that is to be kept goes too while a process of it still runs, because only that ends the process": (
        [KEPT._replace(finished=True)],
        [LIVING_POD],
        [KEPT._replace(finished=True)],
    ),
    "a Job that is to be kept stays when it has ended, so that its log can be read": ([KEPT._replace(finished=True)], [FAILED_POD], []),
    "a Job that is to be kept does not go because of a pod of another Job": (
        [KEPT._replace(finished=True)],
        [LIVING_POD._replace(job_uid="other-uid")],
        [],
    ),
    "a Job that somebody has deleted already is not deleted again, nor told of again": ([DELETED_JOB], [], []),
    "a Job of another controller is that controller's, and so are the others of its run": ([JOB._replace(managed=True), OTHER_JOB], [], []),
}


@pytest.mark.parametrize("case", REMOVED)
def test_with_a_finished_run(case):
    jobs, pods, removed = REMOVED[case]
    verdict = condition_of(run=FINISHED, jobs=jobs, pods=pods)
    assert (list(verdict.jobs), verdict.condition) == (removed, "finished" if removed else "")


# Which condition a run is in

MOVED = ENTRY._replace(beats=True)
GONE = ENTRY._replace(gone=True)
CONDITIONS = {
    "its Job has failed, so its pod does not wait for a start, and silence on its way out is a loss": (
        dict(entry=MOVED, jobs=[FAILED_JOB], pods=[terminating(WAITING_POD)]),
        "lost",
    ),
    "one of its Jobs has ended and another may still start: that one has its own time": (
        dict(jobs=[JOB, OTHER_JOB], pods=[FAILED_POD]),
        "unstartable",
    ),
    "no pod of it is left, yet its Job may create one": (dict(jobs=[JOB]), "unstartable"),
    "its Job is gone, and another, whose flow has ended, starts no pod": (
        dict(jobs=[OTHER_JOB], pods=[FAILED_POD._replace(job_uid="other-uid")]),
        "cannot-tell",
    ),
    "a pod of a stock agent lives here while another state came: the run is here, not elsewhere": (
        dict(entry=GONE, run=RUNNING._replace(version=6), pods=[orphaned(LIVING_POD)]),
        "",
    ),
    "a pod of it may still start while its Job is being deleted: silence proves nothing": (
        dict(entry=MOVED, jobs=[DELETED_JOB], pods=[WAITING_POD]),
        "cannot-tell",
    ),
    "all its pods are on their way out, and its heartbeat, which moved before, is silent": (
        dict(entry=MOVED, jobs=[DELETED_JOB], pods=[terminating(WAITING_POD)]),
        "lost",
    ),
    "its Job has failed, and a pod of it that no Job owns may still live on a lost node": (
        dict(jobs=[FAILED_JOB], pods=[orphaned(terminating(LIVING_POD))]),
        "cannot-tell",
    ),
    "its Job has failed, and a pod of it that no Job owns may still start": (
        dict(jobs=[FAILED_JOB], pods=[orphaned(WAITING_POD)]),
        "cannot-tell",
    ),
    "the Job of a task that an agent has just submitted cannot start, although another task waits": (
        dict(jobs=[JOB], pods=[WAITING_POD], tasks=[TASK._replace(state="Submitted"), TASK._replace(id="b", state="Retrying")]),
        "unstartable",
    ),
    "a task waits, and no agent has taken it up: no Job is owed a start": (
        dict(jobs=[JOB], pods=[WAITING_POD], tasks=[TASK._replace(state="Retrying")]),
        "",
    ),
    "a task waits since an earlier try of the run, and the Job of this one cannot start": (
        dict(run=SUBMITTED, jobs=[JOB], pods=[WAITING_POD], tasks=[TASK._replace(state="Retrying")]),
        "unstartable",
    ),
}


@pytest.mark.parametrize("case", CONDITIONS)
def test_condition_when(case):
    given, condition = CONDITIONS[case]
    assert condition_of(**given).condition == condition


# Whether anything of a run is left here: if not, the next state of the run is another agent's

LEFT = {
    "its process lives": (dict(jobs=[JOB], pods=[LIVING_POD]), False),
    "its pod has not started": (dict(jobs=[JOB], pods=[WAITING_POD]), False),
    "its process lives, and its Job was removed": (dict(pods=[LIVING_POD]), False),
    "its pod may start, and its Job was removed": (dict(pods=[WAITING_POD]), False),
    "its pod may start while a task waits, and its Job was removed": (
        dict(pods=[WAITING_POD], tasks=[TASK._replace(state="Retrying")]),
        False,
    ),
    "its Job may create a pod": (dict(jobs=[JOB]), False),
    "its Job has not said that it failed, but creates no other pod": (dict(jobs=[JOB], pods=[FAILED_POD]), True),
    "its Job is being deleted, so it creates no other pod, whatever has become of the last": (dict(jobs=[DELETED_JOB]), True),
    "nothing is here": ({}, True),
}


@pytest.mark.parametrize("state", [RUNNING, CANCELLING._replace(version=3), FINISHED])
@pytest.mark.parametrize("case", LEFT)
def test_nothing_is_left_here_when(case, state):
    given, gone = LEFT[case]
    assert condition_of(run=state, **given).gone is gone


# Whether the process is known to have ended, which the ledger keeps as a proof

OVER = {
    "a pod of the run that no Job owns lives: later it may be hidden by a lost node": (
        dict(jobs=[FAILED_JOB], pods=[orphaned(LIVING_POD)]),
        False,
    ),
    "a run that is paused has an active Job": (dict(run=RUNNING._replace(state="Paused"), jobs=[JOB]), False),
    "a run that is paused has a Job that failed": (dict(run=RUNNING._replace(state="Paused"), jobs=[FAILED_JOB]), True),
    "a run that is paused has a Job that failed, and another that may start": (
        dict(run=RUNNING._replace(state="Paused"), jobs=[FAILED_JOB, OTHER_JOB]),
        False,
    ),
}


@pytest.mark.parametrize("case", OVER)
def test_process_is_known_to_have_ended_when(case):
    given, over = OVER[case]
    assert condition_of(**given).over is over


# How long a run is waited for

# It creates another pod for one that has failed.
REPLACING = JOB._replace(backoff_limit=3)
NEXT_POD = WAITING_POD._replace(uid="next-uid")
WAITS = {
    "a pod that waits has the delay of the rule, and no more": (dict(run=SUBMITTED, jobs=[JOB], pods=[WAITING_POD]), 0, 0),
    "a Job that never had a pod has the delay of the rule, and no more": (dict(run=SUBMITTED, jobs=[JOB]), 0, 0),
    "a Job whose pod has failed pauses before it creates the next": (dict(run=SUBMITTED, jobs=[REPLACING], pods=[FAILED_POD]), BACKOFF, 0),
    "a Job whose next pod waits pauses no more": (dict(run=SUBMITTED, jobs=[REPLACING], pods=[FAILED_POD, NEXT_POD]), 0, 0),
    "a task that runs and has retries left is the zombie killer's first": (dict(tasks=[TASK._replace(may_retry=True)]), ZOMBIE_KILLER, 0),
    "a task without retries is nobody else's": (dict(tasks=[TASK]), 0, 0),
    "a task that was submitted is none of the zombie killer's, and an agent has some minutes for it": (
        dict(tasks=[TASK._replace(state="Submitted", may_retry=True)]),
        TAKING_UP,
        0,
    ),
    "a pod on its way out has its own time, and a minute": (
        dict(entry=MOVED, jobs=[DELETED_JOB], pods=[terminating(LIVING_POD, 300)]),
        0,
        300 + LINGERING,
    ),
    "a pod on its way out that has ended needs no time": (dict(entry=MOVED, jobs=[DELETED_JOB], pods=[terminating(FAILED_POD, 300)]), 0, 0),
}


@pytest.mark.parametrize("case", WAITS)
def test_time_that_a_run_has(case):
    given, least, more = WAITS[case]
    verdict = condition_of(**{"entry": ENTRY._replace(over=True), **given})
    assert (verdict.least, verdict.more) == (least, more)


# What begins a delay anew

STUCK = dict(run=SUBMITTED, jobs=[REPLACING], pods=[WAITING_POD])
LEAVING = dict(entry=MOVED, jobs=[DELETED_JOB], pods=[terminating(LIVING_POD)])
CANCELLED = dict(run=CANCELLING, jobs=[JOB], pods=[LIVING_POD])
ENDED = dict(run=FINISHED, jobs=[JOB])
TAKEN_UP = dict(run=RUNNING, jobs=[JOB], pods=[WAITING_POD], tasks=[TASK._replace(state="Submitted")])
ANEW = {
    "nothing has changed for a run that is lost": (LEAVING, {}, False),
    "nothing has changed for a run that cannot start": (STUCK, {}, False),
    "a run that is lost has another state": (LEAVING, dict(run=RUNNING._replace(version=4)), True),
    "another pod of a run that is lost is on its way out": (LEAVING, dict(pods=[terminating(LIVING_POD), terminating(NEXT_POD)]), True),
    "a pod of a run that is lost has started on its way out": (dict(LEAVING, pods=[terminating(WAITING_POD)]), LEAVING, True),
    "a task of a run that is lost was submitted again": (
        dict(LEAVING, tasks=[TASK._replace(state="Submitted")]),
        dict(tasks=[TASK._replace(state="Submitted", version=3)]),
        True,
    ),
    "somebody has cancelled a run again": (CANCELLED, dict(run=CANCELLING._replace(version=5)), True),
    "a flow that hangs when it is cancelled gets another pod": (CANCELLED, dict(pods=[LIVING_POD, NEXT_POD]), False),
    "somebody has cancelled a run that is another agent's again": (
        dict(CANCELLED, entry=ENTRY._replace(elsewhere=True)),
        dict(run=CANCELLING._replace(version=5)),
        True,
    ),
    "a finished run has another Job": (ENDED, dict(jobs=[JOB, OTHER_JOB]), True),
    "the Jobs of a finished run are told of in another order": (
        dict(ENDED, jobs=[JOB, OTHER_JOB]),
        dict(jobs=[OTHER_JOB, JOB]),
        False,
    ),
    "a run that cannot start has another Job, which has no pod yet": (STUCK, dict(jobs=[REPLACING, OTHER_JOB]), True),
    "a pod that cannot start has made progress": (STUCK, dict(pods=[WAITING_POD._replace(progress="n1")]), True),
    "another pod cannot start": (STUCK, dict(pods=[NEXT_POD]), True),
    "a pod without a node has failed: its Job creates another": (
        dict(STUCK, pods=[WAITING_POD._replace(progress="")]),
        dict(pods=[WAITING_POD._replace(progress="", over=True, finished=True)]),
        True,
    ),
    "a task was submitted again, and the Job for it cannot start": (
        TAKEN_UP,
        dict(tasks=[TASK._replace(state="Submitted", version=3)]),
        True,
    ),
}


@pytest.mark.parametrize("case", ANEW)
def test_delay_begins_anew_when(case):
    before, change, anew = ANEW[case]
    first, then = condition_of(**before), condition_of(**{**before, **change})
    assert first.condition == then.condition != ""
    assert (first.marker != then.marker) is anew


# What the owner of a run is told

WHYS = {
    "its pod is told of by its name and failure": (dict(jobs=[FAILED_JOB], pods=[FAILED_POD]), "pod pod failed: Error, exit code 1"),
    "its pod hangs on its way out": (
        dict(entry=MOVED, jobs=[DELETED_JOB], pods=[terminating(LIVING_POD)]),
        "its pod is being terminated, and shows no life",
    ),
    "nothing of it is left": (dict(entry=Entry("job", "job-uid", over=True)), "it and its pods have ended, were evicted or deleted"),
    "its pod says why it waits": (
        dict(run=SUBMITTED, jobs=[JOB], pods=[WAITING_POD._replace(waiting="ErrImagePull: not found")]),
        "ErrImagePull: not found",
    ),
    "its Job has no pod": (dict(run=SUBMITTED, jobs=[JOB]), "there is no pod"),
}


@pytest.mark.parametrize("case", WHYS)
def test_why_a_run_is_ended_when(case):
    given, why = WHYS[case]
    assert condition_of(**given).why == why
