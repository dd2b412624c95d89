"""Healthy runs that a sweeper must not touch, and dead ones that it must end: each case was once decided wrongly."""

import logging

import pytest
from rules import BEATS, SUBMITTED
from test_rules import jobs, state, sweep_for
from world import LEDGER, NAMESPACE, RULES, World, ledger, running, see_alive

# Until a heartbeat is known to beat.
LONG = (BEATS + 1) * 30

RUNNING = {"running": {}}
GATED = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "queue"}
SCHEDULED = {"type": "PodScheduled", "status": "True"}
CREATING = {"waiting": {"reason": "ContainerCreating"}}
MISSING_SECRET = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}}
SIDECAR = {"name": "proxy", "restartPolicy": "Always"}


def terminated(code, reason="Error"):
    return {"terminated": {"exitCode": code, "reason": reason}}


def status(phase, flow=None, others=(), inits=(), conditions=(SCHEDULED,)):
    """Of a pod: the state of the flow's container, of others and of init containers, by name."""
    containers = [*others, *([("flow", flow)] if flow else [])]
    return {
        "phase": phase,
        "conditions": list(conditions),
        "containerStatuses": [{"name": name, "state": each, "restartCount": 0} for name, each in containers],
        "initContainerStatuses": [{"name": name, "state": each, "restartCount": 0} for name, each in inits],
    }


def test_lease_is_kept_while_an_earlier_write_may_arrive_although_a_later_one_got_its_answer():
    world = World()
    sweeper = world.sweeper()
    runs = [running(world, deadline=600) for _ in range(2)]
    sweep_for(world, sweeper, 30)
    for _, job in runs:
        world.end_job(job, "Failed")
        world.pods_of(job)[0]["status"] = status("Failed", terminated(1))
    struck = []

    def strike():
        struck.append(True)
        return "late" if len(struck) == 1 else None

    world.faults = {"set_flow_run_states": strike}
    while not struck:
        world.pass_time(30)
        world.sweep(sweeper)
    assert [state(world, run) for run, _ in runs] == ["Running", "Failed"]
    assert sweeper.actor.writing
    world.pass_time(30)
    assert not sweeper.actor.writing


def begin_to_delete(world, pod, grace=30):
    pod["metadata"].update(deletionTimestamp=world.stamp(), deletionGracePeriodSeconds=grace)


def submitted(world, **job):
    run = world.schedule(tasks=1)
    item = world.submit(run, **job)
    return run, item, world.pods_of(item)[0]


def event(world, about, reason, field="spec.containers{flow}", kind="Normal", **fields):
    involved = {"uid": about["metadata"]["uid"], "fieldPath": field}
    world.add("Event", f"event-{world.number()}", {}, involvedObject=involved, reason=reason, type=kind, **fields)


def beating(world, sweeper, seconds, *runs, step=30):
    for _ in range(0, seconds, step):
        for run in runs:
            world.beat(run)
        world.sweep(sweeper)
        world.pass_time(step)


# A delay is what the sweeper saw


def test_pod_that_was_gated_for_hours_has_its_time_from_the_end_of_the_gate():
    world = World()
    run, _, pod = submitted(world)
    pod["status"] = status("Pending", conditions=[GATED])
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 7200)
    pod["status"] = status("Pending", CREATING)
    sweep_for(world, sweeper, 540)
    assert state(world, run) == "Submitted"
    sweep_for(world, sweeper, 120)
    assert state(world, run) == "Failed"


def test_pod_whose_init_container_took_long_has_its_time_from_its_end():
    world = World()
    run, _, pod = submitted(world)
    pod["status"] = status("Pending", inits=[("fetch", RUNNING)])
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 900)
    pod["status"] = status("Pending", CREATING, inits=[("fetch", terminated(0, "Completed"))])
    sweep_for(world, sweeper, 540)
    assert state(world, run) == "Submitted"


def test_pod_that_disappears_after_the_list_of_jobs_is_looked_for_again():
    world = World()
    run, job, pod = submitted(world, on_eviction="run-again")
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 570)

    def disappear():
        del world.objects["Pod"][pod["metadata"]["name"]]

    # Between the list of Jobs and that of pods, in the pass that would act.
    world.pass_time(30)
    world.faults = {world.calls.index("GET /api/v1/namespaces/flows/pods", 5): disappear}
    world.sweep(sweeper)
    world.faults = {}
    assert state(world, run) == "Submitted"
    world.end_job(job, "Failed")
    sweep_for(world, sweeper, 150)
    assert state(world, run) == "Scheduled"


def test_job_that_a_queue_lets_go_has_its_time_from_then():
    world = World()
    run, job, pod = submitted(world)
    job["spec"]["suspend"] = True
    job["status"] = {}
    world.objects["Pod"].clear()
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 3600)
    job["spec"]["suspend"] = False
    sweep_for(world, sweeper, 540)
    assert state(world, run) == "Submitted"


def test_slow_prefect_within_a_pass_shortens_no_delay():
    world = World()
    run, job, pod = submitted(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)

    def slow():
        world.pass_time(660)

    for _ in range(3):
        world.pass_time(30)
        world.faults = {world.calls.index("flow_run"): slow}
        world.sweep(sweeper)
    assert state(world, run) == "Submitted"


def test_slow_lists_of_kubernetes_shorten_no_delay():
    """An object may be as it is since a moment before it was listed, early in a look that took long."""
    world = World()
    run, job, pod = submitted(world)
    sweeper = world.sweeper()
    world.faults = {"GET /api/v1/namespaces/flows/pods": lambda: world.pass_time(25)}
    for _ in range(RULES.unstartable_jobs // 30):
        world.sweep(sweeper)
        world.pass_time(30)
    assert state(world, run) == "Submitted"
    assert ledger(world)[run].observed == RULES.unstartable_jobs - 30
    sweep_for(world, sweeper, 30)
    assert state(world, run) == "Failed"


def test_parts_of_seconds_between_passes_add_up():
    world = World()
    run, _, _ = submitted(world)
    sweeper = world.sweeper()
    for _ in range(12):
        world.sweep(sweeper)
        world.pass_time(0.75)
    world.sweep(sweeper)
    assert ledger(world)[run].observed == 9


@pytest.mark.parametrize("seconds", [660, 1200, 86400])
def test_machine_that_slept_shortens_no_delay(seconds):
    world = World()
    run, job, pod = submitted(world)
    lost, other = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, lost)
    world.delete_job(other)
    world.sweep(sweeper)
    world.pass_time(seconds)
    world.sweep(sweeper)
    assert (state(world, run), state(world, lost)) == ("Submitted", "Running")


