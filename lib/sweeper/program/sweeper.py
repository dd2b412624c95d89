"""Deletes objects that flow runs leave behind on Kubernetes, and ends flow runs that have lost their Job.

usage: sweeper.py --namespace NAMESPACE ... --home NAMESPACE --home-in-names NAMESPACE --ledger NAME --interval SECONDS
                  --port PORT --pod-uid UID --run-again-limit NUMBER [--api-key-file FILE] [--RULE SECONDS ...] [--dry-run]

Each pass lists the Jobs and Dask clusters of a namespace, asks Prefect about their flow runs, and acts by the given rules. The sweeper may
be killed at any point, because everything that it must remember is in the ledger before it acts. The ledger is a ConfigMap for each
namespace.
"""

import argparse
import itertools
import logging
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Set, Tuple

import ledger as ledgers
from acting import Actor
from api_server import ApiServer, Limited
from cluster import Kubernetes, Text
from errors import Conflict, Held
from lease import HOLD, Leases
from prefect_api import Prefect
from rules import RUN_AGAIN, Action, Ledger, Observation, Rules, Run, Sight, Verdict, decide, is_due, observe, pulling, suspects, unclear
from sights import UUID, pulls_in
from signs import Signs
from watch import Witness, seen_in

log = logging.getLogger("sweeper")


# The most actions of one pass, and the time for them in seconds: other namespaces are waiting.
ACTIONS = 500
ACTING = 120


class Last(NamedTuple):
    """The last pass of this process over a namespace."""

    # The time up to which observed time is counted.
    time: float
    # The resourceVersion of the ledger after the pass.
    version: str
    unclear: Set[str]
    # The uids of the Jobs that were there.
    jobs: Set[str]


