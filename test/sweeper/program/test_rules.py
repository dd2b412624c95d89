"""What each rule does, and what it leaves alone."""

import ledger as ledger_text
import pytest
from ledger import fitting
from rules import Rules
from sights import job_of, pod_of
from world import NAMESPACE, RULES, World, history_of, ledger, running


def sweep_for(world, sweeper, seconds, step=30):
    for _ in range(0, seconds, step):
        world.sweep(sweeper)
        world.pass_time(step)
    world.sweep(sweeper)


def state(world, run):
    return world.runs[run]["state"]


def jobs(world):
    return list(world.objects["Job"])


def test_finished_job_is_deleted_after_its_grace():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.set(run, "Success")
    world.pods_of(job)[0]["status"] = {"phase": "Succeeded"}
    world.end_job(job, "Complete")
    sweep_for(world, sweeper, 150)
    assert jobs(world)
    sweep_for(world, sweeper, 60)
    assert not jobs(world)
    world.sweep(sweeper)
    assert ledger(world) == {}


def test_job_that_its_agent_keeps_is_kept_but_not_its_process():
    world = World()
    ended, job = running(world, kept=True)
    world.end_job(job, "Complete")
    world.pods_of(job)[0]["status"] = {"phase": "Succeeded"}
    cancelled, other = running(world, kept=True)
    world.set(ended, "Success")
    world.set(cancelled, "Cancelled")
    sweep_for(world, world.sweeper(), 300)
    assert jobs(world) == [job["metadata"]["name"]]


def test_job_that_its_agent_keeps_is_kept_if_it_ends_right_before_its_run_is_cancelled():
    world = World()
    run, job = running(world, kept=True)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.set(run, "Cancelling")
    looks = "GET /apis/batch/v1/namespaces/flows/jobs"

    def end():
        if world.calls.count(looks) == 2:
            world.pods_of(job)[0]["status"] = {"phase": "Succeeded"}
            world.end_job(job, "Complete")

    world.faults = {looks: end}
    sweep_for(world, sweeper, 600)
    assert (state(world, run), len(jobs(world))) == ("Cancelled", 1)


def test_cancelling_run_is_ended():
    world = World()
    run, _ = running(world)
    world.set(run, "Cancelling")
    sweep_for(world, world.sweeper(), 360)
    assert state(world, run) == "Cancelled"
    assert not jobs(world)


def test_cancelling_run_without_job_is_ended():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.delete_job(job)
    world.sweep(sweeper)
    world.set(run, "Cancelling")
    sweep_for(world, sweeper, 360)
    assert state(world, run) == "Cancelled"


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Pending"},
        {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no"}]},
        {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]},
    ],
)
def test_job_that_cannot_start_is_ended(status):
    world = World()
    run = world.schedule()
    job = world.submit(run)
    world.pods_of(job)[0]["status"] = status
    sweep_for(world, world.sweeper(), 570)
    assert state(world, run) == "Submitted"
    sweep_for(world, world.sweeper(), 90)
    assert state(world, run) == "Failed"
    assert not jobs(world)


@pytest.mark.parametrize("held", ["suspended", "gated", "init container"])
def test_job_that_somebody_holds_back_is_left_alone(held):
    world = World()
    run = world.schedule()
    job = world.submit(run)
    if held == "suspended":
        job["spec"]["suspend"] = True
        world.objects["Pod"].clear()
    elif held == "gated":
        condition = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "queue"}
        world.pods_of(job)[0]["status"]["conditions"] = [condition]
    else:
        world.pods_of(job)[0]["status"]["initContainerStatuses"] = [{"state": {"running": {}}}]
    sweep_for(world, world.sweeper(), 1200)
    assert state(world, run) == "Submitted"


@pytest.mark.parametrize(("policy", "expected"), [("", "Failed"), ("fail", "Failed"), ("protect", "Failed"), ("run-again", "Scheduled")])
def test_lost_run(policy, expected):
    world = World()
    run, job = running(world, on_eviction=policy)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.evict(job)
    world.sweep(sweeper)
    world.delete_job(job)
    sweep_for(world, sweeper, 60)
    assert state(world, run) == "Running"
    sweep_for(world, sweeper, 60)
    assert state(world, run) == expected
    assert [task["state"] for task in world.runs[run]["tasks"]] == ["Pending" if expected == "Scheduled" else "Running"]


def test_run_again_does_not_run_again_what_failed_or_took_too_long():
    world = World()
    failed, job = running(world, on_eviction="run-again")
    late, other = running(world, on_eviction="run-again")
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.end_job(job, "Failed")
    terminated = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    world.pods_of(job)[0]["status"] = {"phase": "Failed", "containerStatuses": [{"state": terminated}]}
    world.evict(other)
    other["status"]["conditions"][0]["reason"] = "DeadlineExceeded"
    sweep_for(world, sweeper, 120)
    assert state(world, failed) == state(world, late) == "Failed"
    messages = [event["message"] for event in world.objects["Event"].values()]
    assert any("OOMKilled, exit code 137" in message for message in messages)
    assert any("it took longer than activeDeadlineSeconds" in message for message in messages)