def test_sweeper_that_starts_anew_does_not_take_the_time_of_others_for_its_own():
    world = World()
    run, job, pod = submitted(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    sweeper.leases.release()
    world.pass_time(86400)
    world.sweep(world.sweeper())
    assert "flow_run" in world.calls
    assert state(world, run) == "Submitted"


def test_job_that_another_controller_manages_is_left_alone():
    world = World()
    managed, job, _ = submitted(world)
    finished, other = running(world)
    for item in (job, other):
        item["spec"]["managedBy"] = "kueue.x-k8s.io/multikueue"
    world.objects["Pod"].clear()
    world.set(managed, "Running")
    world.set(finished, "Success")
    sweeper = world.sweeper()
    beating(world, sweeper, 1200, managed)
    sweep_for(world, sweeper, 1200)
    assert (state(world, managed), len(jobs(world))) == ("Running", 2)
    # Nor is it lost when the Job goes where it came from.
    del world.objects["Job"][job["metadata"]["name"]]
    sweep_for(world, sweeper, 1200)
    assert state(world, managed) == "Running"


def test_image_that_is_being_pulled_is_progress_once():
    world = World()
    run, _, pod = submitted(world)
    pod["status"] = status("Pending", CREATING)
    event(world, pod, "Pulling")
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 1080)
    assert state(world, run) == "Submitted"
    sweep_for(world, sweeper, 240)
    assert state(world, run) == "Failed"


def test_image_that_cannot_be_pulled_is_no_progress():
    world = World()
    run, _, pod = submitted(world)
    pod["status"] = status("Pending", {"waiting": {"reason": "ErrImagePull", "message": "not found"}})
    event(world, pod, "Pulling")
    event(world, pod, "Failed", kind="Warning", message="not found")
    sweep_for(world, world.sweeper(), 660)
    assert state(world, run) == "Failed"


def test_progress_extends_a_delay_three_times_at_most():
    world = World()
    run, _, pod = submitted(world)
    sweeper = world.sweeper()
    for passes in range(100):
        pod["status"] = status("Pending", CREATING, inits=[(f"step-{i}", terminated(0)) for i in range(passes)])
        world.sweep(sweeper)
        if state(world, run) == "Failed":
            break
        world.pass_time(30)
    assert 60 <= passes <= 63


# Life is looked for widely


def test_run_that_another_agent_has_while_our_pod_waits_is_left_alone():
    world = World()
    run, _, _ = submitted(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    for each in ("Scheduled", "Submitted", "Running"):
        world.set(run, each)
    beating(world, sweeper, 1200, run)
    assert state(world, run) == "Running"


def test_run_that_another_agent_has_without_heartbeats_while_our_pod_waits_is_left_alone():
    world = World()
    run, _, _ = submitted(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    for each in ("Scheduled", "Submitted", "Running"):
        world.set(run, each)
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"


def test_retry_that_a_stock_agent_has_taken_up_here_is_left_alone():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    world.delete_job(job)
    stock = world.submit(run, stamped=False, again=True)
    world.pods_of(stock)[0]["status"] = {"phase": "Running"}
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"


@pytest.mark.parametrize("policy", ["", "run-again"])
def test_run_without_heartbeats_whose_pod_was_left_by_its_job_is_left_alone(policy):
    world = World()
    run, job = running(world, on_eviction=policy)
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 90)
    # With --cascade=orphan, no pod has an owner any more.
    del world.objects["Job"][job["metadata"]["name"]]
    for pod in world.objects["Pod"].values():
        pod["metadata"]["ownerReferences"] = []
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"


def test_run_without_heartbeats_on_a_node_that_was_cut_off_is_left_alone_and_counted():
    world = World()
    run, job = running(world, on_eviction="run-again")
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 90)
    world.delete_job(job)
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"
    assert sweeper.signs.unclear == {"flows": 1}
    world.set(run, "Success")
    sweep_for(world, sweeper, 60)
    assert sweeper.signs.unclear == {"flows": 0}


def test_run_that_is_left_alone_is_told_of_once(caplog):
    world = World()
    sweeper = world.sweeper()
    made = [running(world) for _ in range(2)]
    sweep_for(world, sweeper, 90)
    for number, (run, job) in enumerate(made):
        world.delete_job(job)
        sweep_for(world, sweeper, 600)
        # Somebody writes the ledger: the sweeper counts from there, and has told of the runs.
        world.touch_ledger()
        sweep_for(world, sweeper, 600)
        said = [record.getMessage() for record in caplog.records if "cannot tell" in record.getMessage()]
        assert (len(said), run in said[-1]) == (number + 1, True)
    assert sweeper.signs.unclear == {"flows": 2}


def test_sweeper_on_a_node_with_another_clock_does_not_take_a_beat_for_an_old_one():
    world = World()
    run, job = running(world, on_eviction="run-again")
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    world.delete_job(job)
    beating(world, sweeper, 30, run)
    world.beat(run)
    world.sweep(sweeper)
    sweeper.leases.release()
    world.pass_time(27)
    another = world.sweeper(ahead=90)
    world.sweep(another)
    assert "flow_run" in world.calls
    assert state(world, run) == "Running"


@pytest.mark.parametrize("state_of_run", ["Submitted", "Running"])
def test_forged_job_does_not_end_a_healthy_run_elsewhere(state_of_run):
    world = World()
    run = world.schedule()
    for each in ("Submitted", "Running")[: 1 + (state_of_run == "Running")]:
        world.set(run, each)
    sweeper = world.sweeper()
    if state_of_run == "Submitted":
        world.submit(run, again=True)
        world.sweep(sweeper)
        world.set(run, "Running")
    else:
        world.submit(run, again=True)
    sweep_for(world, sweeper, 1200)
    beating(world, sweeper, 1200, run)
    assert state(world, run) == "Running"


def test_task_that_was_just_submitted_is_life():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    world.end_job(job, "Failed")
    world.objects["Pod"].clear()
    sweep_for(world, sweeper, 30)
    world.runs[run]["tasks"][0].update(state="Submitted", version=2)
    # The pod of another agent may take long to start.
    sweep_for(world, sweeper, SUBMITTED - 30)
    assert state(world, run) == "Running"
    sweep_for(world, sweeper, 60)
    assert state(world, run) == "Failed"


def test_task_that_the_zombie_killer_would_retry_is_waited_for():
    world = World()
    run, job = running(world)
    world.runs[run]["tasks"][0]["may_retry"] = True
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    world.evict(job)
    sweep_for(world, sweeper, 630)
    assert state(world, run) == "Running"
    sweep_for(world, sweeper, 90)
    assert state(world, run) == "Failed"


# The flow's container, not the pod


def test_native_sidecar_is_no_life():
    world = World()
    run, _, pod = submitted(world)
    pod["spec"]["initContainers"] = [SIDECAR]
    pod["status"] = status("Pending", MISSING_SECRET, inits=[("proxy", RUNNING)])
    sweep_for(world, world.sweeper(), 660)
    assert state(world, run) == "Failed"
    assert any('secret "x" not found' in each["message"] for each in world.objects["Event"].values())
    assert not jobs(world)


def test_injected_container_that_runs_is_no_life_wherever_it_was_put():
    world = World()
    run, _, pod = submitted(world)
    pod["spec"]["containers"].insert(0, {"name": "proxy"})
    pod["status"] = status("Pending", MISSING_SECRET, others=[("proxy", RUNNING)])
    sweep_for(world, world.sweeper(), 660)
    assert state(world, run) == "Failed"


