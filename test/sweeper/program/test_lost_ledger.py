"""The ConfigMap of the ledger is deleted, and somebody applies the manifests again: what a sweeper has seen is not forgotten."""

import pytest
from world import INTERVAL, LEDGER, NAMESPACE, RULES, World, ledger, running, see_alive


def without_ledger(world, sweeper, passes=3):
    """Passes while it is missing, in which nothing may be done."""
    for _ in range(passes):
        before = world.outcome()
        world.sweep(sweeper)
        assert not [call for call in world.calls if call.startswith(("DELETE", "PATCH", "POST", "set"))]
        assert world.outcome() == before
        world.pass_time(INTERVAL)


def pass_until_done(world, sweeper):
    for _ in range(0, RULES.lost_runs + RULES.finished_jobs + 300, INTERVAL):
        world.sweep(sweeper)
        world.pass_time(INTERVAL)


def evict(world, job):
    world.evict(job)
    world.pass_time(1)
    world.delete_job(job)


# What happens to a flow run while there is no ledger, and what becomes of it.
FATES = {
    "is evicted": ("", evict, "Failed"),
    "is evicted, and is to run again": ("run-again", evict, "Scheduled"),
    "loses its Job": ("", World.delete_job, "Failed"),
}


@pytest.mark.parametrize("fate", FATES)
def test_a_run_that_is_lost_meanwhile_is_ended(fate):
    on_eviction, happens, state = FATES[fate]
    world = World()
    run, job = running(world, on_eviction=on_eviction)
    healthy, _ = running(world)
    sweeper = world.sweeper()
    see_alive(world, sweeper, run, healthy)
    del world.objects["ConfigMap"][LEDGER]
    without_ledger(world, sweeper, 1)
    happens(world, job)
    without_ledger(world, sweeper)
    world.make_ledger()
    pass_until_done(world, sweeper)
    assert (world.runs[run]["state"], world.runs[healthy]["state"]) == (state, "Running")


def test_a_run_that_begins_and_is_lost_meanwhile_is_ended():
    world = World()
    first, _ = running(world)
    sweeper = world.sweeper()
    see_alive(world, sweeper, first)
    del world.objects["ConfigMap"][LEDGER]
    without_ledger(world, sweeper, 1)
    run, job = running(world)
    without_ledger(world, sweeper, 1)
    world.evict(job)
    without_ledger(world, sweeper, 1)
    world.delete_job(job)
    without_ledger(world, sweeper, 1)
    world.make_ledger()
    pass_until_done(world, sweeper)
    assert (world.runs[run]["state"], world.runs[first]["state"]) == ("Failed", "Running")


def test_the_missing_ledger_is_an_error_of_each_pass():
    world = World()
    sweeper = world.sweeper()
    world.sweep(sweeper)
    del world.objects["ConfigMap"][LEDGER]
    without_ledger(world, sweeper)
    assert sweeper.signs.counters["errors"][NAMESPACE, "pass"] == 3


def test_an_entry_that_somebody_deletes_stays_so():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    world.evict(job)
    world.delete_job(job)
    world.objects["ConfigMap"][LEDGER]["data"] = {}
    world.touch_ledger()
    pass_until_done(world, sweeper)
    assert (world.runs[run]["state"], ledger(world)) == ("Running", {})


def test_a_new_ledger_that_another_has_written_counts():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    del world.objects["ConfigMap"][LEDGER]
    world.make_ledger()
    world.objects["ConfigMap"][LEDGER]["data"] = {"a": "b"}
    world.evict(job)
    world.delete_job(job)
    pass_until_done(world, sweeper)
    assert world.runs[run]["state"] == "Running"