@pytest.mark.parametrize("waiting", ["Retrying", "Queued", "Paused", "Scheduled"])
def test_run_with_a_waiting_task_is_left_alone(waiting):
    world = World()
    run, job = running(world, on_eviction="run-again")
    world.runs[run]["tasks"][0]["state"] = waiting
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.delete_job(job)
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"
    # Nothing is asked of it alone, however many there are, and nothing is written.
    assert [call.partition(" ")[0] for call in world.calls].count("flow_run") == 2
    assert not any(call.startswith("PATCH") for call in world.calls)


def test_run_of_which_a_task_has_waited_is_left_alone_while_its_agent_makes_another_job():
    """The agent marks the task before it makes the Job, and the sweeper has listed the Jobs before."""
    world = World()
    run, job = running(world)
    world.runs[run]["tasks"][0]["state"] = "Retrying"
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.delete_job(job)
    sweep_for(world, sweeper, 900)

    def agent_marks_the_task():
        world.runs[run]["tasks"][0]["state"] = "Submitted"

    world.pass_time(30)
    world.faults = {world.calls.index("flow_run"): agent_marks_the_task}
    world.sweep(sweeper)
    world.faults = {}
    assert state(world, run) == "Running"
    world.start(world.pods_of(world.submit(run, again=True))[0])
    sweep_for(world, sweeper, 600)
    assert state(world, run) == "Running"


def test_run_that_shows_life_is_left_alone():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.delete_job(job)
    for _ in range(40):
        world.beat(run)
        sweep_for(world, sweeper, 30)
    assert state(world, run) == "Running"


def test_run_whose_pod_still_runs_is_left_alone():
    """Its Job is gone, and so is the process that shows life, as when it was that which the node had no memory for."""
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    del world.objects["Job"][job["metadata"]["name"]]
    sweep_for(world, sweeper, 1200)
    assert state(world, run) == "Running"


def test_run_that_installs_packages_is_left_alone():
    world = World()
    run = world.schedule()
    world.pods_of(world.submit(run))[0]["status"] = {"phase": "Running"}
    sweep_for(world, world.sweeper(), 3600)
    assert state(world, run) == "Submitted"


@pytest.mark.parametrize("what", ["its Job is gone", "its pod waits"])
@pytest.mark.parametrize("held", ["Paused", "Queued", "Scheduled", "Retrying", "Pending"])
def test_run_that_waits_is_left_alone(held, what):
    world = World()
    run, job = running(world)
    world.set(run, held)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    if what == "its Job is gone":
        world.delete_job(job)
    else:
        world.pods_of(job)[0]["status"] = {"phase": "Pending"}
    sweep_for(world, sweeper, 3600)
    assert state(world, run) == held


def test_run_that_was_never_seen_with_a_job_is_left_alone():
    world = World()
    run = world.schedule()
    world.set(run, "Running")
    sweep_for(world, world.sweeper(), 1200)
    assert state(world, run) == "Running"


