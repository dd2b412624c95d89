"""Each call that a sweeper makes fails, loses its answer, or is the last that the sweeper makes: in the end all is as without."""

import pytest
from rules import CLAIM, Rules
from world import FINAL, NAMESPACE, RULES, World, history_of, ledger

# Something for each rule, and the run that is run again.
SCENARIOS = [*Rules._fields, "run_again"]
# Those in which a run gets a state.
ENDING = ["cancelling_runs", "unstartable_jobs", "lost_runs", "run_again"]
# After one that was killed, a sweeper waits as long for the claim, and counts the delay of Dask clusters from the start.
SECONDS = max(2 * CLAIM, RULES.orphaned_dask_clusters) + 30


def before_the_act(scenario, passes, **options):
    world = World(**options)
    sweeper = history_of(scenario, world)
    for _ in range(passes):
        world.sweep(sweeper)
        world.pass_time(30)
    return world, sweeper


def pass_of_the_act(scenario):
    for passes in range(100):
        world, sweeper = before_the_act(scenario, passes)
        before = world.outcome()
        world.sweep(sweeper)
        if world.outcome() != before:
            return passes, len(world.calls), after(world, sweeper)
    raise AssertionError(f"{scenario}: nothing was done")


def after(world, sweeper):
    pass_for(SECONDS, world, sweeper)
    _, runs = world.outcome()
    # The Job of a run that runs again goes with it at the latest.
    for run_id, (state, _) in runs.items():
        if state == "Scheduled":
            world.set(run_id, "Success")
            pass_for(RULES.finished_jobs + 60, world, sweeper)
    return world.outcome()[0], runs


def pass_for(seconds, world, sweeper):
    for _ in range(0, int(seconds), 30):
        world.pass_time(30)
        world.sweep(sweeper)