class Sweeper:
    def __init__(
        self,
        kubernetes,
        prefect,
        rules: Rules,
        ledger: Tuple[str, str],
        signs: Signs,
        dry_run: bool,
        interval: float,
        now: Callable[[], float],
        pod_uid: str,
        run_again_limit: int = RUN_AGAIN,
        home_in_names: str = "",
    ):
        self.kubernetes = kubernetes
        self.prefect = prefect
        self.rules = rules
        # The namespace of the ledgers, and the prefix of their names.
        self.ledger = ledger
        # Where a tool has moved the objects, their names still have the namespace for which they were made.
        self.home_in_names = home_in_names or ledger[0]
        self.signs = signs
        self.dry_run = dry_run
        self.interval = interval
        # A monotonic clock, in seconds.
        self.now = now
        self.leases = Leases(kubernetes, pod_uid, "/".join(ledger), interval, now)
        self.witness = Witness(kubernetes)
        self.run_again_limit = run_again_limit
        self.actor = Actor(kubernetes, prefect, self.leases, signs, dry_run)
        self.last = {}  # type: Dict[str, Last]
        # The ledgers as this process left them.
        self.kept = {}  # type: Dict[str, Text]
        # Counts passes, so that each begins with other actions.
        self.turn = 0

    def sweep(self, namespace: str) -> None:
        if not self.dry_run:
            self.witness.resume(namespace, self.leases.renew(namespace))
        # The time is taken before the look, so that nothing in it is older.
        now = self.now()
        home, name = self.ledger_of(namespace)
        text = self.kubernetes.read_ledger(home, name)
        data, version, uid = text or Text({}, "", "")
        kept = self.kept.get(namespace, Text({}, "", ""))
        # Where the ConfigMap was deleted, and is missing or new, this process still knows what was in it.
        before, unread = ledgers.read(data if data or uid and uid == kept.uid else kept.data)
        last = self.last.get(namespace)
        known = last is not None and last.version == version
        if last is None or not known:
            # Another process wrote the ledger, so the time since then is unknown and counts as 0.
            last = Last(now, version, last.unclear if last else set(), set())
        longest = int(2 * self.interval)
        in_time = known and now - last.time <= longest
        elapsed = min(int(now - last.time), longest)
        # A fraction of a second is carried over to the next pass.
        rest = now - last.time - elapsed if in_time else 0

        with_dask = self.rules.finished_dask_workers is not None or self.rules.orphaned_dask_clusters is not None
        sight = self.kubernetes.look(namespace, with_dask)
        sight = sight._replace(ends=self.ends(namespace, sight, before))
        self.report_odd(namespace, sight.odd, unread)
        sight = sight._replace(odd=[*sight.odd, *unread])
        runs = self.prefect.runs({job.run_id for job in sight.jobs} | set(before.runs) | set(filter(UUID.match, unread)))
        suspected = suspects(before, sight, runs)
        tasks = self.prefect.tasks(suspected) if suspected else {}
        # The next delay begins after the look: a condition may have begun at its end.
        looked = self.now()
        here = {job.uid for job in sight.jobs}
        seen = observe(before, sight, runs, tasks, elapsed, here - last.jobs if in_time else None)
        seen = self.with_pulls(namespace, seen)
        unread = {key: text for key, text in unread.items() if not is_done(key, sight, runs)}
        self.report_unclear(namespace, seen, last.unclear)

        actions = decide(seen, sight, runs, self.rules, self.run_again_limit)
        after = ledgers.written(seen.ledger, unread)
        fitting = ledgers.fitting(after, data)
        if len(fitting) < len(after):
            self.signs.count("errors", "ledger", namespace)
            log.error("ledger %s is full: %d flow runs in %s are left alone", name, len(after) - len(fitting), namespace)
        if text is None:
            self.kept[namespace] = Text(fitting, "", "")
            self.last[namespace] = Last(looked - rest, version, unclear(seen, self.rules), here)
            raise LookupError(f"the ledger {name} in {home} is missing: apply the sweeper's manifests again")
        version = self.kubernetes.write_ledger(home, name, data, fitting, version)
        self.kept[namespace] = Text(fitting, version, uid)
        # The ledger has taken in these lists now.
        self.leases.notes[namespace] = self.witness.text(namespace)
        self.last[namespace] = Last(looked - rest, version, unclear(seen, self.rules), here)
        self.act(namespace, [action for action in actions if action.run is None or action.run.id in fitting])

    def act(self, namespace: str, actions: List[Action]) -> None:
        """Takes as many of the actions as a pass may take. The others are due at the next pass, which begins with others."""
        until = self.now() + ACTING
        self.turn += ACTIONS
        for done, action in enumerate(turned(actions, self.turn)):
            if done == ACTIONS or self.now() > until:
                log.warning("%d of %d actions in %s are left to the next pass", len(actions) - done, len(actions), namespace)
                return
            self.actor.try_to(namespace, action, lambda action: self.claim(namespace, action))

    def claim(self, namespace: str, action: Action) -> None:
        """Writes the claim of an action into the ledger, if the ledger has not changed since."""
        home, name = self.ledger_of(namespace)
        entry = ledgers.written(Ledger({action.run.id: claimed(action)}, {}), {})
        last = self.last[namespace]
        try:
            version = self.kubernetes.write_ledger(home, name, {}, entry, last.version)
        except Conflict as conflict:
            raise Held(f"its ledger has changed ({conflict})", False) from conflict
        self.last[namespace] = last._replace(version=version)
        self.kept[namespace].data.update(entry)

    def ledger_of(self, namespace: str) -> Tuple[str, str]:
        home, name = self.ledger
        return home, f"{name}-ledger-{self.home_in_names if namespace == home else namespace}"

    def ends(self, namespace: str, sight: Sight, before: Ledger) -> Dict[str, str]:
        if self.dry_run or self.rules.lost_runs is None:
            return seen_in(sight).letters
        alive = {entry.uid for entry in before.runs.values() if not entry.gone and not entry.over}
        return self.witness.ends(namespace, sight, alive)

    def with_pulls(self, namespace: str, seen: Observation) -> Observation:
        """Asks for the Events of pods whose delay is over, because only Events show an image pull."""
        until = self.now() + ACTING
        for run_id, verdict in turned(list(seen.verdicts.items()), self.turn):
            entry = seen.ledger.runs[run_id]
            if verdict.condition == "unstartable" and verdict.pod and is_due(entry, verdict, self.rules):
                if self.now() > until:
                    seen.verdicts[run_id] = Verdict()
                    continue
                try:
                    pulls = pulls_in(self.kubernetes.events(namespace, verdict.pod.uid))
                except Limited:
                    raise
                except Exception as error:
                    # This run waits until they can be read, and the others do not.
                    self.signs.count("errors", "event", namespace)
                    log.error("the Events of pod %s in %s cannot be read: %s: %s", verdict.pod.name, namespace, type(error).__name__, error)
                    seen.verdicts[run_id] = Verdict()
                else:
                    seen.ledger.runs[run_id] = pulling(entry, pulls)
        return seen

    def report_odd(self, namespace: str, odd: Sequence[str], unread: Dict[str, str]) -> None:
        for run_id in odd:
            self.signs.count("errors", "object", namespace)
            log.error("an object of flow run %s in %s is not as Kubernetes has it: the run is left alone", run_id or "unknown", namespace)
        for key in unread:
            self.signs.count("errors", "ledger", namespace)
            log.error("the ledger of %s has an entry that is not understood, its flow run is left alone: %s", namespace, key)

    def report_unclear(self, namespace: str, seen: Observation, before: Set[str]) -> None:
        now = unclear(seen, self.rules)
        self.signs.unclear[namespace] = len(now)
        for run_id in sorted(now - before):
            why = "no process of it is to be seen here, and nobody saw it end: it may live elsewhere"
            log.warning("cannot tell: flow run %s of Job %s in %s is left alone: %s", run_id, seen.ledger.runs[run_id].job, namespace, why)


