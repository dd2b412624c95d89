"""How Jobs and pods ended, as lists and watches show it, and what becomes of a run that is to run again."""

import pytest
from ends import end_of_job, end_of_pod, had_to_leave, is_over, merged
from given import DELETED_JOB, FAILED_JOB, FAILED_POD, JOB, LIVING_POD, WAITING_POD, terminating
from world import INTERVAL, NAMESPACE, World, ledger, running, see_alive

KILLED = {"exitCode": 143, "reason": "Error"}


def pods(world, job):
    return world.pods_of(job)


def end_pod(world, job, terminated, **status):
    phase = "Failed" if terminated["exitCode"] else "Succeeded"
    for pod in pods(world, job):
        pod["status"] = {"phase": phase, "containerStatuses": [{"name": "flow", "state": {"terminated": terminated}}], **status}
    world.tell()


def begin_to_delete_pod(world, job):
    for pod in pods(world, job):
        pod["metadata"]["deletionTimestamp"] = world.stamp()
    world.tell()


def remove_pod(world, job):
    for pod in pods(world, job):
        del world.objects["Pod"][pod["metadata"]["name"]]
    world.tell()


def fail_job(world, job, reason="BackoffLimitExceeded"):
    world.end_job(job, "Failed")
    job["status"]["conditions"][0]["reason"] = reason
    world.tell()


def remove_job(world, job):
    world.objects["Job"].pop(job["metadata"]["name"], None)
    world.tell()


def disrupt(world, job):
    end_pod(world, job, KILLED, conditions=[{"type": "DisruptionTarget", "status": "True"}])


# What happens one after the other; a pass may see what is there in between, or not.
DRAIN = [begin_to_delete_pod, disrupt, fail_job, remove_pod]
DELETE_POD = [begin_to_delete_pod, lambda world, job: end_pod(world, job, KILLED), fail_job, remove_pod]
FORCE_DELETE_POD = [remove_pod, fail_job]
NODE_PRESSURE = [disrupt, fail_job]
DELETE_JOB = [remove_job, begin_to_delete_pod, lambda world, job: end_pod(world, job, KILLED), remove_pod]
OOM = [lambda world, job: end_pod(world, job, {"exitCode": 137, "reason": "OOMKilled"}), fail_job]
EXIT_1 = [lambda world, job: end_pod(world, job, {"exitCode": 1, "reason": "Error"}), fail_job]
EXIT_0 = [lambda world, job: end_pod(world, job, {"exitCode": 0}), lambda world, job: world.end_job(job, "Complete")]
DEADLINE = [
    lambda world, job: fail_job(world, job, "DeadlineExceeded"),
    begin_to_delete_pod,
    lambda world, job: end_pod(world, job, KILLED),
    remove_pod,
]
# What an agent does then.
CLEAN_UP = [begin_to_delete_pod, remove_pod, remove_job]

AGAIN = {"drain": DRAIN, "kubectl delete pod": DELETE_POD, "kubectl delete pod --force": FORCE_DELETE_POD, "node pressure": NODE_PRESSURE}
FAIL = {
    "kubectl delete job": (DELETE_JOB, "its Job was deleted"),
    "OOM": (OOM, "OOMKilled"),
    "exit code 1": (EXIT_1, "exit code 1"),
    "exit code 0": (EXIT_0, "exit code 0"),
    "activeDeadlineSeconds": (DEADLINE, "activeDeadlineSeconds"),
}


def histories(steps):
    """With a pass after any of the steps, after each, after none; and then removed, or not."""
    for seen in [*range(len(steps)), "each", "none"]:
        for more in ([], CLEAN_UP):
            yield seen, [*steps, *more]


def live_through(steps, seen, before=lambda world: None):
    world = World()
    run, job = running(world, on_eviction="run-again")
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    for number, step in enumerate(steps):
        step(world, job)
        if seen in (number, "each"):
            world.sweep(sweeper)
            world.pass_time(1)
    before(world)
    for _ in range(10):
        world.sweep(sweeper)
        world.pass_time(INTERVAL)
    messages = [event["message"] for event in world.objects["Event"].values() if "is set to" in event["message"]]
    return world.runs[run]["state"], messages