@pytest.mark.parametrize("fault", ["fail", "lose", "kill before", "kill after"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_next_passes_end_in_the_same_state(scenario, fault):
    passes, calls, expected = pass_of_the_act(scenario)
    for number in range(calls):
        world, sweeper = before_the_act(scenario, passes)
        world.faults = {number: fault}
        killed = world.sweep(sweeper)
        assert killed == fault.startswith("kill")
        world.faults = {}
        assert after(world, world.sweeper() if killed else sweeper) == expected, (number, world.calls)


@pytest.mark.parametrize("version_locking", [True, False])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_two_sweepers_do_what_one_does(scenario, version_locking):
    passes, calls, expected = pass_of_the_act(scenario)
    for number in range(calls):
        world, sweeper = before_the_act(scenario, passes, version_locking=version_locking)
        states = []
        world.on_set_run = lambda run_id, state, states=states: states.append(state)
        other = world.sweeper()
        # As if it had counted what the first has.
        other.last = dict(sweeper.last)

        def act_too(world=world, other=other):
            world.faults = {}
            calls = world.calls
            world.sweep(other)
            world.calls = calls

        world.faults = {number: act_too}
        world.sweep(sweeper)
        assert after(world, sweeper) == expected
        assert len(states) <= 1


def taken_up(world, run):
    for state in ("Scheduled", "Submitted", "Running"):
        world.set(run, state)


def first_pod(world):
    return next(iter(world.objects["Pod"].values()))


# What may happen between what a sweeper has seen and its last look, on a server that locks no version.
CHANGES = {
    "lost_runs: shows life": lambda world, run: world.pass_time(1) or world.beat(run),
    "lost_runs: is taken up": taken_up,
    "lost_runs: has a task that waits": lambda world, run: world.runs[run]["tasks"][0].update(state="Retrying"),
    "run_again: is taken up": taken_up,
    "unstartable_jobs: its pod starts": lambda world, run: first_pod(world).update(status={"phase": "Running"}),
    "unstartable_jobs: its pod is another": lambda world, run: next(iter(world.objects["Pod"].values()))["metadata"].update(
        uid=world.uid()
    ),
    "unstartable_jobs: is set to Running": lambda world, run: world.set(run, "Running"),
    "cancelling_runs: ends": lambda world, run: world.set(run, "Success"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_last_look_finds_that_a_run(change):
    scenario = change.partition(":")[0]
    passes, _, _ = pass_of_the_act(scenario)
    world, sweeper = before_the_act(scenario, passes, version_locking=False)
    [run] = world.runs

    def happen():
        CHANGES[change](world, run)
        world.on_set_run = lambda run_id, state: pytest.fail(f"it was set to {state}")

    other, other_sweeper = before_the_act(scenario, passes)
    other.sweep(other_sweeper)
    # When the ledger says what the sweeper sets out to do.
    world.faults = {next(number for number, call in enumerate(other.calls) if call.startswith("PATCH")): happen}
    world.sweep(sweeper)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_ledger_is_empty_in_the_end(scenario):
    passes, _, _ = pass_of_the_act(scenario)
    world, sweeper = before_the_act(scenario, passes + 5)
    for run_id, run in world.runs.items():
        if run["state"] not in FINAL:
            world.set(run_id, "Success")
    for _ in range(20):
        world.pass_time(30)
        world.sweep(sweeper)
    assert ledger(world) == {}


@pytest.mark.parametrize("scenario", ENDING)
def test_state_whose_answer_got_lost_is_not_given_again(scenario):
    passes, calls, expected = pass_of_the_act(scenario)
    world, sweeper = before_the_act(scenario, passes, version_locking=False)
    states = []
    world.on_set_run = lambda run_id, state: states.append(state)
    other, other_sweeper = before_the_act(scenario, passes)
    other.sweep(other_sweeper)
    write = other.calls.index("set_flow_run_states")
    world.faults = {write: "lose"}
    world.sweep(sweeper)
    # The run is read at once.
    assert world.calls[write + 1] == "flow_run"
    assert after(world, sweeper) == expected
    assert len(states) == 1


def test_run_is_left_for_the_time_of_the_claim_if_its_state_may_still_be_on_its_way():
    passes, _, _ = pass_of_the_act("run_again")
    world, sweeper = before_the_act("run_again", passes, version_locking=False)
    world.on_set_run = lambda run_id, state: pytest.fail("it was given its state while that may have been on its way")
    other, other_sweeper = before_the_act("run_again", passes)
    other.sweep(other_sweeper)
    world.faults = {other.calls.index("set_flow_run_states"): "fail"}
    world.sweep(sweeper)
    world.faults = {}
    world.pass_time(CLAIM - 1)
    world.sweep(sweeper)
    states = []
    world.on_set_run = lambda run_id, state: states.append(state)
    world.pass_time(1)
    world.sweep(sweeper)
    assert states == ["Scheduled"]


@pytest.mark.parametrize("seconds", [8, 100, 3600])
@pytest.mark.parametrize("scenario", ["lost_runs", "run_again"])
def test_nothing_is_written_when_the_last_look_took_too_long(scenario, seconds):
    """As where Prefect limits its rate, or the process was stopped: somebody else may hold the Lease by now."""
    passes, _, _ = pass_of_the_act(scenario)
    other, other_sweeper = before_the_act(scenario, passes)
    other.sweep(other_sweeper)
    until = other.calls[: other.calls.index("set_flow_run_states")]
    last_look = len(until) - 1 - until[::-1].index("flow_run")
    world, sweeper = before_the_act(scenario, passes, version_locking=False)
    world.on_set_run = lambda run_id, state: pytest.fail(f"it was set to {state}")
    world.faults = {last_look: lambda: world.pass_time(seconds)}
    world.sweep(sweeper)
    assert len(world.calls) > last_look


@pytest.mark.parametrize("locking", [True, False])
@pytest.mark.parametrize("scenario", ENDING)
def test_two_sweepers_with_two_ledgers_end_a_run_once(scenario, locking):
    passes, calls, expected = pass_of_the_act(scenario)
    for number in range(calls):
        world, sweeper = before_the_act(scenario, passes, version_locking=locking)
        states = []
        world.on_set_run = lambda run_id, state, states=states: states.append(state)
        world.make_ledger("other-ledger-flows")
        other = world.sweeper(name="other")

        def act_too(world=world, other=other):
            world.faults = {}
            calls = world.calls
            for _ in range(40):
                world.sweep(other)
            world.calls = calls

        world.faults = {number: act_too}
        world.sweep(sweeper)
        for _ in range(10):
            world.pass_time(30)
            world.sweep(other)
            world.sweep(sweeper)
        assert len(states) == 1
        assert after(world, sweeper) == expected


# What may happen while tasks get a state, before their flow run gets one, on a server that locks no version.
MEANWHILE = {
    "it shows life": lambda world, run: world.pass_time(1) or world.beat(run),
    "it gets another state": lambda world, run: world.set(run, "Scheduled"),
    "Prefect does not know it any more": lambda world, run: world.hidden.add(run),
}


@pytest.mark.parametrize("change", MEANWHILE)
def test_run_whose_tasks_were_set_does_not_run_again_if(change):
    passes, _, _ = pass_of_the_act("run_again")
    world, sweeper = before_the_act("run_again", passes, version_locking=False)
    [run] = world.runs

    def happen(ids):
        MEANWHILE[change](world, run)
        world.on_set_run = lambda run_id, state: pytest.fail(f"it was set to {state}")

    world.on_set_tasks = happen
    world.sweep(sweeper)
    # The tasks were set, and then the run was read.
    assert world.calls[-2:] == ["PUT /apis/coordination.k8s.io/v1/namespaces/flows/leases/flow-run-sweeper", "flow_run"]
    assert sweeper.signs.counters["errors"][NAMESPACE, "lost-runs"] == 0


# What may have become of a run when the sweeper gets no answer to the state that it sets.
INSTEAD = {
    "another agent has it": taken_up,
    "it has ended by itself": lambda world, run: world.set(run, "Success"),
    "it has had other states, and then this one": lambda world, run: taken_up(world, run) or world.set(run, "Failed"),
}


@pytest.mark.parametrize("instead", INSTEAD)
def test_job_stays_if_the_state_of_its_run_may_not_be_that_of_the_sweeper_because(instead):
    passes, _, _ = pass_of_the_act("unstartable_jobs")
    world, sweeper = before_the_act("unstartable_jobs", passes)
    [run] = world.runs
    world.faults = {"set_flow_run_states": lambda: INSTEAD[instead](world, run) or "fail"}
    world.sweep(sweeper)
    assert world.calls[-2:] == ["set_flow_run_states", "flow_run"]
    assert len(world.objects["Job"]) == 1
    assert sweeper.signs.counters["runs_corrected"][NAMESPACE, "Failed"] == 0


def test_state_that_somebody_else_has_just_given_is_not_the_sweepers():
    passes, _, _ = pass_of_the_act("unstartable_jobs")
    world, sweeper = before_the_act("unstartable_jobs", passes)
    [run] = world.runs
    world.faults = {"set_flow_run_states": lambda: world.set(run, "Failed")}
    world.sweep(sweeper)
    assert world.calls[-1] == "set_flow_run_states"
    assert len(world.objects["Job"]) == 1
    assert sweeper.signs.counters["runs_corrected"][NAMESPACE, "Failed"] == 0


def test_dask_cluster_stays_if_the_last_look_finds_the_pod_of_its_flow():
    """The list of pods may have come from an API server that was behind."""
    passes, _, _ = pass_of_the_act("orphaned_dask_clusters")
    world, sweeper = before_the_act("orphaned_dask_clusters", passes)
    [job], pods = world.made, "GET /api/v1/namespaces/flows/pods"
    there = len(world.objects["Service"])

    def appear():
        # Dask workers, the pods of Dask clusters and those of flow runs are listed before.
        if world.calls.count(pods) == 4:
            world.pod_of(job)["status"] = {"phase": "Running"}

    world.faults = {pods: appear}
    for _ in range(3):
        world.sweep(sweeper)
        world.pass_time(30)
    assert world.pods_of(job) and len(world.objects["Service"]) == there == 1