def test_injected_proxy_that_outlives_the_flow_is_no_life():
    world = World()
    run, job = running(world, on_eviction="run-again")
    pod = world.pods_of(job)[0]
    pod["status"] = status("Running", RUNNING, others=[("proxy", RUNNING)])
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 600)
    assert state(world, run) == "Running"
    pod["status"] = status("Running", terminated(137, "OOMKilled"), others=[("proxy", RUNNING)])
    sweep_for(world, sweeper, 120)
    assert state(world, run) == "Failed"
    assert any("OOMKilled, exit code 137" in each["message"] for each in world.objects["Event"].values())
    sweep_for(world, sweeper, 240)
    assert not jobs(world)


@pytest.mark.parametrize(("restart", "limit", "expected"), [("OnFailure", 3, "Running"), ("Never", 3, "Running"), ("Never", 0, "Failed")])
def test_flow_container_that_is_started_again_is_not_over(restart, limit, expected):
    world = World()
    run, job = running(world)
    job["spec"]["backoffLimit"] = limit
    pod = world.pods_of(job)[0]
    pod["spec"]["restartPolicy"] = restart
    sweeper = world.sweeper()
    world.sweep(sweeper)
    pod["status"] = status("Running", terminated(1), others=[("proxy", RUNNING)])
    sweep_for(world, sweeper, 390)
    assert state(world, run) == expected


@pytest.mark.parametrize("policy", ["", "run-again"])
def test_pod_on_a_lost_node_is_alive_until_its_time_and_a_minute_are_over(policy):
    world = World()
    run, job = running(world, on_eviction=policy)
    pod = world.pods_of(job)[0]
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    job["metadata"]["deletionTimestamp"] = world.stamp()
    pod["metadata"].update(deletionTimestamp=world.stamp(300), deletionGracePeriodSeconds=300)
    sweep_for(world, sweeper, 420)
    assert state(world, run) == "Running"
    sweep_for(world, sweeper, 90)
    assert state(world, run) != "Running"


def test_pod_on_a_lost_node_whose_flow_shows_life_is_left_alone():
    world = World()
    run, job = running(world)
    pod = world.pods_of(job)[0]
    sweeper = world.sweeper()
    begin_to_delete(world, pod)
    beating(world, sweeper, 1800, run)
    assert state(world, run) == "Running"


def test_pod_on_a_lost_node_without_heartbeats_is_left_alone_and_counted():
    world = World()
    run, job = running(world)
    pod = world.pods_of(job)[0]
    sweeper = world.sweeper()
    begin_to_delete(world, pod)
    sweep_for(world, sweeper, 1800)
    assert state(world, run) == "Running"
    assert sweeper.signs.unclear == {"flows": 1}


def starts_again(world, run, pod):
    pod["status"]["containerStatuses"][0]["restartCount"] += 1


def starts_in_another_pod(world, run, pod):
    name = f"{pod['metadata']['name']}-2"
    metadata = dict(pod["metadata"], name=name, uid=f"{pod['metadata']['uid']}-2")
    world.objects["Pod"][name] = dict(pod, metadata=metadata, status=status("Running", RUNNING))
    pod["status"] = status("Failed", terminated(1))


def is_queued(world, run, pod):
    world.set(run, "Queued")
    world.set(run, "Running")


@pytest.mark.parametrize("happens", [None, starts_again, starts_in_another_pod, is_queued])
def test_heartbeat_with_which_each_process_begins_is_no_proof_that_it_sends_more(happens):
    world = World()
    run, job = running(world)
    pod = world.pods_of(job)[0]
    pod["status"] = status("Running", RUNNING)
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 60)
    # Prefect's client repeats a request that gets no answer.
    beating(world, sweeper, 7 * 30, run)
    sweep_for(world, sweeper, 60)
    if happens:
        happens(world, run, pod)
        sweep_for(world, sweeper, 60)
        beating(world, sweeper, 7 * 30, run)
        sweep_for(world, sweeper, 60)
    for each in world.pods_of(job):
        each["metadata"].update(deletionTimestamp=world.stamp(), deletionGracePeriodSeconds=30)
    sweep_for(world, sweeper, 1800)
    assert state(world, run) == "Running"
    assert sweeper.signs.unclear == {"flows": 1}


def test_sweeper_that_restarts_more_often_than_hearts_beat_sees_life_too():
    world = World()
    run, job = running(world)
    for _ in range(BEATS + 1):
        world.beat(run)
        # It waits for the Lease, looks, and is killed.
        sweep_for(world, world.sweeper(), 30, step=15)
    # No sweeper is there to see how it ends.
    world.delete_job(job)
    sweep_for(world, world.sweeper(), 150)
    assert state(world, run) == "Failed"


def test_heartbeat_is_in_the_ledger_only_until_it_is_known_to_beat():
    world = World()
    run, _ = running(world)
    world.beat(run)
    sweeper = world.sweeper()
    texts = []
    for _ in range(BEATS + 3):
        world.sweep(sweeper)
        texts.append(world.objects["ConfigMap"][LEDGER]["data"][run])
        world.pass_time(30)
        world.beat(run)
    # A ledger that changes with each heartbeat would be written at each pass.
    assert len(set(texts)) == BEATS + 1
    assert texts[BEATS] == texts[-1]


def test_cancelling_run_that_hangs_is_ended_although_its_heartbeat_moves():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    world.set(run, "Cancelling")
    beating(world, sweeper, 390, run)
    assert state(world, run) == "Cancelled"
    assert not jobs(world)


# One that is odd does not stop the others


@pytest.mark.parametrize("text", ["", "{}", "x", "[]", "1", "1 00000000 a b", "2 00000000 a b c d e f g h i j", '{"job": "a", "uid": "b"}'])
def test_ledger_entry_that_is_not_understood_stops_no_other(text):
    world = World()
    run, job = running(world)
    odd, other = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run, odd)
    world.objects["ConfigMap"][LEDGER]["data"][odd] = text
    for item in (job, other):
        world.evict(item)
    sweep_for(world, sweeper, 180)
    assert (state(world, run), state(world, odd)) == ("Failed", "Running")
    assert sweeper.signs.counters["errors"][NAMESPACE, "ledger"] > 0
    world.set(odd, "Success")
    world.delete_job(other)
    sweep_for(world, sweeper, 60)
    assert odd not in world.objects["ConfigMap"][LEDGER]["data"]


def test_entry_of_another_run_is_not_understood():
    world = World()
    run, job = running(world)
    other, _ = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    data = world.objects["ConfigMap"][LEDGER]["data"]
    data[other] = data[run]
    world.evict(job)
    sweep_for(world, sweeper, 180)
    assert (state(world, run), state(world, other)) == ("Failed", "Running")


def test_ledger_that_is_missing_is_an_error():
    world = World()
    world.objects["ConfigMap"].clear()
    sweeper = world.sweeper()
    world.sweep(sweeper)
    assert sweeper.signs.counters["errors"][NAMESPACE, "pass"] == 1