@pytest.mark.parametrize("how", AGAIN)
def test_run_whose_pod_had_to_leave_runs_again(how):
    for seen, steps in histories(AGAIN[how]):
        state, messages = live_through(steps, seen)
        assert state == "Scheduled", (seen, len(steps))
        assert len(messages) == 1


@pytest.mark.parametrize("how", FAIL)
def test_run_that_ended_otherwise_fails(how):
    ending, why = FAIL[how]
    for seen, steps in histories(ending):
        state, messages = live_through(steps, seen)
        assert state == "Failed", (seen, len(steps))
        assert len(messages) == 1 and why in messages[0], (seen, len(steps), messages)


@pytest.mark.parametrize("how", [*AGAIN, *FAIL])
def test_run_never_runs_again_where_nobody_remembers_how_it_ended(how):
    """Kubernetes has forgotten what happened since the last lists, and everything is gone."""
    steps = AGAIN[how] if how in AGAIN else FAIL[how][0]

    def forget(world):
        world.tell()
        world.forgotten = len(world.events)

    state, _ = live_through([*steps, remove_pod, remove_job], "none", forget)
    assert state != "Scheduled"


def test_pod_that_was_deleted_while_nobody_looked_may_have_failed_before():
    """A list shows that it has ended and is being deleted, and nobody remembers in which order."""
    for steps, forgets, expected in ((EXIT_1, True, "Failed"), (EXIT_1, False, "Failed"), ([], True, "Failed"), ([], False, "Scheduled")):
        world = World()
        run, job = running(world, on_eviction="run-again")
        sweeper = world.sweeper()
        see_alive(world, sweeper, run)
        for step in steps or [begin_to_delete_pod, DELETE_POD[1], fail_job]:
            step(world, job)
        begin_to_delete_pod(world, job)
        if forgets:
            world.forgotten = len(world.events)
        for _ in range(10):
            world.sweep(sweeper)
            world.pass_time(INTERVAL)
        assert world.runs[run]["state"] == expected, (steps, forgets)


@pytest.mark.parametrize("forgets, expected", [(True, "Failed"), (False, "Scheduled")])
def test_removal_of_a_pod_does_not_show_how_its_process_ended_before(forgets, expected):
    """A pass has seen that the process is over, and nobody remembers how it ended."""
    world = World()
    run, job = running(world, on_eviction="run-again")
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    for step in DELETE_POD[:-1]:
        step(world, job)
    if forgets:
        world.forgotten = len(world.events)
    world.sweep(sweeper)
    remove_pod(world, job)
    for _ in range(10):
        world.pass_time(INTERVAL)
        world.sweep(sweeper)
    assert world.runs[run]["state"] == expected


@pytest.mark.parametrize(
    "how, expected", [*((how, "Scheduled") for how in AGAIN if how != "kubectl delete pod --force"), ("OOM", "Failed")]
)
def test_job_that_comes_and_goes_between_two_passes_has_an_end(how, expected):
    world = World()
    sweeper = world.sweeper()
    healthy, _ = running(world)
    see_alive(world, sweeper, healthy)
    run, job = running(world, on_eviction="run-again")
    world.tell()
    for step in {**AGAIN, "OOM": OOM}[how]:
        step(world, job)
    remove_pod(world, job)
    for _ in range(10):
        world.sweep(sweeper)
        world.pass_time(INTERVAL)
    assert (world.runs[run]["state"], world.runs[healthy]["state"]) == (expected, "Running")


@pytest.mark.parametrize("kind, broken", [("Job", {"spec": "odd"}), ("Pod", {"status": "odd"})])
def test_malformed_object_in_a_watch_hides_no_other(kind, broken):
    world = World()
    run, job = running(world, on_eviction="run-again")
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    labels = {"prefect.io/flow_run_id": world.uid(), "cdk8s-prefect/job-template": "prefect-job-template"}
    world.add(kind, "odd", labels, **broken)
    world.tell()
    del world.objects[kind]["odd"]
    for step in [*DELETE_POD, *CLEAN_UP]:
        step(world, job)
    for _ in range(10):
        world.sweep(sweeper)
        world.pass_time(INTERVAL)
    assert world.runs[run]["state"] == "Scheduled"


