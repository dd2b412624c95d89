"""The ledger as text: what an entry needs, and what is not understood."""

from uuid import UUID

import pytest
from ledger import DASK, FLAGS, LEDGER_ROOM, POLICIES, read, written
from rules import Entry, Ledger, Wait

RUN = str(UUID(int=2**127))
# The longest that Kubernetes makes of a name, of a Job and of a pod of it.
NAMES = ["prefect-job-0123abcd", "x" * 63]
RUNS = 5000


def longest(job, end):
    """An entry of a run that has been retried for years, and is looked at for days."""
    flags = dict(dict.fromkeys(FLAGS, True), beats=False)
    numbers = {"pulled": 99, "again": 100, "version": 999_999, "observed": 86_400, "total": 129_600, "moves": 7}
    digests = {"marker": "01234567", "heartbeat": "89abcdef", "process": "89a"}
    texts = {"condition": "cannot-tell", "rule": "unstartable-jobs", "end": end}
    return Entry(job, str(UUID(int=2**128 - 1)), "run-again", **flags, **numbers, **digests, **texts)


@pytest.mark.parametrize("job", NAMES)
@pytest.mark.parametrize("end", ["", "cdglosuxf" + "Evicted: The node was low on resource: memory. " * 9, "fé" * 200])
def test_entry_with_its_key_takes_200_bytes_at_most(job, end):
    entry = longest(job, end)
    [(key, text)] = written(Ledger({RUN: entry}, {}), {}).items()
    assert len(key.encode()) + len(text.encode()) <= LEDGER_ROOM / RUNS == 200
    ledger, odd = read({key: text})
    assert odd == {}
    assert ledger.runs[RUN]._replace(end=end) == entry
    # What ended the Job is kept, and as much of the reason as there is room for.
    kept = ledger.runs[RUN].end
    assert kept[:9].partition("f")[0] == end[:9].partition("f")[0] and ("f" in kept) == ("f" in end)


@pytest.mark.parametrize("job", NAMES)
def test_pod_of_dask_objects_takes_200_bytes_at_most(job):
    wait = Wait(str(UUID(int=2**128 - 1)), 10**9)
    data = written(Ledger({}, {f"{job[:57]}-abcde": wait}), {})
    [(key, text)] = data.items()
    assert key.startswith(DASK) and len(key) + len(text) <= 200
    assert read(data)[0].dask == {f"{job[:57]}-abcde": wait}


@pytest.mark.parametrize("policy", POLICIES)
def test_entry_is_read_as_it_was_written(policy):
    entry = Entry("prefect-job-0123abcd", RUN, policy, version=3, observed=30, end="gs")
    assert read(written(Ledger({RUN: entry}, {}), {}))[0].runs == {RUN: entry}


@pytest.mark.parametrize(
    "change", [lambda text: "2" + text[1:], lambda text: text + "0", lambda text: text.replace("job", "Job"), lambda text: ""]
)
def test_entry_of_another_format_or_that_was_edited_is_not_understood(change):
    data = written(Ledger({RUN: Entry("prefect-job-0123abcd", RUN)}, {}), {})
    odd = {RUN: change(data[RUN])}
    assert read(odd) == (Ledger({}, {}), odd)
    # It is kept as it is, whatever else is known of the run.
    assert written(Ledger({RUN: Entry("another", RUN)}, {}), odd) == odd
