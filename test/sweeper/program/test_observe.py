"""What the ledger keeps of a run from pass to pass: each case is a history in which one of the checks of `observe` decides."""

import pytest
from given import (
    CANCELLING,
    ENTRY,
    FAILED_JOB,
    FAILED_POD,
    FINISHED,
    JOB,
    LIVING_POD,
    OTHER_JOB,
    RUNNING,
    SUBMITTED,
    WAITING_POD,
    orphaned,
)
from rules import BEATS, FORGOTTEN, Ledger, Sight, digest, entry_for, observe
from test_cases import LONG, beating, move_elsewhere, status, submitted, terminated
from test_rules import jobs, state, sweep_for
from world import NAMESPACE, World, ledger, running


def after(entry, run, jobs=(), pods=(), odd=(), ends=(), new=frozenset()):
    """The entry of a run after a pass in which this was seen, and its verdict, if there are any."""
    sight = Sight(jobs=jobs, pods=pods, odd=odd, ends=dict(ends))
    runs = {run.id: run} if run else {}
    seen = observe(Ledger({"run": entry} if entry else {}), sight, runs, {}, 30, new)
    return seen.ledger.runs.get("run"), seen.verdicts.get("run")


def test_run_of_an_odd_object_stays_in_the_ledger_as_it_is():
    """Nothing counts against it meanwhile: the object may be the pod in which it lives."""
    entry = ENTRY._replace(beats=True, condition="lost", observed=60)
    assert after(entry, RUNNING, [FAILED_JOB], odd=["run"]) == (entry, None)
    assert after(None, RUNNING, [JOB], odd=["run"]) == (None, None)


def test_run_that_prefect_does_not_know_stops_no_other():
    world = World()
    run, job = running(world)
    deleted, other = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run, deleted)
    world.hidden.add(deleted)
    world.evict(job)
    world.delete_job(other)
    sweep_for(world, sweeper, 120)
    assert state(world, run) == "Failed"
    assert sweeper.signs.counters["errors"][NAMESPACE, "pass"] == 0


# The heartbeat, when it was last seen, was another one.
BEATEN = ENTRY._replace(version=RUNNING.version, heartbeat="01234567")


@pytest.mark.parametrize("moves", range(BEATS))
def test_moves_of_one_version_and_the_same_pods_prove_a_heartbeat_when_there_are_enough(moves):
    entry = BEATEN
    for _ in range(moves + 1):
        entry = after(entry, RUNNING, [JOB], [LIVING_POD])[0]._replace(heartbeat="01234567")
    assert (entry.beats, entry.moves) == ((True, 0) if moves + 1 == BEATS else (False, moves + 1))


def test_proven_heartbeat_is_not_counted_any_more():
    """An entry has room for one of the two."""
    entry, _ = after(BEATEN._replace(beats=True), RUNNING, [JOB], [LIVING_POD])
    assert (entry.beats, entry.moves, entry.process) == (True, 0, "")


LONG_AWAY = ENTRY._replace(condition="away", marker=digest(()), observed=FORGOTTEN - 30, gone=True)
UNCLEAR = after(ENTRY, RUNNING)[0]
FORGETS = {
    "Prefect has not known it for a day, and nothing of it is here": (LONG_AWAY, None, {}, True),
    "Prefect has not known it for almost a day": (LONG_AWAY._replace(observed=FORGOTTEN - 60), None, {}, False),
    "Prefect does not know it, and its Job is here": (LONG_AWAY, None, dict(jobs=[JOB]), False),
    "Prefect does not know it, and a pod of it is here": (LONG_AWAY, None, dict(pods=[orphaned(LIVING_POD)]), False),
    "another agent has had it for a day": (LONG_AWAY, RUNNING._replace(version=6), {}, True),
    "another agent has had it for a day, and its Job is kept": (LONG_AWAY, RUNNING._replace(version=6), dict(jobs=[FAILED_JOB]), False),
    "another agent has had it for almost a day": (LONG_AWAY._replace(observed=FORGOTTEN - 60), RUNNING._replace(version=6), {}, False),
    "nobody can tell what has become of it, however long": (
        UNCLEAR._replace(observed=2 * FORGOTTEN),
        RUNNING,
        {},
        False,
    ),
    "it is finished, and nothing of it is here": (ENTRY, FINISHED, {}, True),
    "it is finished, and its Job is here": (ENTRY, FINISHED, dict(jobs=[JOB]), False),
    "it is finished, and its pod goes on, which may make a Dask cluster": (ENTRY, FINISHED, dict(pods=[orphaned(LIVING_POD)]), False),
    "it is finished, and so is its pod": (ENTRY, FINISHED, dict(pods=[orphaned(FAILED_POD)]), True),
}


