"""The changes of Jobs and pods between two passes.

Lists show the present. If an object is gone from the lists, or ends while it is being deleted, a watch asks for the changes since the last
lists. Kubernetes sends them at once, as long as it remembers them. They only add evidence about how something ended.
"""

import logging
from contextlib import suppress
from typing import Any, Dict, FrozenSet, NamedTuple, Set, Tuple

from api_server import Limited, Refused
from ends import GONE, end_of_job, end_of_pod, merged
from rules import Sight
from sights import FLOW_RUN, ODD, STAMP, job_of, pod_of

log = logging.getLogger("sweeper")


class Lists(NamedTuple):
    """The resourceVersions of the lists of Jobs and pods, and the uids in them. None: unknown."""

    versions: Tuple[str, str]
    uids: Any = None
    # The Jobs whose process lived then, if what has happened since is not known yet.
    alive: FrozenSet[str] = frozenset()
    # The Jobs with a pod that had ended while it was being deleted.
    listed: FrozenSet[str] = frozenset()


class Witness:
    def __init__(self, kubernetes: Any):
        self.kubernetes = kubernetes
        self.last = {}  # type: Dict[str, Lists]

    def ends(self, namespace: str, sight: Sight, alive: Set[str]) -> Dict[str, str]:
        """How Jobs ended, by uid. `alive` has the Jobs whose process lived at the last lists."""
        found = seen_in(sight)
        uids = {each.uid for each in (*sight.jobs, *sight.pods)}
        last = self.last.get(namespace)
        found.alive = alive | (last.alive if last else set())
        now = Lists(sight.versions, uids, listed=frozenset(found.listed))
        with_pods = {pod.job_uid for pod in sight.pods}
        # Lists do not show how these ended.
        dark = found.listed or any(job.finished and job.uid not in with_pods for job in sight.jobs)
        if last and (last.uids is None or last.uids - uids or dark and now.versions != last.versions):
            try:
                self.catch_up(namespace, last.versions, found)
                missing = (last.uids or set()) - uids - found.removed | (found.listed - last.listed) & found.alive - found.told
                if missing:
                    # The API server ends a watch when its time is over, also in the middle of the changes.
                    raise TimeoutError(f"the watch did not tell of {len(missing)} object(s)")
            except Limited:
                raise
            except Exception as error:
                if isinstance(error, Refused) and error.status < 500:
                    # Kubernetes has forgotten it, or this sweeper may not watch.
                    log.info("what happened in %s since the last pass is not known: %s", namespace, error)
                else:
                    # The next pass asks again, from the same versions.
                    now = last._replace(uids=uids | (last.uids or set()), alive=frozenset(found.alive))
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
            found.told |= found.add_pod(pod_of(item), kind == "DELETED")

        def each(tell: Any) -> Any:
            def told(kind: str, item: Dict[str, Any]) -> None:
                # A malformed object has no evidence.
                with suppress(*ODD):
                    if kind == "DELETED":
                        found.removed.add(item["metadata"]["uid"])
                    tell(kind, item)

            return told

        self.kubernetes.watch_list("Job", namespace, each(of_job), jobs, f"{FLOW_RUN},{STAMP}job-template")
        self.kubernetes.watch_list("Pod", namespace, each(of_pod), pods, FLOW_RUN)

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
        # Jobs with a pod that ended while it was being deleted: according to the lists, and to the watch, which tells all that was before.
        self.listed, self.told = set(), set()  # type: Set[str], Set[str]
        # The objects that the watch saw being removed.
        self.removed = set()  # type: Set[str]

    def add(self, uid: str, end: str) -> None:
        if end:
            self.letters[uid] = merged(self.letters.get(uid, ""), end)

    def add_pod(self, pod: Any, gone: bool = False) -> Set[str]:
        """Returns the Job, if its pod ended while it was being deleted."""
        if not pod.job_uid:
            return set()
        self.add(pod.job_uid, end_of_pod(pod, gone))
        return {pod.job_uid} if gone or pod.over and pod.terminating is not None else set()

    def by_job(self) -> Dict[str, str]:
        for uid in self.told & self.alive:
            self.add(uid, GONE)
        return self.letters


def seen_in(sight: Sight) -> Found:
    """How Jobs ended, according to the lists."""
    found = Found()
    for job in sight.jobs:
        found.add(job.uid, end_of_job(job))
    for pod in sight.pods:
        found.listed |= found.add_pod(pod)
    return found