def test_run_that_a_local_agent_has_taken_up_is_left_alone():
    world = World()
    run, job = running(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.delete_job(job)
    world.sweep(sweeper)
    for each in ("Scheduled", "Submitted", "Running"):
        world.set(run, each)
    sweep_for(world, sweeper, 3600)
    assert state(world, run) == "Running"


def test_run_with_a_second_job_that_cannot_start_is_left_alone():
    world = World()
    run, _ = running(world)
    world.submit(run)
    sweep_for(world, world.sweeper(), 3600)
    assert state(world, run) == "Submitted"
    assert len(jobs(world)) == 2


def test_foreign_jobs_are_left_alone():
    world = World()
    for job in (dict(stamped=False), dict(said="another")):
        run, _ = running(world, **job)
        world.set(run, "Success")
    run, job = running(world)
    del world.runs[run]
    before = world.outcome()
    sweep_for(world, world.sweeper(), 1200)
    assert world.outcome() == before


def test_job_whose_run_id_is_none_is_no_job_of_ours():
    world = World()
    run = world.schedule()
    item = world.submit(run)
    assert job_of(item).run_id == run
    item["metadata"]["labels"]["prefect.io/flow_run_id"] = "x"
    item["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = "x"
    assert job_of(item) is None


@pytest.mark.parametrize("labelled", [False, True])
def test_dask_cluster_goes_with_its_flow_pod(labelled):
    world = World()
    run, job = running(world)
    cluster = world.dask_cluster(world.pods_of(job)[0]["metadata"]["name"], labelled=labelled, workers=2)
    sweeper = world.sweeper()
    sweep_for(world, sweeper, 600)
    assert len(world.of_cluster(cluster)) == 5
    worker = next(item for kind, item in world.of_cluster(cluster) if item["metadata"]["labels"].get("dask.org/component") == "worker")
    worker["status"]["phase"] = "Succeeded"
    world.sweep(sweeper)
    assert len(world.of_cluster(cluster)) == 4
    world.set(run, "Failed")
    world.delete_job(job)
    sweep_for(world, sweeper, 30)
    assert len(world.of_cluster(cluster)) == 4
    sweep_for(world, sweeper, 60)
    assert world.of_cluster(cluster) == []
    world.sweep(sweeper)
    assert ledger(world) == {}


def test_dask_cluster_of_a_notebook_is_left_alone():
    world = World()
    run, job = running(world)
    clusters = [world.dask_cluster(pod) for pod in ("jovyan", "jupyter-anna-abcde")]
    sweep_for(world, world.sweeper(), 600)
    assert all(len(world.of_cluster(cluster)) == 4 for cluster in clusters)


def test_prefect_that_does_not_answer_deletes_nothing():
    world = World()
    run, job = running(world)
    world.dask_cluster(world.pods_of(job)[0]["metadata"]["name"])
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.evict(job)
    before = world.outcome(), ledger(world)
    world.faults = {"flow_run": "fail"}
    sweep_for(world, sweeper, 1200)
    assert (world.outcome(), ledger(world)) == before
    assert world.calls[-1] == "flow_run"


def test_prefect_that_knows_no_run_ends_none_and_deletes_no_job():
    world = World()
    run, job = running(world)
    finished, other = running(world)
    sweeper = world.sweeper()
    world.sweep(sweeper)
    world.evict(job)
    world.set(finished, "Success")
    known, world.runs = world.runs, {}
    before = world.outcome(), ledger(world)
    sweep_for(world, sweeper, 1200)
    assert (world.outcome(), ledger(world)) == before
    world.runs = known
    sweep_for(world, sweeper, 240)
    assert state(world, run) == "Failed"


def test_dry_run_changes_nothing_but_the_ledger():
    world = World()
    run, job = running(world)
    world.dask_cluster(world.pods_of(job)[0]["metadata"]["name"])
    sweeper = world.sweeper(dry_run=True)
    world.sweep(sweeper)
    world.evict(job)
    before = world.outcome()
    sweep_for(world, sweeper, 600)
    assert world.outcome() == before
    assert world.objects["Event"] == {}


@pytest.mark.parametrize("rule", Rules._fields)
def test_a_rule_acts_alone_and_only_if_it_is_on(rule):
    for rules, acts in ((RULES._replace(**{rule: None}), False), (Rules(**{rule: getattr(RULES, rule)}), True)):
        world = World()
        history_of(rule, world)
        before = world.outcome()
        sweeper = world.sweeper(rules)
        sweep_for(world, sweeper, 1200)
        assert (world.outcome() != before) is acts
        assert bool(world.objects["Event"]) is acts


def test_ledger_keeps_first_what_it_has_when_there_is_no_room(monkeypatch):
    monkeypatch.setattr("ledger.LEDGER_ROOM", 20)
    data = {key: "123456789" for key in ("a", "b", "c")}
    assert list(fitting(data, {"c": ""})) == ["c", "a"]


def test_run_that_has_no_room_in_the_ledger_is_left_alone(monkeypatch):
    """Also by a rule that acts at once: the ledger could not tell a later process of it."""
    world = World()
    made = [running(world) for _ in range(3)]
    sweeper = world.sweeper(Rules(finished_jobs=0))
    # For two of them.
    monkeypatch.setattr(ledger_text, "LEDGER_ROOM", 300)
    for run, _ in made:
        world.set(run, "Success")
    left = []
    for _ in range(3):
        world.sweep(sweeper)
        left.append((len(jobs(world)), sweeper.signs.counters["errors"][NAMESPACE, "ledger"]))
        world.pass_time(30)
    assert left == [(1, 1), (0, 1), (0, 1)]


def test_waiting_and_failure_are_in_the_words_of_kubernetes():
    def pod(**status):
        return pod_of({"metadata": {"name": "p", "uid": "u"}, "status": status})

    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}}
    assert pod(phase="Pending", containerStatuses=[{"state": waiting}]).waiting == 'CreateContainerConfigError: secret "x" not found'
    evicted = pod(phase="Failed", reason="Evicted", message="low on memory", conditions=[{"type": "DisruptionTarget", "status": "True"}])
    assert (evicted.failed, evicted.disrupted) == ("Evicted: low on memory", True)