def test_pod_whose_condition_has_no_reason_is_a_pod():
    world = World()
    run, _, pod = submitted(world)
    pod["status"] = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False"}]}
    sweep_for(world, world.sweeper(), 660)
    assert state(world, run) == "Failed"


def test_warning_without_a_message_is_a_warning():
    world = World()
    run, _, pod = submitted(world)
    event(world, pod, "FailedMount", kind="Warning")
    sweep_for(world, world.sweeper(), 660)
    assert state(world, run) == "Failed"


@pytest.mark.parametrize("kind", ["Job", "Pod"])
@pytest.mark.parametrize("what", ["spec", "status"])
def test_object_that_is_odd_leaves_its_own_run_alone_and_no_other(kind, what):
    world = World()
    run, job = running(world)
    odd, other = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run, odd)
    (other if kind == "Job" else world.pods_of(other)[0])[what] = "odd"
    world.evict(job)
    sweep_for(world, sweeper, 1200)
    assert (state(world, run), state(world, odd)) == ("Failed", "Running")
    assert sweeper.signs.counters["errors"][NAMESPACE, "object"] > 0


def about_to_give_up():
    world = World()
    run, _, pod = submitted(world)
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 570)
    world.pass_time(30)
    return world, run, pod, sweeper


def test_job_whose_pod_starts_after_all_is_not_deleted_by_what_a_sweeper_set_out_to_do():
    world, _, _, sweeper = about_to_give_up()
    world.sweep(sweeper)
    ledger_is_written = next(number for number, call in enumerate(world.calls) if call.startswith("PATCH"))
    world, run, pod, sweeper = about_to_give_up()

    def start():
        pod.update(status=status("Running", RUNNING))
        world.set(run, "Running")

    world.faults = {ledger_is_written: start}
    world.sweep(sweeper)
    world.faults = {}
    world.set(run, "Success")
    sweep_for(world, sweeper, 60)
    assert (state(world, run), len(jobs(world))) == ("Success", 1)


# Dask objects are judged one by one


def worker(world, name, cluster, **metadata):
    labels = {"dask.org/cluster-name": cluster, "dask.org/component": "worker", **metadata.pop("labels", {})}
    item = world.add("Pod", name, labels, status={"phase": "Running"})
    item["metadata"].update(metadata)
    return item