@pytest.mark.parametrize("case", FORGETS)
def test_ledger_forgets_a_run_when(case):
    entry, run, seen, forgets = FORGETS[case]
    assert (after(entry, run, **seen)[0] is None) is forgets


# Evidence that only the ledger keeps


def test_job_that_failed_by_its_policy_is_over_after_it_is_gone():
    """No letter of its end says so: a pass saw that the Job had failed."""
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.objects["Pod"].clear()
    world.end_job(job, "Failed")
    job["status"]["conditions"][0]["reason"] = "PodFailurePolicy"
    world.tell()
    world.forgotten = len(world.events)
    world.sweep(sweeper)
    world.delete_job(job)
    sweep_for(world, sweeper, 120)
    assert state(world, run) == "Failed"


def test_job_that_failed_and_was_removed_between_two_passes_is_over_without_heartbeats():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 60)
    world.pods_of(job)[0]["status"] = status("Failed", terminated(137, "OOMKilled"))
    world.tell()
    world.delete_job(job)
    sweep_for(world, sweeper, 120)
    assert state(world, run) == "Failed"


def test_new_state_is_no_heartbeat_that_moves():
    world = World()
    run, job, pod = submitted(world)
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 30)
    world.start(pod)
    sweep_for(world, sweeper, 60)
    world.delete_job(job)
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"


def test_run_that_was_paused_and_resumed_is_still_of_its_job():
    """Its own process has set these states, more of them than a run has that was only submitted."""
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    for each in ("Paused", "Running", "Paused", "Running"):
        sweep_for(world, sweeper, 30)
        world.set(run, each)
    sweep_for(world, sweeper, 30)
    world.evict(job)
    sweep_for(world, sweeper, 120)
    assert state(world, run) == "Failed"


# Whose run it is


@pytest.mark.parametrize("times", [0, 1])
def test_submitted_run_whose_job_failed_before_the_first_look_is_left_alone(times):
    """Another agent may have scheduled and submitted it again since, for example one that keeps ended Jobs here."""
    world = World()
    run, job, _ = submitted(world, kept=True)
    world.evict(job)
    for each in ("Scheduled", "Submitted") * times:
        world.set(run, each)
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Submitted"
    assert sweeper.signs.unclear == {"flows": 1}


