"""The flow runs about whose tasks Prefect is asked at each pass: those that may be lost, and no others, because requests are limited."""

import pytest
from given import (
    CANCELLING,
    ENTRY,
    FAILED_JOB,
    FAILED_POD,
    FINISHED,
    JOB,
    LIVING_POD,
    RUNNING,
    SUBMITTED,
    WAITING_POD,
    terminating,
)
from rules import Ledger, Sight, suspects

KNOWN = Ledger({"run": ENTRY})
ASKED = {
    "its Job and pods are gone": (RUNNING, [], [], True),
    "its Job went before a pod of it started": (SUBMITTED, [], [], True),
    "its pod has failed": (RUNNING, [FAILED_JOB], [FAILED_POD], True),
    "its first pod has failed, and the next has not started": (SUBMITTED, [JOB], [FAILED_POD], True),
    "its pod is on its way out, and may be on a lost node": (RUNNING, [JOB], [terminating(LIVING_POD)], True),
    "a task of it may wait, and the Job for that cannot start": (RUNNING, [JOB], [WAITING_POD], True),
    "its Job has failed before its pod started": (SUBMITTED, [FAILED_JOB], [WAITING_POD], True),
    "its Job is being deleted before its pod started": (SUBMITTED, [JOB._replace(deleted=True)], [WAITING_POD], True),
    "its process lives": (RUNNING, [JOB], [LIVING_POD], False),
    "its pod waits, and no task has begun": (SUBMITTED, [JOB], [WAITING_POD], False),
    "its Job is suspended": (RUNNING, [JOB._replace(suspended=True)], [], False),
    "its Job is another controller's": (RUNNING, [JOB._replace(managed=True)], [], False),
    "it is finished": (FINISHED, [], [], False),
    "it is cancelled in any case": (CANCELLING, [], [], False),
    "it waits by itself": (RUNNING._replace(state="Paused"), [], [], False),
}


@pytest.mark.parametrize("case", ASKED)
def test_prefect_is_asked_about_the_tasks_of_a_run_when(case):
    run, jobs, pods, asked = ASKED[case]
    assert suspects(KNOWN, Sight(jobs=jobs, pods=pods), {"run": run}) == ({"run"} if asked else set())


def test_prefect_is_not_asked_about_a_run_that_it_does_not_know():
    assert suspects(KNOWN, Sight(jobs=[JOB]), {}) == set()


def test_prefect_is_asked_about_no_run_that_has_never_had_a_job_here():
    assert suspects(Ledger(), Sight(), {"run": RUNNING}) == set()