def owned_by(pod):
    return [{"kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}]


@pytest.mark.parametrize("proof", ["owner", "label"])
def test_dask_clusters_of_one_name_are_judged_one_by_one(proof):
    world = World()
    ended, job = running(world)
    going, other = running(world)
    for name, item in (("a", job), ("b", other)):
        pod = world.pods_of(item)[0]
        if proof == "owner":
            worker(world, name, "etl", ownerReferences=owned_by(pod))
        else:
            worker(world, name, "etl", labels={"cdk8s-prefect/flow-pod": pod["metadata"]["name"]})
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.set(ended, "Failed")
    world.delete_job(job)
    sweep_for(world, sweeper, 300)
    assert [name for name in ("a", "b") if name in world.objects["Pod"]] == ["b"]


def test_forged_object_of_a_notebooks_cluster_does_not_delete_the_cluster():
    world = World()
    run, job = running(world)
    cluster = world.dask_cluster("jupyter-anna-abcde")
    label = {"dask.org/cluster-name": cluster, "cdk8s-prefect/flow-pod": world.pods_of(job)[0]["metadata"]["name"]}
    world.add("Service", "aaa", label)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.set(run, "Failed")
    world.delete_job(job)
    sweep_for(world, sweeper, 300)
    assert len(world.of_cluster(cluster)) == 4


@pytest.mark.parametrize("owners", [[{"kind": "DaskCluster", "name": "x", "uid": "y"}], [{"kind": "Pod", "name": "jovyan", "uid": "y"}]])
def test_dask_object_that_belongs_to_something_else_is_left_alone(owners):
    world = World()
    run, job = running(world)
    name = f"dask-{world.pods_of(job)[0]['metadata']['name']}-0123abcd-0"
    worker(world, "theirs", name, ownerReferences=owners)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.set(run, "Failed")
    world.delete_job(job)
    sweep_for(world, sweeper, 300)
    assert "theirs" in world.objects["Pod"]


def test_refused_delete_stops_no_other():
    world = World()
    run, job = running(world)
    cluster = world.dask_cluster(world.pods_of(job)[0]["metadata"]["name"], workers=2)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.set(run, "Failed")
    world.delete_job(job)

    def refuse(kind, item):
        if kind == "Service":
            raise RuntimeError("it is protected")

    world.on_delete = refuse
    sweep_for(world, sweeper, 300)
    assert [kind for kind, _ in world.of_cluster(cluster)] == ["Service"]
    assert sweeper.signs.counters["errors"][NAMESPACE, "orphaned-dask-clusters"] > 0


@pytest.mark.parametrize("key", [b"pcu_abc\n", b" pcu_abc", b"\xef\xbb\xbfpcu_abc", b"pcu abc", b"\xff\xfep", b"", b"\n"])
def test_key_that_flows_could_not_use_is_refused_and_not_said(tmp_path, key):
    from sweeper import read_key

    file = tmp_path / "key"
    file.write_bytes(key)
    with pytest.raises(SystemExit) as refusal:
        read_key(file)
    assert str(file) in str(refusal.value)
    assert "pcu" not in str(refusal.value)


def test_key_is_read_as_it_is(tmp_path):
    from sweeper import read_key

    (tmp_path / "key").write_text("pcu_a-b.c=$x~")
    assert read_key(tmp_path / "key") == "pcu_a-b.c=$x~"


# What the truth model found


def move_elsewhere(world, run):
    for each in ("Scheduled", "Submitted", "Running"):
        world.set(run, each)


def test_dask_cluster_of_a_flow_that_lives_on_a_lost_node_is_left_alone():
    world = World()
    run, job = running(world)
    pod = world.pods_of(job)[0]
    cluster = world.dask_cluster(pod["metadata"]["name"], labelled=True)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    begin_to_delete(world, pod)
    beating(world, sweeper, 1800, run)
    assert len(world.of_cluster(cluster)) == 4
    world.set(run, "Success")
    sweep_for(world, sweeper, 210)
    assert world.of_cluster(cluster) == []


def test_job_that_ended_while_nobody_looked_does_not_end_the_run_that_another_agent_has():
    world = World()
    sweeper = world.sweeper()
    world.sweep(sweeper)
    run, job = running(world)
    world.pods_of(job)[0]["status"] = status("Failed", terminated(1))
    world.end_job(job, "Failed")
    world.pass_time(1200)
    move_elsewhere(world, run)
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"
    assert sweeper.signs.unclear == {"flows": 1}


def test_job_that_ended_between_two_passes_ends_its_run():
    world = World()
    sweeper = world.sweeper()
    world.sweep(sweeper)
    run, job = running(world)
    world.pods_of(job)[0]["status"] = status("Failed", terminated(1))
    world.end_job(job, "Failed")
    world.pass_time(30)
    sweep_for(world, sweeper, 90)
    assert state(world, run) == "Failed"


def test_known_job_that_ended_while_nobody_looked_ends_its_run():
    world = World()
    run, job, pod = submitted(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.pass_time(1200)
    world.set(run, "Running")
    pod["status"] = status("Failed", terminated(1))
    world.end_job(job, "Failed")
    sweep_for(world, sweeper, 120)
    assert state(world, run) == "Failed"


def test_known_job_that_ended_does_not_end_the_run_that_another_agent_has_since():
    world = World()
    run, job, pod = submitted(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    move_elsewhere(world, run)
    world.evict(job)
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"


def test_delay_begins_after_the_look_that_saw_its_beginning():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    world.sweep(sweeper)

    def slow():
        world.pass_time(300)
        world.end_job(job, "Failed")
        world.pods_of(job)[0]["status"] = status("Failed", terminated(1))

    world.pass_time(30)
    world.faults = {world.calls.index("GET /apis/batch/v1/namespaces/flows/jobs"): slow}
    world.sweep(sweeper)
    world.faults = {}
    # Less than the delay of 90 seconds.
    world.pass_time(29)
    world.sweep(sweeper)
    world.pass_time(59)
    world.sweep(sweeper)
    assert state(world, run) == "Running"
    sweep_for(world, sweeper, 60)
    assert state(world, run) == "Failed"


def test_cancelling_run_that_another_agent_has_is_left_alone_while_it_shows_life():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    # Another agent takes up a task of it, which changes no version.
    world.delete_job(job)
    beating(world, sweeper, LONG, run)
    world.set(run, "Cancelling")
    beating(world, sweeper, 900, run)
    assert state(world, run) == "Cancelling"
    sweep_for(world, sweeper, 360)
    assert state(world, run) == "Cancelled"


def test_run_that_another_agent_has_while_our_pod_is_on_a_lost_node_is_not_cancelled():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    world.pods_of(job)[0]["metadata"].update(deletionTimestamp=world.stamp(), deletionGracePeriodSeconds=30)
    move_elsewhere(world, run)
    beating(world, sweeper, LONG, run)
    world.set(run, "Cancelling")
    beating(world, sweeper, 900, run)
    assert state(world, run) == "Cancelling"


def test_run_that_was_cancelled_while_its_pod_waited_is_ended():
    world = World()
    run, _, _ = submitted(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.set(run, "Cancelling")
    sweep_for(world, sweeper, 360)
    assert state(world, run) == "Cancelled"
    assert not jobs(world)


def test_dask_cluster_of_the_first_of_two_jobs_goes_with_both():
    world = World()
    run, job = running(world)
    cluster = world.dask_cluster(world.pods_of(job)[0]["metadata"]["name"], labelled=True)
    other = world.submit(run)
    world.start(world.pods_of(other)[0])
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 90)
    world.set(run, "Success")
    world.delete_job(job)
    world.delete_job(other)
    sweep_for(world, sweeper, 30)
    assert len(world.of_cluster(cluster)) == 4
    sweep_for(world, sweeper, 60)
    assert world.of_cluster(cluster) == []


# Each check of the rules has a case that needs it: `npm run test:mutations`


def test_run_that_was_lost_and_taken_up_step_by_step_is_left_alone():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    world.delete_job(job)
    sweep_for(world, sweeper, 30)
    for each in ("Scheduled", "Submitted", "Running"):
        world.set(run, each)
        sweep_for(world, sweeper, 30)
    # There it sends no heartbeats.
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"


def test_run_that_was_lost_and_taken_up_is_not_cancelled():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    world.delete_job(job)
    sweep_for(world, sweeper, 30)
    move_elsewhere(world, run)
    world.set(run, "Cancelling")
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Cancelling"


def test_pod_that_ended_well_is_not_replaced():
    world = World()
    run, job = running(world)
    job["spec"]["backoffLimit"] = 3
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.pods_of(job)[0]["status"] = status("Succeeded", terminated(0, "Completed"))
    sweep_for(world, sweeper, 120)
    assert state(world, run) == "Failed"


def test_deleted_job_replaces_no_pod():
    world = World()
    run, job = running(world)
    job["spec"]["backoffLimit"] = 3
    sweeper = world.sweeper()
    world.sweep(sweeper)
    job["metadata"]["deletionTimestamp"] = world.stamp()
    world.pods_of(job)[0]["status"] = status("Failed", terminated(1))
    sweep_for(world, sweeper, 120)
    assert state(world, run) == "Failed"


def test_deleted_job_whose_pod_was_not_seen_to_end_proves_nothing():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    job["metadata"]["deletionTimestamp"] = world.stamp()
    world.objects["Pod"].clear()
    world.tell()
    world.forgotten = len(world.events)
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"


def test_job_whose_policy_may_ignore_failures_is_not_over_before_it_says_so():
    world = World()
    run, job = running(world)
    job["spec"]["podFailurePolicy"] = {"rules": [{"action": "Ignore"}]}
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.pods_of(job)[0]["status"] = status("Failed", terminated(1))
    sweep_for(world, sweeper, 390)
    assert state(world, run) == "Running"
    assert not sweeper.signs.counters["errors"][NAMESPACE, "pass"]
    world.end_job(job, "Failed")
    sweep_for(world, sweeper, 120)
    assert state(world, run) == "Failed"


def test_run_that_another_agent_takes_step_by_step_beside_a_lost_node_is_not_cancelled():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 30)
    world.pods_of(job)[0]["metadata"].update(deletionTimestamp=world.stamp(), deletionGracePeriodSeconds=30)
    for each in ("Scheduled", "Submitted", "Running", "Cancelling"):
        world.set(run, each)
        sweep_for(world, sweeper, 30)
    sweep_for(world, sweeper, 900)
    assert state(world, run) == "Cancelling"


def test_process_that_installs_packages_before_it_runs_is_its_own():
    world = World()
    run, job, pod = submitted(world)
    sweeper = world.sweeper()
    pod["status"] = status("Running", RUNNING)
    sweep_for(world, sweeper, 60)
    world.set(run, "Running")
    sweep_for(world, sweeper, 60)
    pod["status"] = status("Failed", terminated(137, "OOMKilled"))
    world.end_job(job, "Failed")
    sweep_for(world, sweeper, 120)
    assert state(world, run) == "Failed"


def test_next_job_of_a_run_that_ended_between_two_passes_ends_the_run():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    world.evict(job)
    sweep_for(world, sweeper, 0)
    world.pass_time(1)
    world.delete_job(job)
    world.set(run, "Scheduled")
    again = world.submit(run)
    world.set(run, "Running")
    world.evict(again)
    world.pass_time(29)
    sweep_for(world, sweeper, 120)
    assert state(world, run) == "Failed"


def test_pod_that_fails_while_another_agent_has_its_run_ends_nothing():
    world = World()
    sweeper = world.sweeper()
    world.sweep(sweeper)
    run, job, pod = submitted(world)
    move_elsewhere(world, run)
    world.pass_time(30)
    sweep_for(world, sweeper, 30)
    pod["status"] = status("Failed", terminated(1))
    world.end_job(job, "Failed")
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"


def test_cancelling_run_is_left_to_another_agent_that_shows_life_whatever_is_on_a_lost_node():
    world = World()
    run, job = running(world)
    pod = world.pods_of(job)[0]
    begin_to_delete(world, pod)
    # The sweeper, whose ledger was deleted, sees the run for the first time when another agent has it.
    world.end_job(job, "Failed")
    move_elsewhere(world, run)
    sweeper = world.sweeper()
    beating(world, sweeper, LONG, run)
    world.set(run, "Cancelling")
    beating(world, sweeper, 900, run)
    assert state(world, run) == "Cancelling"


def waits_beside_a_pending_job(world, sweeper, task):
    """A run that is Running while no process of it lives: its Job has ended, since a task waits, and the pod of another Job waits too."""
    run, job = running(world)
    beating(world, sweeper, LONG, run)
    world.pods_of(job)[0]["status"] = status("Succeeded", terminated(0, "Completed"))
    world.end_job(job, "Complete")
    world.runs[run]["tasks"][0].update(state=task, version=2)
    world.sweep(sweeper)
    world.pass_time(30)
    world.submit(run, again=True)
    return run


def test_run_of_which_a_task_waits_is_not_ended_by_a_job_that_cannot_start():
    """As somebody may make who may make Jobs here. The agent makes one when the task is due."""
    world = World()
    sweeper = world.sweeper()
    run = waits_beside_a_pending_job(world, sweeper, "Retrying")
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"


def test_task_that_was_just_submitted_is_life_beside_a_job_that_cannot_start():
    world = World()
    sweeper = world.sweeper()
    run = waits_beside_a_pending_job(world, sweeper, "Running")
    sweep_for(world, sweeper, 570)
    world.runs[run]["tasks"][0].update(state="Submitted", version=3)
    sweep_for(world, sweeper, 270)
    assert state(world, run) == "Running"
    sweep_for(world, sweeper, 390)
    assert state(world, run) == "Failed"


# A run with two Jobs here


def ends_while_a_task_waits(world, run, job, others=()):
    """It succeeds for Kubernetes, unless a proxy runs on in its pod."""
    world.runs[run]["tasks"][0]["state"] = "Retrying"
    world.pods_of(job)[0]["status"] = status("Running" if others else "Succeeded", terminated(0, "Completed"), others)
    if not others:
        world.end_job(job, "Complete")


def taken_up_again(world, sweeper, others=(), **labels):
    """A run without heartbeats: its first Job has ended and is there, since its agent keeps it, and a second has taken up the task."""
    run, first = running(world, kept=True, **labels)
    sweep_for(world, sweeper, 30)
    ends_while_a_task_waits(world, run, first, others)
    sweep_for(world, sweeper, 30)
    second = world.submit(run, kept=True, again=True, **labels)
    world.runs[run]["tasks"][0]["state"] = "Running"
    world.beat(run)
    world.pods_of(second)[0]["status"] = status("Running", RUNNING)
    sweep_for(world, sweeper, 60)
    return run, second


def another_sweeper_pod(world, sweeper):
    return world.sweeper()


def same_sweeper(world, sweeper):
    return sweeper


@pytest.mark.parametrize("next_sweeper", [same_sweeper, another_sweeper_pod])
@pytest.mark.parametrize("there", ["Submitted", "Running"])
@pytest.mark.parametrize("seconds", [0, 300])
def test_kept_job_does_not_end_the_run_that_another_agent_has_after_a_later_job(next_sweeper, there, seconds):
    """The later Job is deleted as soon as the other agent has the run, or some time after it."""
    world = World()
    sweeper = world.sweeper()
    run, second = taken_up_again(world, sweeper)
    ends_while_a_task_waits(world, run, second)
    sweep_for(world, sweeper, 60)
    world.runs[run]["tasks"][0]["state"] = "Pending"
    for each in ("Scheduled", "Submitted", "Running")[: 3 if there == "Running" else 2]:
        world.set(run, each)
    for _ in range(0, seconds, 30):
        world.sweep(sweeper)
        world.pass_time(30)
    world.delete_job(second)
    sweep_for(world, sweeper, 30)
    sweep_for(world, next_sweeper(world, sweeper), 1200)
    assert state(world, run) == there


@pytest.mark.parametrize("others", [(), (("proxy", RUNNING),)])
@pytest.mark.parametrize("next_sweeper", [same_sweeper, another_sweeper_pod])
def test_kept_job_does_not_show_that_the_process_of_a_later_job_is_over(next_sweeper, others):
    """The process goes on while its Job and pod were removed by force. Without heartbeats, nobody can tell."""
    world = World()
    sweeper = world.sweeper()
    run, second = taken_up_again(world, sweeper, others)
    world.delete_job(second)
    sweep_for(world, sweeper, 60)
    sweeper = next_sweeper(world, sweeper)
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"
    assert sweeper.signs.unclear == {"flows": 1}


def test_kept_job_does_not_hide_why_a_later_job_is_over():
    world = World()
    sweeper = world.sweeper()
    run, second = taken_up_again(world, sweeper, on_eviction="run-again")
    world.evict(second)
    sweep_for(world, sweeper, 30)
    world.delete_job(second)
    sweep_for(world, sweeper, 90)
    assert state(world, run) == "Scheduled"


def test_kept_job_does_not_hide_that_the_heart_of_a_later_one_has_stopped():
    world = World()
    sweeper = world.sweeper()
    run, second = taken_up_again(world, sweeper)
    beating(world, sweeper, LONG, run)
    world.delete_job(second)
    sweep_for(world, sweeper, 150)
    assert state(world, run) == "Failed"


def two_jobs(world, sweeper):
    """Lazarus schedules a run again whose pod waits for a node, and a second Job has its pod there."""
    run, first, _ = submitted(world, kept=True)
    sweep_for(world, sweeper, 60)
    world.set(run, "Scheduled")
    second = world.submit(run, kept=True)
    return run, first, second


def two_jobs_of_which_the_later_runs(world, sweeper):
    run, _, second = two_jobs(world, sweeper)
    sweep_for(world, sweeper, 30)
    world.start(world.pods_of(second)[0])
    sweep_for(world, sweeper, 60)
    return run, second


def test_job_that_waits_does_not_end_the_run_of_a_process_whose_later_job_is_gone():
    world = World()
    sweeper = world.sweeper()
    run, second = two_jobs_of_which_the_later_runs(world, sweeper)
    world.delete_job(second)
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"


def test_job_that_waits_beside_a_later_one_that_ended_cannot_start_for_ever():
    world = World()
    sweeper = world.sweeper()
    run, second = two_jobs_of_which_the_later_runs(world, sweeper)
    world.evict(second)
    sweep_for(world, sweeper, 660)
    assert state(world, run) == "Failed"


def test_job_that_is_past_is_not_new_when_the_one_that_waited_has_failed():
    world = World()
    sweeper = world.sweeper()
    run, first, second = two_jobs(world, sweeper)
    world.evict(second)
    sweep_for(world, sweeper, 30)
    move_elsewhere(world, run)
    sweep_for(world, sweeper, 60)
    world.delete_job(first)
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"


# What was seen of one process tells nothing of the next


def waits_for_a_retry(world, sweeper, kept=True, beats=False):
    """A run whose process has ended, until its task is due."""
    run, first = running(world, kept=kept)
    if beats:
        see_alive(world, sweeper, run)
    sweep_for(world, sweeper, 60)
    ends_while_a_task_waits(world, run, first)
    sweep_for(world, sweeper, 900)
    if not kept:
        world.delete_job(first)
    return run


def set_task(world, run, state):
    task = world.runs[run]["tasks"][0]
    task.update(state=state, version=task["version"] + 1)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("beats", [True, False])
def test_retry_that_another_agent_has_taken_up_elsewhere_is_left_alone(beats, kept):
    world = World()
    sweeper = world.sweeper()
    run = waits_for_a_retry(world, sweeper, kept)
    set_task(world, run, "Submitted")
    sweep_for(world, sweeper, 60)
    # The process begins with a heartbeat, also without heartbeats.
    set_task(world, run, "Running")
    world.beat(run)
    if beats:
        beating(world, sweeper, LONG, run)
    sweep_for(world, sweeper, 1200)
    assert (state(world, run), sweeper.signs.unclear) == ("Running", {"flows": 1})


def test_retry_that_another_agent_has_taken_up_between_two_passes_is_left_alone():
    """The heartbeat of the first process was known to beat; that of the next is off."""
    world = World()
    sweeper = world.sweeper()
    run, first = running(world, kept=True)
    beating(world, sweeper, LONG, run)
    ends_while_a_task_waits(world, run, first)
    sweep_for(world, sweeper, 900)
    set_task(world, run, "Running")
    world.beat(run)
    sweep_for(world, sweeper, 1200)
    assert (state(world, run), sweeper.signs.unclear) == ("Running", {"flows": 1})


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("heard", [True, False])
def test_retry_that_a_stock_agent_had_taken_up_here_is_left_alone_when_its_job_is_gone(heard, kept):
    world = World()
    sweeper = world.sweeper()
    run = waits_for_a_retry(world, sweeper, kept)
    set_task(world, run, "Submitted")
    stock = world.submit(run, stamped=False, again=True)
    set_task(world, run, "Running")
    if heard:
        world.beat(run)
    world.pods_of(stock)[0]["status"] = status("Running", RUNNING)
    sweep_for(world, sweeper, 300)
    # By force, and its process goes on.
    world.delete_job(stock)
    sweep_for(world, sweeper, 1200)
    assert (state(world, run), sweeper.signs.unclear) == ("Running", {"flows": 1})


@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize("policy", ["", "run-again"])
def test_pod_that_a_queue_removed_says_nothing_of_the_next(policy, watched):
    world = World()
    run, job = running(world, on_eviction=policy)
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 60)
    # Kueue preempts it.
    job["spec"]["suspend"] = True
    pod = world.pods_of(job)[0]
    begin_to_delete(world, pod)
    pod["status"] = status("Running", RUNNING, conditions=[{"type": "DisruptionTarget", "status": "True"}])
    world.tell()
    pod["status"] = status("Failed", terminated(143), conditions=[{"type": "DisruptionTarget", "status": "True"}])
    sweep_for(world, sweeper, 30)
    del world.objects["Pod"][pod["metadata"]["name"]]
    sweep_for(world, sweeper, 60)
    job["spec"]["suspend"] = False
    world.pod_of(job)["status"] = status("Running", RUNNING)
    sweep_for(world, sweeper, 60)
    # Its Job and its next pod are removed by force, and its process goes on.
    world.delete_job(job)
    world.tell()
    if not watched:
        world.forgotten = len(world.events)
    sweep_for(world, sweeper, 1200)
    assert (state(world, run), sweeper.signs.unclear) == ("Running", {"flows": 1})


def test_pod_that_is_terminating_may_have_been_counted_by_its_job():
    """A Job that may fail twice replaces a pod whose proxy outlives the flow."""
    world = World()
    run, job = running(world)
    job["spec"]["backoffLimit"] = 1
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    job["status"]["failed"] = 1
    pod = world.pods_of(job)[0]
    begin_to_delete(world, pod)
    pod["status"] = status("Running", terminated(1), others=[("proxy", RUNNING)])
    sweep_for(world, sweeper, 300)
    assert state(world, run) == "Running"


def test_job_whose_proxy_goes_on_does_not_hide_the_end_of_the_next():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 60)
    world.pods_of(job)[0]["status"] = status("Running", terminated(137, "OOMKilled"), others=[("proxy", RUNNING)])
    sweep_for(world, sweeper, 120)
    assert state(world, run) == "Failed"
    # Somebody starts it again.
    world.set(run, "Scheduled")
    second = world.submit(run)
    world.start(world.pods_of(second)[0])
    world.evict(second)
    sweep_for(world, sweeper, 300)
    assert state(world, run) == "Failed"


# Between the list of pods and the answer of Prefect


@pytest.mark.parametrize("how", ["evicted", "killed"])
def test_process_that_starts_within_a_pass_and_dies_before_the_next_is_over(how):
    world = World()
    sweeper = world.sweeper()
    run, job, pod = submitted(world)
    sweep_for(world, sweeper, 30)
    world.faults = {world.calls.index("flow_run"): lambda: world.start(pod)}
    world.sweep(sweeper)
    world.faults = {}
    world.pass_time(10)
    if how == "evicted":
        world.evict(job)
    else:
        pod["status"] = status("Failed", terminated(137, "OOMKilled"))
        world.end_job(job, "Failed")
    sweep_for(world, sweeper, 300)
    assert (state(world, run), sweeper.signs.unclear) == ("Failed", {"flows": 0})


def test_processes_that_start_and_die_while_prefect_limits_requests_are_over():
    world = World()
    sweeper = world.sweeper()
    made = [submitted(world) for _ in range(5)]
    sweep_for(world, sweeper, 30)

    def limited():
        world.pass_time(300)
        for _, _, pod in made:
            world.start(pod)
        world.pass_time(5)

    world.faults = {world.calls.index("flow_run"): limited}
    world.sweep(sweeper)
    world.faults = {}
    for _, job, _ in made:
        world.evict(job)
    sweep_for(world, sweeper, 300)
    assert ([state(world, run) for run, _, _ in made], sweeper.signs.unclear) == (["Failed"] * 5, {"flows": 0})


def test_run_whose_pod_starts_nowhere_here_is_anothers_after_the_next_look():
    """Its pod waits. The run is Running for longer than one look, so another process has it."""
    world = World()
    sweeper = world.sweeper()
    run, _, _ = submitted(world)
    sweep_for(world, sweeper, 60)
    world.set(run, "Running")
    sweep_for(world, sweeper, 3600)
    assert (state(world, run), sweeper.signs.unclear) == ("Running", {"flows": 1})


# A node that is lost, and pods that cannot go on


@pytest.mark.parametrize("job_has_failed, expected", [(True, ("Submitted", 1)), (False, ("Failed", 0))])
def test_init_container_on_a_lost_node_is_not_at_work(job_has_failed, expected):
    world = World()
    run, job, pod = submitted(world)
    pod["status"] = status("Pending", {"waiting": {"reason": "PodInitializing"}}, inits=[("fetch", RUNNING)])
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 60)
    begin_to_delete(world, pod)
    if job_has_failed:
        world.end_job(job, "Failed")
    sweep_for(world, sweeper, 3600)
    assert (state(world, run), sweeper.signs.unclear["flows"]) == expected


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize(
    "spec",
    [
        {"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}},
        {"podReplacementPolicy": "Failed"},
    ],
)
def test_run_that_runs_again_has_no_job_that_would_start_another_pod(spec, refused):
    world = World()
    run, job = running(world, on_eviction="run-again")
    job["spec"].update(spec, backoffLimit=3)
    pod = world.pods_of(job)[0]
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    # The node is lost. Such a Job waits until the pod has ended before it replaces it.
    begin_to_delete(world, pod)
    pod["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True"}]
    delete = f"DELETE /apis/batch/v1/namespaces/flows/jobs/{job['metadata']['name']}"
    world.faults = {delete: "fail"} if refused else {}
    sweep_for(world, sweeper, 300)
    assert (state(world, run), len(world.objects["Job"])) == (("Running", 1) if refused else ("Scheduled", 0))


