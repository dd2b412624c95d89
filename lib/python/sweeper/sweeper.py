"""Ends what flow runs leave behind on Kubernetes, and flow runs that have lost their Job.

usage: sweeper.py --namespace NAME ... --home NAMESPACE --ledger NAME --interval SECONDS --port PORT
                  [--api-key-file FILE] [--RULE SECONDS ...] [--dry-run]

Each pass looks at the Jobs and Dask clusters of a namespace, asks Prefect about their flow runs, and acts by the rules that are
given. It may be killed anywhere: what it must not forget is in the ledger, a ConfigMap for each namespace, before it acts.
"""

import argparse
import logging
import time
from pathlib import Path
from typing import Callable, Tuple

from clients import WAITING, Conflict, Kubernetes, Prefect, fitting
from rules import Action, Rules, decide, remember
from signs import Signs

log = logging.getLogger("sweeper")


class Sweeper:
    def __init__(self, kubernetes, prefect, rules: Rules, ledger: Tuple[str, str], signs: Signs, dry_run: bool, now: Callable[[], float]):
        self.kubernetes = kubernetes
        self.prefect = prefect
        self.rules = rules
        # Namespace, and beginning of the names.
        self.ledger = ledger
        self.signs = signs
        self.dry_run = dry_run
        self.now = now
        # Since when Dask objects have been of no use, by namespace and uid: nothing in the cluster tells.
        self.useless = {}  # type: Dict[str, Dict[str, float]]

    def sweep(self, namespace: str) -> None:
        home, name = self.ledger[0], f"{self.ledger[1]}-{namespace}"
        before, version = self.kubernetes.read_ledger(home, name)
        with_dask = self.rules.finished_dask_workers is not None or self.rules.orphaned_dask_clusters is not None
        sight = self.kubernetes.look(namespace, with_dask)
        runs = self.prefect.runs({job.run_id for job in sight.jobs} | set(before))
        gone = {run_id for run_id, entry in before.items() if entry.gone and run_id in runs and not runs[run_id].finished}
        waiting = self.prefect.waiting(gone) if gone else set()
        now = int(self.now())
        seen = remember(before, sight, runs, waiting, now)
        ledger = fitting(seen, before)
        if len(ledger) < len(seen):
            self.signs.count("errors", "ledger")
            log.error("ledger %s is full: %d flow runs in %s are left alone", name, len(seen) - len(ledger), namespace)

        actions = decide(ledger, sight, runs, self.rules, now)
        before_this = self.useless.get(namespace, {})
        since = self.useless[namespace] = {item.uid: before_this.get(item.uid, now) for action in actions for item in action.dask}
        actions = [action for action in actions if all(now - since[item.uid] >= self.delay_of(action) for item in action.dask)]

        claims = {action.run.id: action.entry._replace(rule=action.rule, claimed=now) for action in actions if action.run}
        self.kubernetes.write_ledger(home, name, before, ledger if self.dry_run else {**ledger, **claims}, version)
        for action in actions:
            self.try_to(namespace, action)

    def delay_of(self, action: Action) -> float:
        return getattr(self.rules, action.rule.replace("-", "_"))

    def try_to(self, namespace: str, action: Action) -> None:
        text = f"{action.rule}: {subject_of(action)} in {namespace}: {action.why}"
        if self.dry_run:
            log.info("would act: %s", text)
            return
        try:
            why = self.end_run(namespace, action) if action.run else action.why
            for job in action.jobs:
                self.delete(namespace, ("Job", job.name, job.uid), action.rule, why)
            for item in action.dask:
                self.delete(namespace, (item.kind, item.name, item.uid), action.rule, why)
        except Conflict as conflict:
            log.info("left: %s (%s)", text, conflict)
        except Exception:
            # One that cannot be dealt with must not keep the others from it.
            self.signs.count("errors", action.rule)
            log.exception("failed: %s", text)

    def end_run(self, namespace: str, action: Action) -> str:
        """Gives the flow run its state if all is still as it was seen. Returns why, in full."""
        why = f"Job {action.entry.job}: {action.why}"
        if action.rule == "unstartable-jobs":
            why = f"Job {action.entry.job} did not start: {self.why_unstartable(namespace, action)}"
        run, tasks = self.prefect.closely(action.run.id)
        if run is None or run.version != action.run.version or action.entry.gone and run.heartbeat != action.run.heartbeat:
            raise Conflict("the flow run has changed")
        if action.rule == "lost-runs" and any(task["state"] in WAITING for task in tasks):
            raise Conflict("a task of it is waiting: the agent takes it up when it is time")
        if action.state == "Scheduled":
            # Prefect does not run a task that is Running, and nobody runs these any more.
            for task in tasks:
                if task["state"] in ("Running", "Submitted"):
                    self.prefect.set_task(task, "Pending", why)
        self.prefect.set_run(run, action.state, why)
        self.signs.count("runs_corrected", action.state)
        self.tell(namespace, ("Job", action.entry.job, action.entry.uid), action.rule, f"Flow run {run.id} is set to {action.state}: {why}")
        return why

    def why_unstartable(self, namespace: str, action: Action) -> str:
        pod, why = action.pod, action.why
        if pod:
            found = self.kubernetes.pod(namespace, pod.name)
            if not found or found.uid != pod.uid or not found.waiting:
                raise Conflict("its pod has started, or is gone")
            why = found.waiting
        # Of a volume that cannot be mounted, or a pod that may not be made, only an event tells.
        return why if ":" in why else self.kubernetes.warning(namespace, pod.uid if pod else action.entry.uid) or why

    def delete(self, namespace: str, what: Tuple[str, str, str], rule: str, why: str) -> None:
        try:
            self.kubernetes.delete(what[0], namespace, what[1], what[2])
        except Conflict:
            return
        self.signs.count("deleted", rule)
        self.tell(namespace, what, rule, f"Deleted: {why}")

    def tell(self, namespace: str, what: Tuple[str, str, str], rule: str, message: str) -> None:
        log.info("%s: %s %s in %s: %s", rule, what[0], what[1], namespace, message)
        try:
            self.kubernetes.tell(namespace, *what, reason="".join(word.capitalize() for word in rule.split("-")), message=message)
        except Exception as error:
            # Not worth leaving something undone.
            self.signs.count("errors", "event")
            log.error("no Event says so: %s", error)