def claimed(action: Action):
    """The entry with a claim, which keeps other sweepers from the same action."""
    again = action.entry.again + (action.state == "Scheduled" and not action.entry.rule)
    return action.entry._replace(rule=action.rule, observed=0, again=again)


def turned(items: List[Any], by: int) -> List[Any]:
    """A list that begins at another place each time, so that the last items are not always left out."""
    start = by % len(items) if items else 0
    return items[start:] + items[:start]


def is_done(run_id: str, sight: Sight, runs: Dict[str, Run]) -> bool:
    """Whether nothing is left to do for a run whose entry is not understood."""
    here = any(job.run_id == run_id for job in sight.jobs) or any(pod.run_id == run_id for pod in sight.pods)
    return run_id in runs and runs[run_id].finished and not here


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--namespace", action="append", required=True)
    parser.add_argument("--home", required=True)
    parser.add_argument("--home-in-names", required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--interval", type=float, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--api-key-file", type=Path)
    parser.add_argument("--pod-uid", required=True)
    parser.add_argument("--run-again-limit", type=int, required=True)
    parser.add_argument("--dry-run", action="store_true")
    for rule in Rules._fields:
        parser.add_argument("--" + rule.replace("_", "-"), type=float)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s] %(levelname)s - %(name)s | %(message)s")

    signs = Signs(options.namespace)
    signs.serve(options.port)
    key = Key(options.api_key_file) if options.api_key_file else None
    rules = Rules(**{rule: getattr(options, rule) for rule in Rules._fields})
    ledger = (options.home, options.ledger)
    kubernetes = Kubernetes(ApiServer.of_cluster())
    arguments = (rules, ledger, signs, options.dry_run, options.interval, time.monotonic, options.pod_uid, options.run_again_limit)
    sweeper = Sweeper(kubernetes, Prefect(key and key.value, signs.alive), *arguments, home_in_names=options.home_in_names)
    # Without this, Python would end at once, and the next pod would have to wait for the Lease.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        for number in itertools.count():
            if key and key.has_changed():
                log.info("the API key has changed: the sweeper restarts to use it")
                return
            started = time.monotonic()
            waits = [one_pass(sweeper, namespace) for namespace in turned(options.namespace, number)]
            sweeper.leases.round = time.monotonic() - started
            time.sleep(max(waits) if max(waits) > options.interval else min(waits))
    finally:
        # If a write to Prefect may still arrive, the Lease is kept, so that the next pod waits.
        if not sweeper.actor.writing:
            sweeper.leases.release()


def one_pass(sweeper: Sweeper, namespace: str) -> float:
    """Sweeps one namespace. Returns the time until the next round, in seconds."""
    started = time.monotonic()
    succeeded = by_another = False
    wait = sweeper.interval
    try:
        sweeper.sweep(namespace)
        succeeded = True
    except Held as held:
        by_another = held.by_another
        if not by_another:
            # The Lease of an earlier pod is free long before a long interval is over.
            wait = min(wait, HOLD)
        log.info("pass over %s ended: %s", namespace, held)
    except Conflict as conflict:
        log.info("pass over %s ended: another sweeper is at work there (%s)", namespace, conflict)
    except Exception as error:
        if isinstance(error, Limited):
            wait = max(wait, error.retry_after)
        sweeper.signs.count("errors", "pass", namespace)
        log.error("pass over %s ended, nothing more is done there: %s: %s", namespace, type(error).__name__, error)
    sweeper.signs.held[namespace] = int(by_another)
    sweeper.signs.passed(namespace, time.monotonic() - started, succeeded)
    return wait


class Key:
    """The API key in a file, which the kubelet changes when the Secret changes."""

    def __init__(self, file: Path):
        self.file = file
        self.value = read_key(file)

    def has_changed(self) -> bool:
        try:
            return read_key(self.file) != self.value
        except (OSError, SystemExit) as error:
            # The Secret may be in the middle of a change. Until it is valid again, the last key is used.
            log.error("the API key cannot be read again: %s", error)
            return False


def read_key(file: Path) -> str:
    """The API key. Flow runs get the key from the Secret unchanged, so it is not corrected here. No message contains it."""
    key = file.read_bytes()
    if not key:
        raise SystemExit(f"{file} is empty: put the Prefect API key into the Secret that is mounted there")
    if not re.match(rb"[!-~]+$", key) or key.endswith(b"\n"):
        raise SystemExit(
            f"{file} has white space, a byte order mark or another sign that no API key has, perhaps a newline at its end: "
            "put the key alone into the Secret, as `kubectl create secret generic --from-literal` does"
        )
    return key.decode("ascii")


if __name__ == "__main__":
    main()