def test_flow_container_that_cannot_be_started_again_is_no_life():
    world = World()
    run, job = running(world)
    job["spec"]["backoffLimit"] = 3
    pod = world.pods_of(job)[0]
    pod["spec"]["restartPolicy"] = "OnFailure"
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    pod["status"] = status("Running", MISSING_SECRET)
    pod["status"]["containerStatuses"][0].update(restartCount=1, lastState=terminated(137))
    sweep_for(world, sweeper, 900)
    assert (state(world, run), jobs(world)) == ("Failed", [])


def test_flow_container_whose_restart_is_paused_is_life():
    world = World()
    run, job = running(world)
    job["spec"]["backoffLimit"] = 3
    pod = world.pods_of(job)[0]
    pod["spec"]["restartPolicy"] = "OnFailure"
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 60)
    pod["status"] = status("Running", {"waiting": {"reason": "CrashLoopBackOff"}})
    pod["status"]["containerStatuses"][0].update(restartCount=1, lastState=terminated(137))
    sweep_for(world, sweeper, 3600)
    assert state(world, run) == "Running"


def test_disruption_that_did_not_come_is_none():
    world = World()
    run, job = running(world, on_eviction="run-again")
    sweeper = world.sweeper()
    # Kubernetes sets it to False after 2 minutes, if the pod is still there.
    stale = [{"type": "DisruptionTarget", "status": "False"}]
    world.pods_of(job)[0]["status"] = status("Running", RUNNING, conditions=stale)
    see_alive(world, sweeper, run)
    world.pods_of(job)[0]["status"] = status("Failed", terminated(1), conditions=stale)
    world.end_job(job, "Failed")
    sweep_for(world, sweeper, 300)
    assert state(world, run) == "Failed"


