"""What comes late, lingers, or is refused for a moment: it must not keep a dead run for ever, nor hold up a pass."""

import logging

import pytest
from api_server import Limited, Refused
from sweeper import ACTING
from test_cases import RUNNING, begin_to_delete, set_task, status, submitted, terminated, waits_for_a_retry
from test_rules import state, sweep_for
from world import World, running, see_alive

KILLED = terminated(137, "OOMKilled")
DRAINED = status("Failed", terminated(143), conditions=[{"type": "DisruptionTarget", "status": "True"}])
REFUSALS = [Refused(503, "etcdserver: leader changed"), Limited("too many requests", 1)]


def once(fault):
    """Raises it at the first call."""
    faults = [fault]

    def strike():
        if faults:
            raise faults.pop()

    return strike


@pytest.mark.parametrize("cancelled", [True, False])
@pytest.mark.parametrize("policy", ["", "run-again"])
def test_pod_that_is_stuck_on_a_lost_node_does_not_hide_the_end_of_the_next_process(policy, cancelled):
    world = World()
    run, job = running(world, on_eviction="run-again")
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    stuck = world.pods_of(job)[0]
    begin_to_delete(world, stuck)
    stuck["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True"}]
    world.end_job(job, "Failed")
    stuck["metadata"]["ownerReferences"] = []
    sweep_for(world, sweeper, 300)
    world.set(run, "Scheduled")
    second = world.submit(run, on_eviction=policy)
    sweep_for(world, sweeper, 30)
    world.start(world.pods_of(second)[0])
    see_alive(world, sweeper, run)
    if cancelled:
        world.set(run, "Cancelling")
    world.pods_of(second)[0]["status"] = status("Failed", KILLED)
    world.end_job(second, "Failed")
    sweep_for(world, sweeper, 600)
    assert state(world, run) == ("Cancelled" if cancelled else "Failed")


def test_heartbeat_that_arrives_after_the_process_was_killed_does_not_keep_its_run():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    world.pods_of(job)[0]["status"] = status("Failed", KILLED)
    world.end_job(job, "Failed")
    sweep_for(world, sweeper, 30)
    # A slow database writes it some seconds late.
    world.beat(run)
    sweep_for(world, sweeper, 300)
    assert state(world, run) == "Failed"


def test_heartbeat_of_a_heart_that_was_not_known_to_beat_may_be_the_first_of_another_process():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 60)
    world.pods_of(job)[0]["status"] = status("Failed", KILLED)
    world.end_job(job, "Failed")
    sweep_for(world, sweeper, 30)
    world.beat(run)
    sweep_for(world, sweeper, 1200)
    assert (state(world, run), sweeper.signs.unclear) == ("Running", {"flows": 1})


def test_heartbeat_after_a_task_was_submitted_is_that_of_another_process():
    world = World()
    sweeper = world.sweeper()
    run = waits_for_a_retry(world, sweeper, beats=True)
    set_task(world, run, "Submitted")
    sweep_for(world, sweeper, 30)
    set_task(world, run, "Running")
    world.beat(run)
    sweep_for(world, sweeper, 1200)
    assert (state(world, run), sweeper.signs.unclear) == ("Running", {"flows": 1})


def test_events_that_hang_hold_up_no_pass_for_long():
    world = World()
    runs = [submitted(world)[0] for _ in range(30)]
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 570)
    world.pass_time(30)

    def hang():
        world.time += 60
        return "fail"

    events = "GET /api/v1/namespaces/flows/events"
    world.faults = {events: hang}
    before = world.time
    world.sweep(sweeper)
    assert world.time - before <= ACTING + 60
    world.faults = {}
    sweep_for(world, sweeper, 60)
    assert {state(world, run) for run in runs} == {"Failed"}


