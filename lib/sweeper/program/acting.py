"""Carries out the actions of the rules, one at a time, each after a second look.

A write to Prefect is sent once, and only while the Lease is held. The Lease is renewed first, and must last longer than the write may take.
After a write without an answer, the run is read before anything else happens, because Prefect may have set the state.
"""

import logging
from typing import Callable, Sequence, Tuple

from api_server import Limited
from deadline import DEADLINE
from errors import Conflict, Held
from lease import Leases
from rules import CLAIM, Action, Job, Run, Verdict, confirmed, is_useless
from sights import warning_in
from signs import Signs

log = logging.getLogger("sweeper")


class Actor:
    def __init__(self, kubernetes, prefect, leases: Leases, signs: Signs, dry_run: bool):
        self.kubernetes = kubernetes
        self.prefect = prefect
        self.leases = leases
        self.signs = signs
        self.dry_run = dry_run
        # Until when a write to Prefect may still arrive.
        self.arriving = 0.0

    @property
    def writing(self) -> bool:
        return self.leases.now() < self.arriving

    def try_to(self, namespace: str, action: Action, claim: Callable[[Action], None]) -> None:
        text = f"{action.rule}: {subject_of(action)} in {namespace}: {action.why}"
        if self.dry_run:
            log.info("would act: %s", text)
            return
        try:
            if action.run:
                self.end_run(namespace, action, claim)
            else:
                self.remove_dask(namespace, action)
        except (Held, Limited):
            raise
        except Conflict as conflict:
            log.info("left: %s (%s)", text, conflict)
        except Exception:
            # An action that fails must not stop the others.
            self.signs.count("errors", action.rule, namespace)
            log.exception("failed: %s", text)

    def end_run(self, namespace: str, action: Action, claim: Callable[[Action], None]) -> None:
        """Sets the state of the flow run if nothing has changed since the first look, and deletes its Jobs."""
        why = action.why
        if action.state:
            claim(action)
            why = self.why(namespace, action, action.verdict)
        verdict, run, tasks = self.look_again(namespace, action)
        if action.state:
            left = [task for task in tasks if task.state in ("Running", "Submitted")]
            if action.state == "Scheduled" and left:
                # Prefect does not start a task that is Running already, and the process that ran these tasks is gone.
                self.write(namespace, lambda: self.prefect.set_tasks(left, "Pending", why))
                self.leases.renew(namespace)
                again, _ = self.prefect.closely(run.id)
                if again is None or (again.version, again.heartbeat) != (run.version, run.heartbeat):
                    raise Conflict("the flow run has changed")
            if action.state == "Scheduled":
                # Kubernetes would start another pod beside that of the next Job.
                self.delete_jobs(namespace, action, [job for job in verdict.jobs if not job.finished], why)
            self.set_run(namespace, run, action.state, why)
            self.signs.count("runs_corrected", action.state, namespace)
            self.tell(
                namespace, ("Job", action.entry.job, action.entry.uid), action.rule, f"Flow run {run.id} is set to {action.state}: {why}"
            )
        self.delete_jobs(namespace, action, verdict.jobs, why)

    def delete_jobs(self, namespace: str, action: Action, there: Sequence[Job], why: str) -> None:
        """Deletes those Jobs of the action that the second look has seen, too."""
        uids = {job.uid for job in there}
        for job in action.jobs:
            if job.uid in uids:
                self.delete(namespace, ("Job", job.name, job.uid), action.rule, why)

    def look_again(self, namespace: str, action: Action):
        sight = self.kubernetes.look_again(namespace, action.run.id)
        self.leases.renew(namespace)
        # Prefect is read last, so that everything that has reached it counts.
        run, tasks = self.prefect.closely(action.run.id)
        verdict = confirmed(action, sight, run, tasks)
        if verdict is None:
            raise Conflict("the flow run, its Job or its pods have changed")
        return verdict, run, tasks

    def set_run(self, namespace: str, run: Run, state: str, why: str) -> None:
        try:
            self.write(namespace, lambda: self.prefect.set_run(run, state, why))
        except (Conflict, Held):
            raise
        except Exception as error:
            now, _ = self.prefect.closely(run.id)
            if now is None or now.version == run.version:
                # The write may still arrive. The claim stops every sweeper from repeating it until then.
                raise
            log.warning("flow run %s is %s: %s", run.id, now.state, error)
            if (now.state, now.version) != (state, run.version + 1):
                raise Conflict("the flow run has changed") from error

    def write(self, namespace: str, send: Callable[[], None]) -> None:
        if self.leases.left(namespace) < DEADLINE:
            raise Conflict("the last look took too long")
        # An earlier write may still arrive, too.
        before, self.arriving = self.arriving, self.leases.now() + CLAIM
        try:
            send()
            self.arriving = before
        except Conflict:
            self.arriving = before
            raise

    def why(self, namespace: str, action: Action, verdict: Verdict) -> str:
        if action.rule != "unstartable-jobs":
            return f"Job {action.entry.job}: {action.why}"
        why = verdict.why
        if ":" not in why:
            # Only an Event has the reason if a volume cannot be mounted or a pod is refused.
            uid = verdict.pod.uid if verdict.pod else action.entry.uid
            why = warning_in(self.kubernetes.events(namespace, uid)) or why
        return f"Job {action.entry.job} did not start: {why}"

    def remove_dask(self, namespace: str, action: Action) -> None:
        if action.flow_pod:
            name, uid, finished = action.flow_pod
            pod = self.kubernetes.pod(namespace, name)
            if not is_useless(pod, uid, finished):
                raise Conflict(f"flow pod {name} is there")
        for item in action.dask:
            self.delete(namespace, (item.kind, item.name, item.uid), action.rule, action.why)

    def delete(self, namespace: str, what: Tuple[str, str, str], rule: str, why: str) -> None:
        try:
            self.kubernetes.delete(what[0], namespace, what[1], what[2])
        except Conflict:
            return
        self.signs.count("deleted", rule, namespace)
        self.tell(namespace, what, rule, f"Deleted: {why}")

    def tell(self, namespace: str, what: Tuple[str, str, str], rule: str, message: str) -> None:
        log.info("%s: %s %s in %s: %s", rule, what[0], what[1], namespace, message)
        try:
            self.kubernetes.tell(namespace, *what, reason="".join(word.capitalize() for word in rule.split("-")), message=message)
        except Exception as error:
            # A missing Event is no reason to stop.
            self.signs.count("errors", "event", namespace)
            log.error("no Event says so: %s", error)


def subject_of(action: Action) -> str:
    if action.entry:
        return f"Job {action.entry.job}"
    return ", ".join(f"{item.kind} {item.name}" for item in action.dask)