def test_run_of_a_stock_agent_here_is_not_ended_by_our_pod_that_waits():
    """Its process is not that of our Job, so our Job tells nothing when a lost node has hidden it."""
    world = World()
    run, job, _ = submitted(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    stock = world.submit(run, stamped=False, again=True)
    world.start(world.pods_of(stock)[0])
    sweep_for(world, sweeper, 60)
    world.delete_job(stock)
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"


def test_managed_job_of_a_submitted_run_is_not_lost_when_it_goes():
    world = World()
    run, job, _ = submitted(world)
    job["spec"]["managedBy"] = "kueue.x-k8s.io/multikueue"
    world.objects["Pod"].clear()
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    del world.objects["Job"][job["metadata"]["name"]]
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Submitted"


def test_job_made_here_for_a_run_that_another_agent_has_does_not_end_it():
    """As somebody may forge it. The run has been another's since its states changed, although it was known here before."""
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    world.delete_job(job)
    sweep_for(world, sweeper, 30)
    move_elsewhere(world, run)
    world.submit(run, again=True)
    sweep_for(world, sweeper, 1200)
    assert (state(world, run), len(jobs(world))) == ("Running", 1)


def test_next_job_made_here_for_a_run_that_is_another_agents_does_not_end_it():
    world = World()
    run = world.schedule()
    for each in ("Submitted", "Running"):
        world.set(run, each)
    sweeper = world.sweeper()
    for _ in range(2):
        forged = world.submit(run, again=True)
        sweep_for(world, sweeper, 1200)
        assert state(world, run) == "Running"
        world.delete_job(forged)


def test_run_that_a_stock_agent_here_took_up_is_ended_when_it_fails_there():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    world.delete_job(job)
    sweep_for(world, sweeper, 30)
    world.set(run, "Scheduled")
    stock = world.submit(run, stamped=False)
    world.start(world.pods_of(stock)[0])
    beating(world, sweeper, LONG, run)
    world.delete_job(stock)
    sweep_for(world, sweeper, 120)
    assert state(world, run) == "Failed"


@pytest.mark.parametrize("new, others", [({"job-uid"}, False), (set(), True), (None, True)])
def test_running_run_comes_from_a_job_that_ended_before_it_was_known_only_if_the_job_is_new(new, others):
    entry, _ = after(None, RUNNING, [FAILED_JOB], [FAILED_POD], new=new)
    assert entry.elsewhere is others


YOUNGER = OTHER_JOB._replace(created="2030-01-02", finished=True)
ENTRIES = {
    "the older may still create a pod": ([JOB, YOUNGER], [], "job-uid"),
    "a pod of the older goes on, although both have finished": ([FAILED_JOB, YOUNGER], [LIVING_POD], "job-uid"),
    "a pod of the older has not started, although both have finished": ([FAILED_JOB, YOUNGER], [WAITING_POD], "job-uid"),
    "both have finished": ([FAILED_JOB, YOUNGER], [FAILED_POD], "other-uid"),
    "both may create a pod": ([JOB, YOUNGER._replace(finished=False)], [], "other-uid"),
}


@pytest.mark.parametrize("case", ENTRIES)
def test_ledger_names_of_two_jobs_the_one_that_counts_when(case):
    found, pods, uid = ENTRIES[case]
    assert entry_for(None, SUBMITTED, found, pods, None).uid == uid


# The entry names a Job that is gone, and another Job is here.
AGAIN, THERE = SUBMITTED._replace(version=5), RUNNING._replace(version=6)
PAST, NEW = OTHER_JOB._replace(finished=True), {"other-uid"}
OTHERS = {
    "the agent has made it, since the run was scheduled again": (ENTRY, AGAIN, OTHER_JOB, NEW, False),
    "the agent has made it for a task that waited": (ENTRY, RUNNING, OTHER_JOB, NEW, False),
    "the run has begun with none of the two": (ENTRY, THERE, OTHER_JOB, NEW, True),
    "it waited already, and the process of the other is not over": (ENTRY, RUNNING, OTHER_JOB, set(), True),
    "it waited already, and the process of the other is over": (ENTRY._replace(over=True), RUNNING, OTHER_JOB, set(), False),
    "it waited already, and the run was scheduled again": (ENTRY._replace(over=True), AGAIN, OTHER_JOB, set(), True),
    "it waited already, and a user has cancelled the run": (ENTRY, CANCELLING._replace(version=4), OTHER_JOB, set(), False),
    "nobody looked, and it may start": (ENTRY, AGAIN, OTHER_JOB, None, False),
    "nobody looked, it has ended, and the run was scheduled again": (ENTRY._replace(gone=True), AGAIN, PAST, None, True),
}


@pytest.mark.parametrize("case", OTHERS)
def test_state_of_the_run_may_come_from_elsewhere_than_the_next_job_when(case):
    old, run, job, new, others = OTHERS[case]
    entry = entry_for(old, run, [job], [], new)
    assert (entry.uid, entry.elsewhere) == ("other-uid", others)


@pytest.mark.parametrize("new", [set(), None])
def test_past_job_does_not_take_over_the_entry(new):
    assert entry_for(ENTRY, RUNNING, [PAST], [], new) == ENTRY


def test_ledger_is_empty_when_nothing_is_left_of_a_run():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    assert run in ledger(world)
    world.set(run, "Success")
    world.delete_job(job)
    world.sweep(sweeper)
    assert ledger(world) == {}
