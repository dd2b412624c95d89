"""How Jobs and their pods ended, as seen in lists and in the changes between them.

The ledger records each end when it is first seen, and keeps it: one letter for each, with the reason of a failure at the end. Nothing here
proves that an object is absent. Only lists prove absence.
"""

from typing import Any, Optional

# The process failed by itself: an exit code, a signal, out of memory, or a pod failure policy. The reason follows.
FAILED = "f"
# The process succeeded.
COMPLETE = "c"
# The Job exceeded activeDeadlineSeconds.
LATE = "d"
# The Job was deleted before it had Failed, so it was deleted on purpose.
DELETED = "x"
# The pod was disrupted: drained, preempted, evicted by its node, or its node was lost.
DISRUPTED = "l"
# The pod was deleted while its process lived.
GONE = "g"
# The process of a pod was seen to end. UNENDED: the pod disappeared while its process was last seen to live.
OVER = "o"
UNENDED = "u"
# The Job Failed because it reached its backoffLimit.
SPENT = "s"


def end_of_job(job: Any, gone: bool = False) -> str:
    if job.failed == "DeadlineExceeded":
        return LATE
    if job.failed == "BackoffLimitExceeded":
        return SPENT
    if job.failed:
        return FAILED + job.failed
    if job.finished:
        return COMPLETE
    return DELETED if gone or job.deleted else ""


def end_of_pod(pod: Any, gone: bool = False) -> str:
    if not pod.over:
        return (DISRUPTED if pod.disrupted else "") + (UNENDED if gone and pod.started else "")
    if "OOMKilled" in (pod.failed or ""):
        return OVER + FAILED + "OOMKilled"
    if pod.disrupted:
        return OVER + DISRUPTED
    if pod.terminating is None:
        return OVER + (COMPLETE if pod.well else FAILED + (pod.failed or "").split(": ")[0])
    return OVER


def merged(before: str, now: str) -> str:
    """Everything that is known. Of several failures, the first counts."""
    letters, _, why = before.partition(FAILED)
    more, _, then = now.partition(FAILED)
    failed = FAILED in before or FAILED in now
    return "".join(sorted(set(letters) | set(more))) + (FAILED + (why if FAILED in before else then) if failed else "")


def of_living(end: str, pod: Any) -> str:
    """What is known of a Job while this pod of it lives: how an earlier pod ended tells nothing of the end of this one."""
    return merged(without(end, OVER + UNENDED + GONE + DISRUPTED), end_of_pod(pod))


def without(end: str, letters: str) -> str:
    known, failed, why = end.partition(FAILED)
    return "".join(letter for letter in known if letter not in letters) + failed + why


def is_unseen(end: str) -> bool:
    """Whether a pod was removed by force, and its process may live on."""
    return UNENDED in end.partition(FAILED)[0]


def had_to_leave(end: str) -> bool:
    """Whether it is proven that the pod was disrupted, and that nothing else ended it."""
    letters = end.partition(FAILED)[0]
    if FAILED in end or set(letters) & {COMPLETE, LATE, DELETED}:
        return False
    return DISRUPTED in letters or GONE in letters and SPENT in letters


def is_over(end: str, job_is_there: bool) -> bool:
    """Whether the process is known to have ended and no other will start, by the status of the Job or of all its pods."""
    letters = set(end.partition(FAILED)[0])
    return bool(letters & {SPENT, COMPLETE, LATE}) or not job_is_there and OVER in letters and UNENDED not in letters


def told(end: str) -> Optional[str]:
    """The end in words."""
    letters, failed, why = end.partition(FAILED)
    if failed:
        return f"its process failed: {why}" if why else "its process failed"
    words = {
        LATE: "it took longer than activeDeadlineSeconds",
        COMPLETE: "its process ended with exit code 0, and without a final state",
        DELETED: "its Job was deleted",
        DISRUPTED: "its pod had to leave its node",
        GONE: "its pod was deleted",
    }
    return next((text for letter, text in words.items() if letter in letters), None)
