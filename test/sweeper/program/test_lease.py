"""Who may act in a namespace: one sweeper at a time, by a Lease there."""

import pytest
from errors import Held
from lease import HOLD, NAME, NOTE, SWEEPER, Leases
from world import INTERVAL, NAMESPACE, Broken, Killed, World, history_of


class Holders:
    """Pods of sweepers, each with a clock of its own."""

    def __init__(self):
        self.world = World()
        self.world.objects["Lease"].clear()
        self.kubernetes = self.world.sweeper().kubernetes

    def pod(self, name, sweeper="home/a", ahead=0.0):
        return Leases(self.kubernetes, name, sweeper, INTERVAL, lambda: self.world.time + ahead)

    def lease(self):
        return self.world.objects["Lease"][NAME]

    def holds(self, pod):
        try:
            pod.renew(NAMESPACE)
        except Held:
            return False
        return True


@pytest.fixture
def holders():
    return Holders()


def taken(holders, pod):
    holders.holds(pod)
    holders.world.pass_time(HOLD)
    assert holders.holds(pod)


def test_lease_that_is_not_there_is_made_and_held_when_an_earlier_holder_would_have_noticed(holders):
    pod = holders.pod("1")
    assert not holders.holds(pod)
    holders.world.pass_time(HOLD - 1)
    assert not holders.holds(pod)
    holders.world.pass_time(1)
    assert holders.holds(pod)
    assert holders.lease()["spec"]["holderIdentity"] == "1"
    assert holders.lease()["metadata"]["annotations"][SWEEPER] == "home/a"


def test_holder_goes_on_to_hold_it_however_long_it_rested(holders):
    pod = holders.pod("1")
    taken(holders, pod)
    holders.world.pass_time(1000)
    assert pod.left(NAMESPACE) < 0
    assert holders.holds(pod)
    assert pod.left(NAMESPACE) == HOLD


def test_it_holds_from_when_it_asked_not_from_the_answer(holders):
    pod = holders.pod("1")
    taken(holders, pod)
    holders.world.faults = {number: lambda: holders.world.pass_time(7) for number in range(100)}
    assert holders.holds(pod)
    assert pod.left(NAMESPACE) == HOLD - 7


@pytest.mark.parametrize("ahead", [-10_000.0, 0.0, 10_000.0])
def test_next_pod_of_the_same_sweeper_waits_as_long_as_the_last_may_act_by_its_own_clock(holders, ahead):
    taken(holders, holders.pod("1"))
    after = holders.pod("2", ahead=ahead)
    holders.world.pass_time(1000)
    assert not holders.holds(after)
    holders.world.pass_time(HOLD - 1)
    assert not holders.holds(after)
    holders.world.pass_time(1)
    assert holders.holds(after)


def test_container_that_is_started_again_in_the_same_pod_waits_too(holders):
    taken(holders, holders.pod("1"))
    again = holders.pod("1")
    assert not holders.holds(again)
    holders.world.pass_time(HOLD)
    assert holders.holds(again)


def test_another_sweeper_never_gets_it_from_one_that_is_at_work(holders):
    pod, other = holders.pod("1"), holders.pod("2", "home/b")
    taken(holders, pod)
    for _ in range(100):
        holders.world.pass_time(INTERVAL)
        assert holders.holds(pod)
        with pytest.raises(Held) as held:
            other.renew(NAMESPACE)
        assert held.value.by_another


def test_another_sweeper_gets_it_when_the_holder_has_missed_rounds(holders):
    pod, other = holders.pod("1"), holders.pod("2", "home/b")
    taken(holders, pod)
    assert not holders.holds(other)
    holders.world.pass_time(holders.lease()["spec"]["leaseDurationSeconds"] - 1)
    assert not holders.holds(other)
    holders.world.pass_time(1)
    assert holders.holds(other)
    # The first one finds out when it asks, and before it may write.
    assert pod.left(NAMESPACE) < 0
    assert not holders.holds(pod)


def test_long_rounds_are_waited_for(holders):
    pod = holders.pod("1")
    pod.round = 500
    taken(holders, pod)
    assert holders.lease()["spec"]["leaseDurationSeconds"] > 1000


def test_lease_that_is_let_go_is_free_at_once(holders):
    pod = holders.pod("1")
    taken(holders, pod)
    pod.release()
    assert holders.lease()["spec"]["holderIdentity"] == ""
    assert holders.holds(holders.pod("2", "home/b"))
    assert not holders.holds(pod)


