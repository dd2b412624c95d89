"""The changes of Jobs and pods between two passes.

Lists show the present. If an object is gone from the lists, or ends while it is being deleted, a watch asks for the changes since the last
lists. Kubernetes sends them at once, as long as it remembers them. They only add evidence about how something ended.
"""

import logging
from typing import Any, Dict, NamedTuple, Set, Tuple

from api_server import Refused
from ends import GONE, end_of_job, end_of_pod, merged
from rules import Sight
from sights import FLOW_RUN, ODD, STAMP, job_of, pod_of

log = logging.getLogger("sweeper")


class Lists(NamedTuple):
    """The resourceVersions of the lists of Jobs and pods, and the uids in them. None: unknown."""

    versions: Tuple[str, str]
    uids: Any = None


class Witness:
    def __init__(self, kubernetes: Any):
        self.kubernetes = kubernetes
        self.last = {}  # type: Dict[str, Lists]

    def ends(self, namespace: str, sight: Sight, alive: Set[str]) -> Dict[str, str]:
        """How Jobs ended, by uid. `alive` has the Jobs whose process lived at the last lists."""
        found = seen_in(sight)
        found.alive = set(alive)
        uids = {each.uid for each in (*sight.jobs, *sight.pods)}
        last = self.last.get(namespace)
        now = Lists(sight.versions, uids)
        with_pods = {pod.job_uid for pod in sight.pods}
        # Lists do not show how these ended.
        dark = found.ended_in_deletion or any(job.finished and job.uid not in with_pods for job in sight.jobs)
        if last and (last.uids is None or last.uids - uids or dark and now.versions != last.versions):
            try:
                self.catch_up(namespace, last.versions, found)
                found.complete = True
            except Refused as refusal:
                log.info("what happened in %s since the last pass is not known: %s", namespace, refusal)
            except Exception as error:
                # The next pass asks again, from the same versions.
                now = last._replace(uids=uids | (last.uids or set()))
                log.warning("what happened in %s since the last pass is not known yet: %s: %s", namespace, type(error).__name__, error)
        self.last[namespace] = now
        return found.by_job()

    def catch_up(self, namespace: str, versions: Tuple[str, str], found: "Found") -> None:
        jobs, pods = versions

        def of_job(kind: str, item: Dict[str, Any]) -> None:
            job = job_of(item)
            if job:
                found.add(job.uid, end_of_job(job, kind == "DELETED"))
                if kind == "ADDED":
                    found.alive.add(job.uid)

        def of_pod(kind: str, item: Dict[str, Any]) -> None:
            found.add_pod(pod_of(item), kind == "DELETED")

        self.kubernetes.watch_list("Job", namespace, readable(of_job), jobs, f"{FLOW_RUN},{STAMP}job-template")
        self.kubernetes.watch_list("Pod", namespace, readable(of_pod), pods, FLOW_RUN)

    def resume(self, namespace: str, text: str) -> None:
        """Continues from the lists of an earlier process of this sweeper, if this one has made none yet."""
        versions = tuple(text.split(" "))
        if namespace not in self.last and len(versions) == 2:
            self.last[namespace] = Lists((versions[0], versions[1]))

    def text(self, namespace: str) -> str:
        return " ".join(self.last[namespace].versions) if namespace in self.last else ""


class Found:
    """The evidence of one pass."""

    def __init__(self) -> None:
        self.letters = {}  # type: Dict[str, str]
        # Jobs whose process lived at the last lists, or that were created since.
        self.alive = set()  # type: Set[str]
        self.ended_in_deletion = set()  # type: Set[str]
        # Whether the watch showed all changes since the last lists.
        self.complete = False

    def add(self, uid: str, end: str) -> None:
        if end:
            self.letters[uid] = merged(self.letters.get(uid, ""), end)

    def add_pod(self, pod: Any, gone: bool = False) -> None:
        if pod.job_uid:
            self.add(pod.job_uid, end_of_pod(pod, gone))
            if gone or pod.over and pod.terminating is not None:
                self.ended_in_deletion.add(pod.job_uid)

    def by_job(self) -> Dict[str, str]:
        if self.complete:
            for uid in self.ended_in_deletion & self.alive:
                self.add(uid, GONE)
        return self.letters


def seen_in(sight: Sight) -> Found:
    """How Jobs ended, according to the lists."""
    found = Found()
    for job in sight.jobs:
        found.add(job.uid, end_of_job(job))
    for pod in sight.pods:
        found.add_pod(pod)
    return found


def readable(tell: Any) -> Any:
    """Skips malformed objects."""

    def each(kind: str, item: Dict[str, Any]) -> None:
        try:
            tell(kind, item)
        except ODD:
            pass

    return each