# A name that no ConfigMap takes as a key


def test_dask_worker_with_the_longest_name_does_not_stop_its_namespace():
    world = World()
    _, job = running(world)
    flow_pod = world.pods_of(job)[0]["metadata"]["name"]
    labels = {"dask.org/cluster-name": "etl", "dask.org/component": "worker", "cdk8s-prefect/flow-pod": flow_pod}
    world.add("Pod", "w" * 253, labels, status={"phase": "Succeeded"})
    lost, other = running(world)
    sweeper = world.sweeper(RULES._replace(finished_dask_workers=None))
    sweep_for(world, sweeper, 60)
    world.evict(other)
    sweep_for(world, sweeper, 300)
    assert state(world, lost) == "Failed"


# What is removed by force, what cannot be read, and what is cut short


@pytest.mark.parametrize("policy", ["", "run-again"])
def test_run_without_heartbeats_whose_pod_was_removed_by_force_is_left_alone_and_counted(policy):
    """As from a node that was cut off: its process goes on, and its Job has Failed."""
    world = World()
    run, job = running(world, on_eviction=policy)
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 300)
    world.remove_by_force(job)
    sweep_for(world, sweeper, 1200)
    assert (state(world, run), sweeper.signs.unclear) == ("Running", {"flows": 1})


def test_run_whose_pod_was_removed_by_force_before_it_started_is_ended():
    world = World()
    run, job, _ = submitted(world)
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 60)
    world.remove_by_force(job)
    sweep_for(world, sweeper, 300)
    assert state(world, run) == "Failed"