def subject_of(action: Action) -> str:
    if action.entry:
        return f"Job {action.entry.job}"
    return ", ".join([f"Job {job.name}" for job in action.jobs] + [f"{item.kind} {item.name}" for item in action.dask])


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--namespace", action="append", required=True)
    parser.add_argument("--home", required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--interval", type=float, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--api-key-file", type=Path)
    parser.add_argument("--dry-run", action="store_true")
    for rule in Rules._fields:
        parser.add_argument("--" + rule.replace("_", "-"), type=float)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s] %(levelname)s - %(name)s | %(message)s")

    signs = Signs(options.namespace)
    signs.serve(options.port)
    key = read_key(options.api_key_file) if options.api_key_file else None
    rules = Rules(**{rule: getattr(options, rule) for rule in Rules._fields})
    sweeper = Sweeper(Kubernetes(), Prefect(key), rules, (options.home, options.ledger), signs, options.dry_run, time.time)
    while True:
        for namespace in options.namespace:
            one_pass(sweeper, namespace)
        time.sleep(options.interval)


def one_pass(sweeper: Sweeper, namespace: str) -> None:
    started = time.monotonic()
    succeeded = False
    try:
        sweeper.sweep(namespace)
        succeeded = True
    except Conflict as conflict:
        log.info("pass over %s ended: another sweeper is at work there, or its ledger is missing (%s)", namespace, conflict)
    except Exception as error:
        sweeper.signs.count("errors", "pass")
        log.error("pass over %s ended, nothing is done there: %s: %s", namespace, type(error).__name__, error)
    sweeper.signs.passed(namespace, time.monotonic() - started, succeeded)


def read_key(file: Path) -> str:
    key = file.read_text().strip()
    if not key:
        raise SystemExit(f"{file} is empty: put the Prefect API key into the Secret that is mounted there")
    return key


if __name__ == "__main__":
    main()