def test_failure_that_was_seen_is_not_forgotten():
    """Seen by a pass, and the Job is removed before the delay is over."""
    world = World()
    run, job = running(world, on_eviction="run-again")
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    for step in OOM:
        step(world, job)
    world.sweep(sweeper)
    assert "OOMKilled" in ledger(world)[run].end
    for step in CLEAN_UP:
        step(world, job)
    world.forgotten = len(world.events)
    # Another process goes on.
    sweeper = world.sweeper()
    for _ in range(12):
        world.pass_time(INTERVAL)
        world.sweep(sweeper)
    assert world.runs[run]["state"] == "Failed"
    said = [event["message"] for event in world.objects["Event"].values() if "set to Failed" in event["message"]]
    assert len(said) == 1 and "OOMKilled" in said[0]


@pytest.mark.parametrize("how", AGAIN)
def test_next_process_goes_on_after_the_lists_of_the_last(how):
    world = World()
    run, job = running(world, on_eviction="run-again")
    see_alive(world, world.sweeper(), run)
    world.sweep(world.sweeper())
    for step in [*AGAIN[how], *CLEAN_UP]:
        step(world, job)
    sweeper = world.sweeper()
    for _ in range(12):
        world.pass_time(INTERVAL)
        world.sweep(sweeper)
    assert world.runs[run]["state"] == "Scheduled"


def test_run_runs_again_ten_times_at_most_and_that_is_said():
    world = World()
    run = world.schedule(tasks=1)
    sweeper = world.sweeper()
    states = []
    world.on_set_run = lambda run_id, state: states.append(state)
    for _ in range(30):
        if world.runs[run]["state"] != "Scheduled":
            break
        job = world.submit(run, "run-again")
        world.start(world.pods_of(job)[0])
        see_alive(world, sweeper, run)
        for step in DRAIN:
            step(world, job)
        for _ in range(8):
            world.sweep(sweeper)
            world.pass_time(INTERVAL)
    assert states == ["Scheduled"] * 10 + ["Failed"]
    said = [event["message"] for event in world.objects["Event"].values() if "set to Failed" in event["message"]]
    assert "it was to run again 10 times already, and may not once more" in said[0]


def test_watch_that_fails_is_asked_again_and_ends_no_pass():
    world = World()
    run, job = running(world, on_eviction="run-again")
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    remove_pod(world, job)
    fail_job(world, job)
    world.faults = {"WATCH /apis/batch/v1/namespaces/flows/jobs": "fail"}
    world.sweep(sweeper)
    assert world.calls[-1].startswith("PATCH")
    assert sweeper.signs.counters["errors"][NAMESPACE, "pass"] == 0
    world.faults = {}
    for _ in range(8):
        world.pass_time(INTERVAL)
        world.sweep(sweeper)
    assert world.runs[run]["state"] == "Scheduled"


@pytest.mark.parametrize("cuts", [1, 3, 99])
@pytest.mark.parametrize("ending, expected", [(EXIT_1, "Failed"), (DRAIN[:3], "Scheduled"), (DELETE_POD, "Scheduled")])
def test_watch_that_is_cut_short_is_no_evidence_until_it_tells(monkeypatch, ending, expected, cuts):
    """The API server ends it when its time is over, before it has told anything."""
    world = World()
    run, job = running(world, on_eviction="run-again")
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    for step in ending:
        step(world, job)
    begin_to_delete_pod(world, job)
    watch, left = sweeper.kubernetes.watch, [None] * cuts * 2
    monkeypatch.setattr(sweeper.kubernetes, "watch", lambda *args, **query: left.pop() if left else watch(*args, **query))
    for _ in range(10):
        world.sweep(sweeper)
        world.pass_time(INTERVAL)
    disrupted = ending == DRAIN[:3]
    assert world.runs[run]["state"] == ("Failed" if cuts == 99 and not disrupted else expected)