@pytest.mark.parametrize("limit", [0, 1])
def test_pod_that_has_ended_and_lingers_is_told_of_once(limit, caplog):
    caplog.set_level(logging.WARNING)
    world = World()
    run, job = running(world)
    job["spec"]["backoffLimit"] = limit
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    pod = world.pods_of(job)[0]
    begin_to_delete(world, pod, grace=3600)
    pod["status"] = status("Running", terminated(143), others=[("proxy", RUNNING)])
    _, other = running(world)
    for number in range(20):
        world.pods_of(other)[0]["metadata"]["labels"]["number"] = str(number)
        world.sweep(sweeper)
        world.pass_time(30)
    assert not [record.getMessage() for record in caplog.records if "not known yet" in record.getMessage()]


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("beats", [False, True])
def test_watch_that_is_refused_for_a_moment_hides_no_eviction(refusal, beats):
    world = World()
    run, job = running(world, on_eviction="run-again")
    sweeper = world.sweeper()
    if beats:
        see_alive(world, sweeper, run)
    sweep_for(world, sweeper, 60)
    pod = world.pods_of(job)[0]
    begin_to_delete(world, pod)
    pod["status"] = DRAINED
    world.tell()
    world.remove_by_force(job)
    world.tell()
    world.faults = {"WATCH /api/v1/namespaces/flows/pods": once(refusal)}
    sweep_for(world, sweeper, 300)
    assert state(world, run) == "Scheduled"


@pytest.mark.parametrize("refusal", REFUSALS)
def test_watch_that_is_refused_for_a_moment_hides_no_end_of_a_job_that_the_agent_deletes(refusal):
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 60)
    pod = world.pods_of(job)[0]
    begin_to_delete(world, pod)
    pod["status"] = DRAINED
    world.tell()
    world.end_job(job, "Failed")
    world.tell()
    world.delete_job(job)
    world.tell()
    world.faults = {"WATCH /apis/batch/v1/namespaces/flows/jobs": once(refusal)}
    sweep_for(world, sweeper, 300)
    assert state(world, run) == "Failed"


def fail(world, pod):
    pod["status"] = status("Failed", terminated(1))
    world.tell()


def remove(world, pod):
    world.tell()
    del world.objects["Pod"][pod["metadata"]["name"]]
    world.tell()


@pytest.mark.parametrize("ends", [(fail, remove), (remove, fail)])
def test_end_of_one_pod_is_no_end_of_another_that_was_removed_by_force_within_the_same_interval(ends):
    world = World()
    run, job = running(world)
    job["spec"]["backoffLimit"] = 1
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 60)
    [first] = world.pods_of(job)
    ends[0](world, first)
    if ends[0] is fail:
        first["metadata"]["name"] = "first"
        world.objects["Pod"]["first"] = first
    second = world.pod_of(job)
    second["status"] = status("Running", RUNNING)
    world.tell()
    ends[1](world, second)
    world.end_job(job, "Failed")
    world.tell()
    for pod in world.pods_of(job):
        remove(world, pod)
    sweep_for(world, sweeper, 1200)
    assert (state(world, run), sweeper.signs.unclear) == ("Running", {"flows": 1})


@pytest.mark.parametrize("looks, states", [(0, ["Scheduled", "Submitted", "Running"]), (3, ["Running"])])
def test_pod_that_starts_and_dies_after_another_process_had_the_run_ends_nothing(looks, states):
    """The states came from another agent: by their number, or because they were there before the pod started."""
    world = World()
    sweeper = world.sweeper()
    run, job, pod = submitted(world)
    sweep_for(world, sweeper, 60)
    for each in states:
        world.set(run, each)
    sweep_for(world, sweeper, 30 * looks)
    pod["status"] = status("Failed", terminated(1))
    world.end_job(job, "Failed")
    sweep_for(world, sweeper, 1200)
    assert (state(world, run), sweeper.signs.unclear) == ("Running", {"flows": 1})


def test_failed_pod_is_counted_once():
    """Kubernetes has counted it, and the Job may fail once more."""
    world = World()
    run, job = running(world)
    job["spec"]["backoffLimit"] = 1
    job["status"]["failed"] = 1
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 60)
    world.pods_of(job)[0]["status"] = status("Failed", terminated(1))
    sweep_for(world, sweeper, 300)
    assert state(world, run) == "Running"
