"""When a rule acts on what was observed: each case is an entry of the ledger, and whether its time is over."""

import pytest
from given import CANCELLING, ENTRY, FAILED_JOB, FINISHED, JOB, LIVING_POD, RUNNING, SUBMITTED, WAITING_POD
from rules import CLAIM, Ledger, Rules, Run, Sight, act, counted, decide, is_due, judge, observe, pulling, unclear
from world import RULES

STUCK = judge(ENTRY, SUBMITTED, [JOB], [WAITING_POD], [])
PROGRESSED = judge(ENTRY, SUBMITTED, [JOB], [WAITING_POD._replace(progress="n1")], [])
LOST = judge(ENTRY, RUNNING, [FAILED_JOB], [], [])
ENDED = judge(ENTRY, FINISHED, [JOB], [], [])
HANGING = judge(ENTRY, CANCELLING, [JOB], [], [])
DELAY = RULES.unstartable_jobs


def waited(verdict, observed, total=None, **fields):
    total = observed if total is None else total
    return counted(ENTRY._replace(observed=observed, total=total, **fields), None, verdict, 0, False)._replace(
        observed=observed, total=total
    )


# How observed time adds up

PAUSED = judge(ENTRY, RUNNING._replace(state="Paused"), [], [], [])
BEFORE = waited(STUCK, 60)
COUNTS = {
    "the same was seen again": (BEFORE, STUCK, False, (90, 90)),
    "it has made progress: the delay begins anew, and not the total": (BEFORE, PROGRESSED, False, (0, 90)),
    "it has shown life": (BEFORE, STUCK, True, (0, 0)),
    "it is in another condition": (BEFORE, LOST, False, (0, 0)),
    "it is in no condition": (BEFORE, PAUSED, False, (0, 0)),
    "it has another Job": (BEFORE._replace(uid="other-uid"), STUCK, False, (0, 0)),
}


@pytest.mark.parametrize("case", COUNTS)
def test_time_that_counts_when(case):
    entry, verdict, life, expected = COUNTS[case]
    after = counted(entry, BEFORE, verdict, 30, life)
    assert (after.observed, after.total) == expected


def test_time_in_no_condition_counts_for_none():
    entry = waited(PAUSED, 60)
    assert counted(entry, entry, PAUSED, 30, False).observed == 0


@pytest.mark.parametrize("now", [PAUSED, LOST])
def test_image_pulls_of_a_condition_that_is_over_do_not_count_for_the_next(now):
    """The next pod of the Job pulls its images again, perhaps on another node."""
    before = BEFORE._replace(pulled=2)
    assert counted(before, before, PROGRESSED, 30, False).pulled == 2
    assert counted(before, before, now, 30, False).pulled == 0


def test_heartbeat_of_a_flow_that_hangs_when_it_is_cancelled_restarts_no_delay():
    hanging = judge(ENTRY, CANCELLING, [JOB], [LIVING_POD], [])
    entry = waited(hanging, 60)
    assert counted(entry, entry, hanging, 30, True).observed == 90


def test_claim_of_a_state_goes_with_its_condition_and_stays_when_the_run_is_finished():
    """Then the Job goes under the name of the rule that has ended the run, and at once."""
    entry = waited(STUCK, 600)._replace(rule="unstartable-jobs")
    assert counted(entry, entry, ENDED, 30, False).rule == "unstartable-jobs"
    assert counted(entry, entry, LOST, 30, False).rule == ""
    assert counted(entry, entry, PROGRESSED, 30, False).rule == ""
    assert counted(entry, entry, STUCK, 30, False).rule == "unstartable-jobs"


# When it is enough

DUE = {
    "the delay is over": (STUCK, waited(STUCK, DELAY), RULES, True),
    "the delay is not over": (STUCK, waited(STUCK, DELAY - 1), RULES, False),
    "the rule is off": (STUCK, waited(STUCK, 9 * DELAY), RULES._replace(unstartable_jobs=None), False),
    "it has made progress for three times its delay": (STUCK, waited(STUCK, 30, 3 * DELAY), RULES, True),
    "it has made progress for almost three times its delay": (STUCK, waited(STUCK, 30, 3 * DELAY - 1), RULES, False),
    "progress ends no other wait: each sign of life of a lost run gives it the whole delay": (
        LOST,
        waited(LOST, 30, 9 * RULES.lost_runs),
        RULES,
        False,
    ),
    "something else needs longer than the delay": (LOST._replace(least=600), waited(LOST, 599), RULES, False),
    "something else has had its time": (LOST._replace(least=600), waited(LOST, 600), RULES, True),
    "something else needs less than the delay": (LOST._replace(least=60), waited(LOST, RULES.lost_runs - 1), RULES, False),
    "a pod on its way out has its time besides": (LOST._replace(more=90), waited(LOST, RULES.lost_runs + 89), RULES, False),
    "a pod on its way out has had its time besides": (LOST._replace(more=90), waited(LOST, RULES.lost_runs + 90), RULES, True),
    "another sweeper has begun": (LOST, waited(LOST, CLAIM - 1)._replace(rule="lost-runs"), RULES, False),
    "another sweeper has begun, and did not go on": (LOST, waited(LOST, CLAIM)._replace(rule="lost-runs"), RULES, True),
    "a run that a sweeper has ended has its Job removed at once": (ENDED, waited(ENDED, 0)._replace(rule="lost-runs"), RULES, True),
    "a run that a sweeper has ended has its Job removed, although the Jobs of others stay": (
        ENDED,
        waited(ENDED, 0)._replace(rule="lost-runs"),
        RULES._replace(finished_jobs=None),
        True,
    ),
    "a run that ended by itself has its Job for a while": (ENDED, waited(ENDED, 0), RULES, False),
}


