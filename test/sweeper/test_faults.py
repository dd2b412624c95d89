"""Each call that a sweeper makes fails, loses its answer, or is the last that the sweeper makes: in the end all is as without."""

import pytest
from rules import CLAIM, Rules
from world import FINAL, RULES, World, history_of, ledger

# Something for each rule, and the run that is run again.
SCENARIOS = [*Rules._fields, "run_again"]
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
    for _ in range(0, SECONDS, 30):
        world.pass_time(30)
        world.sweep(sweeper)
    return world.outcome()


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
        other.useless = {namespace: dict(since) for namespace, since in sweeper.useless.items()}

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