def test_quiet_pass_watches_nothing():
    world = World()
    run, _ = running(world)
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    world.sweep(sweeper)
    assert not any("WATCH" in call for call in world.calls)


# What is kept of an end

ENDS_OF_JOBS = {
    "it goes on": (JOB, False, ""),
    "it has reached its backoffLimit": (FAILED_JOB, False, "s"),
    "its agent removes it after it has failed": (FAILED_JOB._replace(deleted=True), True, "s"),
    "it took too long": (FAILED_JOB._replace(failed="DeadlineExceeded"), False, "d"),
    "its pod failure policy ended it": (FAILED_JOB._replace(failed="PodFailurePolicy"), False, "fPodFailurePolicy"),
    "it is complete": (JOB._replace(finished=True), False, "c"),
    "it was removed": (JOB, True, "x"),
    "somebody has deleted it, and something holds that up": (DELETED_JOB, False, "x"),
}


@pytest.mark.parametrize("case", ENDS_OF_JOBS)
def test_end_of_a_job_when(case):
    job, gone, end = ENDS_OF_JOBS[case]
    assert end_of_job(job, gone) == end


ENDS_OF_PODS = {
    "its process lives": (LIVING_POD, False, ""),
    "it disappeared while its process lived": (LIVING_POD, True, "u"),
    "it disappeared before its process had begun": (WAITING_POD, True, ""),
    "it has to leave": (LIVING_POD._replace(disrupted=True), False, "l"),
    "it had to leave, and disappeared while its process lived": (LIVING_POD._replace(disrupted=True), True, "lu"),
    "it had to leave, and its process ended": (FAILED_POD._replace(disrupted=True), False, "ol"),
    "its process failed": (FAILED_POD, True, "ofError, exit code 1"),
    "its process failed while it was being deleted, perhaps because of that": (terminating(FAILED_POD), True, "o"),
    "its process ended, and nothing says how": (FAILED_POD._replace(failed=None), False, "of"),
    "its process succeeded": (FAILED_POD._replace(well=True, failed=None), False, "oc"),
    "its process had no memory left": (FAILED_POD._replace(failed="OOMKilled, exit code 137"), False, "ofOOMKilled"),
    "its process had no memory left before it had to leave": (
        FAILED_POD._replace(failed="OOMKilled, exit code 137", disrupted=True),
        False,
        "ofOOMKilled",
    ),
    "its process had no memory left while it was being deleted": (
        terminating(FAILED_POD._replace(failed="OOMKilled, exit code 137")),
        False,
        "ofOOMKilled",
    ),
}


@pytest.mark.parametrize("case", ENDS_OF_PODS)
def test_end_of_a_pod_when(case):
    pod, gone, end = ENDS_OF_PODS[case]
    assert end_of_pod(pod, gone) == end


PROOFS = {
    "nothing is known": ("", False, False),
    "its Job has reached its backoffLimit": ("s", True, True),
    "its Job is complete": ("c", True, True),
    "its Job took too long": ("d", True, True),
    "its Job was deleted": ("x", False, False),
    "its pod was deleted": ("g", False, False),
    "its pod ended, and its Job may create another": ("o", True, False),
    "its pod ended, and its Job is gone": ("o", False, True),
    "its pod failed, and its Job may create another": ("ofError, exit code 1", True, False),
    "one of its pods ended, and another disappeared while its process lived": ("ou", False, False),
    "its pod disappeared while its process lived": ("u", False, False),
    "its Job has reached its backoffLimit, and a pod disappeared": ("su", False, True),
    "the reason of its failure has all the letters of proofs": ("foscd", False, False),
}


@pytest.mark.parametrize("case", PROOFS)
def test_process_is_over_by_what_was_seen_when(case):
    end, job_is_there, over = PROOFS[case]
    assert is_over(end, job_is_there) is over


def test_evidence_adds_up():
    assert had_to_leave(merged("g", "s"))
    assert not any(map(had_to_leave, ["", "g", "s", "gsx", "gsc", "lfOOMKilled", "ld", "gsfError"]))
    assert merged("sfOOMKilled", "lfError, exit code 1") == "lsfOOMKilled"
    assert merged("", "fd: x") == "fd: x"