@pytest.mark.parametrize("case", DUE)
def test_rule_acts_when(case):
    verdict, entry, rules, due = DUE[case]
    assert is_due(entry, verdict, rules) is due


PULLS = {
    "a first container pulls its image": (0, 1, (0, 1)),
    "another container pulls its image": (1, 2, (0, 2)),
    "the same container still pulls": (1, 1, (600, 1)),
    "nothing pulls": (0, 0, (600, 0)),
    "fewer pull than before": (2, 1, (600, 2)),
}


@pytest.mark.parametrize("case", PULLS)
def test_image_pull_restarts_a_delay_when(case):
    before, now, expected = PULLS[case]
    after = pulling(ENTRY._replace(observed=600, pulled=before), now)
    assert (after.observed, after.pulled) == expected


# What is done

ACTS = {
    "its Job goes with a run that ended by itself": (ENTRY, FINISHED, ENDED, ("finished-jobs", None, [JOB])),
    "its Job goes with a run that a sweeper has ended, by the rule that did": (
        ENTRY._replace(rule="lost-runs"),
        FINISHED,
        ENDED,
        ("lost-runs", None, [JOB]),
    ),
    "a run that hangs is Cancelled, and its Job goes": (ENTRY, CANCELLING, HANGING, ("cancelling-runs", "Cancelled", [JOB])),
    "a run that cannot start has Failed, and its Job goes": (ENTRY, SUBMITTED, STUCK, ("unstartable-jobs", "Failed", [JOB])),
    "the Job of a run that is lost stays for its agent, which tells why it failed": (ENTRY, RUNNING, LOST, ("lost-runs", "Failed", [])),
    "the Job of a run that runs again goes": (
        ENTRY._replace(on_eviction="run-again", end="gs"),
        RUNNING,
        LOST,
        ("lost-runs", "Scheduled", [FAILED_JOB]),
    ),
}


@pytest.mark.parametrize("case", ACTS)
def test_action_is_that(case):
    entry, run, verdict, expected = ACTS[case]
    action = act(entry, verdict, run, 10)
    assert (action.rule, action.state, list(action.jobs)) == expected


def observed(entry, run, jobs=(), pods=()):
    """A pass after another in which the same was seen for so long."""
    sight, runs = Sight(jobs=jobs, pods=pods), {"run": run}
    first = observe(Ledger({"run": entry}), sight, runs, {}, 0, set()).ledger.runs["run"]
    before = first._replace(observed=entry.observed, rule=entry.rule)
    return observe(Ledger({"run": before}), sight, runs, {}, 30, set()), sight, runs


def test_run_of_which_nobody_can_tell_is_left_alone_and_counted():
    seen, sight, runs = observed(ENTRY._replace(observed=10**6), RUNNING)
    assert decide(seen, sight, runs, RULES) == []
    assert unclear(seen, RULES) == {"run"}
    assert seen.ledger.runs["run"].observed == 10**6 + 30


UNCLEAR = {
    "its delay is over": (Rules(lost_runs=90), 90, {}, True),
    "its delay is not over": (Rules(lost_runs=121), 90, {}, False),
    "only the other rule that needs evidence is on": (Rules(unstartable_jobs=120), 90, {}, True),
    "neither rule is on": (Rules(cancelling_runs=60), 10**6, {}, False),
    "its process ended for sure": (Rules(lost_runs=90), 90, dict(jobs=[FAILED_JOB]), False),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_run_counts_as_one_of_which_nobody_can_tell_when(case):
    rules, seconds, here, counts = UNCLEAR[case]
    seen, _, _ = observed(ENTRY._replace(observed=seconds), RUNNING, **here)
    assert unclear(seen, rules) == ({"run"} if counts else set())


@pytest.mark.parametrize("run", [CANCELLING, Run("run", "Cancelled", True, 4)])
def test_claim_is_kept_while_nobody_else_has_changed_the_run(run):
    entry, _, _ = observed(ENTRY._replace(rule="cancelling-runs", observed=300), CANCELLING, [JOB])
    claimed = entry.ledger.runs["run"]._replace(rule="cancelling-runs")
    after = observe(Ledger({"run": claimed}), Sight(jobs=[JOB]), {"run": run}, {}, 30, set())
    assert after.ledger.runs["run"].rule == "cancelling-runs"


def test_claim_is_dropped_when_somebody_else_has_ended_the_run():
    claimed = ENTRY._replace(rule="cancelling-runs")
    after = observe(Ledger({"run": claimed}), Sight(jobs=[JOB]), {"run": Run("run", "Failed", True, 4)}, {}, 30, set())
    assert after.ledger.runs["run"].rule == ""