@pytest.mark.parametrize("fault", ["kill before", "kill after"])
@pytest.mark.parametrize("renews", [False, True])
def test_lease_is_let_go_when_sigterm_cuts_off_the_request_that_takes_or_renews_it(holders, fault, renews):
    first, second = holders.pod("1"), holders.pod("2")
    taken(holders, first)
    pod = first if renews else second
    if not renews:
        first.release()
    # To take it, it is read first.
    holders.world.calls, holders.world.faults = [], {0 if renews else 1: fault}
    with pytest.raises(Killed):
        holders.holds(pod)
    holders.world.faults = {}
    pod.release()
    assert holders.lease()["spec"]["holderIdentity"] == ""


@pytest.mark.parametrize("held_before", [False, True])
def test_new_lease_is_not_let_go_while_the_holder_of_the_deleted_one_may_act(holders, held_before):
    pod = holders.pod("1")
    if held_before:
        taken(holders, pod)
    holders.world.objects["Lease"].clear()
    while not holders.world.objects["Lease"]:
        assert not holders.holds(pod)
    pod.release()
    assert not holders.holds(holders.pod("2"))


def test_end_of_a_sweeper_leaves_the_lease_of_another(holders):
    pod, other = holders.pod("1"), holders.pod("2", "home/b")
    taken(holders, pod)
    # Somebody lets it go for the first one.
    holders.lease()["spec"]["holderIdentity"] = ""
    holders.lease()["metadata"]["resourceVersion"] = "edited"
    taken(holders, other)
    pod.release()
    assert holders.lease()["spec"]["holderIdentity"] == "2"


def test_two_that_find_it_free_do_not_both_get_it(holders):
    pod, other = holders.pod("1"), holders.pod("2", "home/b")
    taken(holders, pod)
    pod.release()
    results = []

    def meanwhile():
        holders.world.faults = {}
        results.append(holders.holds(other))

    holders.world.calls = []
    holders.world.faults = {1: meanwhile}
    results.append(holders.holds(holders.pod("3", "home/c")))
    assert results == [True, False]


def test_deleted_lease_is_held_by_nobody_until_its_holder_must_have_noticed(holders):
    pod, other = holders.pod("1"), holders.pod("2", "home/b")
    taken(holders, pod)
    holders.lease()
    holders.world.objects["Lease"].clear()
    assert not holders.holds(other)
    assert not holders.holds(pod)
    holders.world.pass_time(HOLD)
    assert [holders.holds(pod), holders.holds(other)] == [False, True]


def test_renewal_whose_answer_gets_lost_is_no_renewal(holders):
    pod = holders.pod("1")
    taken(holders, pod)
    holders.world.calls = []
    holders.world.faults = {0: "lose"}
    with pytest.raises(Broken):
        pod.renew(NAMESPACE)
    holders.world.faults = {}
    assert pod.left(NAMESPACE) == 0
    assert not holders.holds(pod)
    holders.world.pass_time(HOLD)
    assert holders.holds(pod)


def test_note_in_a_lease_is_for_the_next_pod_of_the_same_sweeper_alone(holders):
    """It is about what the ledger of that sweeper has taken in."""
    pod, other, after = holders.pod("1"), holders.pod("2", "home/b"), holders.pod("3")
    taken(holders, pod)
    pod.notes[NAMESPACE] = "7 8"
    assert pod.renew(NAMESPACE) == "7 8"
    assert not holders.holds(after)
    holders.world.pass_time(HOLD)
    assert after.renew(NAMESPACE) == "7 8"
    after.release()
    assert other.renew(NAMESPACE) == ""
    assert holders.lease()["metadata"]["annotations"][NOTE] == ""


@pytest.mark.parametrize("spec", [None, {}, {"holderIdentity": None}, {"holderIdentity": "x", "leaseDurationSeconds": "1"}])
def test_odd_lease_is_taken_over_in_time(holders, spec):
    pod = holders.pod("1")
    holders.world.objects["Lease"][NAME] = {"metadata": {"name": NAME, "resourceVersion": "odd"}, "spec": spec}
    holders.holds(pod)
    holders.world.pass_time(HOLD)
    assert holders.holds(pod)


def test_sweeper_without_the_lease_does_nothing_and_shows_it():
    world = World()
    sweeper = history_of("lost_runs", world)
    spec = {"holderIdentity": "x", "leaseDurationSeconds": 10_000}
    world.objects["Lease"][NAME] = {"metadata": {"name": NAME, "resourceVersion": "x"}, "spec": spec}
    before = world.outcome()
    for _ in range(20):
        world.sweep(sweeper)
        world.pass_time(INTERVAL)
    assert world.outcome() == before
    assert all("leases" in call for call in world.calls)
    assert 'held_by_another{flow_namespace="flows"} 1' in sweeper.signs.metrics()


def test_dry_run_takes_no_lease():
    world = World()
    world.sweep(world.sweeper(dry_run=True))
    assert world.calls and not any("leases" in call for call in world.calls)
