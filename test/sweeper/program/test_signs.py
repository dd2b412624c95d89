"""What a sweeper shows of itself."""

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rules import BEATS, Rules
from signs import PATIENCE, Signs
from world import INTERVAL, NAMESPACE, World, history_of


def samples(signs):
    _, text = signs.answer("/metrics")
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation and family.type != "unknown" for family in families)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def test_metrics_are_what_prometheus_reads():
    world = World()
    sweeper = history_of("lost_runs", world)
    for _ in range(4):
        world.sweep(sweeper)
        world.pass_time(INTERVAL)
    world.faults = {0: "fail"}
    world.sweep(sweeper)
    found = samples(sweeper.signs)
    assert found["flow_run_sweeper_runs_corrected_total", NAMESPACE, "Failed"] == 1
    assert found["flow_run_sweeper_errors_total", NAMESPACE, "pass"] == 1
    assert found["flow_run_sweeper_pass_seconds_count", NAMESPACE] == BEATS + 6
    assert found["flow_run_sweeper_last_success_timestamp_seconds", NAMESPACE] > 1_700_000_000


def test_deleted_objects_are_counted_by_rule():
    world = World()
    sweeper = history_of("finished_dask_workers", world)
    world.sweep(sweeper)
    assert samples(sweeper.signs)["flow_run_sweeper_deleted_total", NAMESPACE, "finished-dask-workers"] > 0


def test_everything_is_there_before_it_happens():
    found = samples(Signs([NAMESPACE]))
    assert found["flow_run_sweeper_last_success_timestamp_seconds", NAMESPACE] == 0
    assert [found["flow_run_sweeper_errors_total", NAMESPACE, label] for label in ("lost-runs", "pass", "event", "ledger")] == [0] * 4


@pytest.mark.parametrize("rule", Rules._fields)
def test_nothing_that_is_counted_is_new(rule):
    world = World()
    sweeper = history_of(rule, world)
    before = samples(sweeper.signs)
    world.sweep(sweeper)
    for _ in range(30):
        world.pass_time(30)
        world.sweep(sweeper)
    after = samples(sweeper.signs)
    assert after.keys() == before.keys()
    counts = ("flow_run_sweeper_deleted_total", "flow_run_sweeper_runs_corrected_total")
    assert any(after[sample] > before[sample] for sample in after if sample[0] in counts)


def test_health_fails_when_passes_stop_and_readiness_when_none_succeeds():
    signs = Signs()
    assert (signs.answer("/healthz")[0], signs.answer("/readyz")[0]) == (True, False)
    signs.passed(NAMESPACE, 1, False)
    assert signs.answer("/readyz")[0] is False
    signs.passed(NAMESPACE, 1, True)
    assert signs.answer("/readyz")[0] is True
    signs.last_pass -= PATIENCE
    signs.last_success[NAMESPACE] -= PATIENCE
    assert (signs.answer("/healthz")[0], signs.answer("/readyz")[0]) == (False, False)


def test_anything_else_is_not_found():
    assert Signs().answer("/") is None


def test_a_namespace_tells_of_itself_alone():
    signs = Signs(["a", "b"])
    signs.count("errors", "pass", "a")
    found = samples(signs)
    assert [found["flow_run_sweeper_errors_total", namespace, "pass"] for namespace in ("a", "b")] == [1, 0]
    assert found["process_start_time_seconds",] > 1_700_000_000