def test_events_that_cannot_be_read_stop_their_own_run_and_no_other():
    world = World()
    sweeper = world.sweeper()
    waits, _, _ = submitted(world)
    sweep_for(world, sweeper, 500)
    lost, job = running(world)
    world.faults = {"GET /api/v1/namespaces/flows/events": "fail"}
    beating(world, sweeper, LONG, lost)
    world.evict(job)
    sweep_for(world, sweeper, 300)
    assert [state(world, run) for run in (lost, waits)] == ["Failed", "Submitted"]
    assert sweeper.signs.counters["errors"]["flows", "event"] > 0
    world.faults = {}
    sweep_for(world, sweeper, 60)
    assert state(world, waits) == "Failed"


@pytest.mark.parametrize("fault", ["kill before", "kill after", "fail", "lose"])
def test_sweeper_does_not_take_its_own_deletion_for_one_on_purpose(fault):
    """It ends, or its write does, after it has deleted the Job that would start another pod."""
    world = World()
    run, job = running(world, on_eviction="run-again")
    job["spec"].update(podReplacementPolicy="Failed", backoffLimit=3)
    pod = world.pods_of(job)[0]
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    begin_to_delete(world, pod)
    pod["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True"}]
    faults, states = [fault], []
    world.on_set_run = lambda run_id, to: states.append(to)
    world.faults = {"set_flow_run_states": lambda: faults.pop() if faults else None}
    for _ in range(40):
        if world.sweep(sweeper):
            sweeper = world.sweeper()
        world.pass_time(30)
    assert states == ["Scheduled"]


def test_line_break_in_a_message_begins_no_line_of_the_log(caplog):
    caplog.set_level(logging.INFO)
    world = World()
    run, _, pod = submitted(world)
    event(world, pod, "FailedMount", kind="Warning", message="no disk\n[2026] ERROR - sweeper | forged")
    sweep_for(world, world.sweeper(), 700)
    assert state(world, run) == "Failed"
    said = [record.getMessage() for record in caplog.records if "forged" in record.getMessage()]
    assert said and not any("\n" in line for line in said)
