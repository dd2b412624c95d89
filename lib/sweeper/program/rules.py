"""The decisions of the sweeper. This module sends no request and reads no clock.

A rule acts on a condition of a flow run. The sweeper must see the condition at every pass until the delay of the rule has passed, and once
more right before it acts. `judge` finds the condition of a run. `observe` adds up in the ledger how long the condition was seen. `decide`
lists the actions that are due. `confirmed` is the second look, which judges the run again.

finished-jobs. Evidence: the flow run is finished in Prefect, and it has a Job that may be deleted. Delay: since both were first seen.
Second look: the run is still finished, and each Job still has the same uid.

cancelling-runs. Evidence: the run is Cancelling, in one version of its state. Heartbeats are no evidence while a process of the run lives
here, because a separate process sends them, also while the flow hangs. Delay: since this version was first seen, or since the last
heartbeat from elsewhere. Second look: the same version.

unstartable-jobs. Evidence: a Job may still start, nothing holds it back on purpose, and no flow container of the run has started, or can
start again. The state of the run is not newer than the Job, no heartbeat moves, and no task waits for a Job of its own. Delay: since the
last progress, at most three times the delay in total. Second look: Job, pods, version, heartbeat and progress are the same.

lost-runs. Evidence: no process of the run can be alive here, because its flow container has ended for good or its Job has finished. This
proves nothing of a later process: one of a later Job, or of another agent, which shows by a heartbeat or a pod. Or: no process is to be
seen, and a heartbeat that the sweeper saw beating stands still. Few moves prove nothing: each process begins with a heartbeat, also where
heartbeats are off, and Prefect's client may repeat it. Delay: since the last sign of life. It is longer if Prefect may retry a task, or a
pod is terminating. Second look: the same again. If silence is the only evidence, the condition is "cannot-tell": the run is left alone and
counted.

finished-dask-workers. Evidence: the pod of the worker has ended. Delay: since first seen. There is no second look, because an ended pod
stays ended.

orphaned-dask-clusters. Evidence: an object names the pod of its flow, the pod is known to be one of a flow run, and it has ended or is
gone. A terminating pod counts as gone once its run is finished. Delay: since first seen. Second look: the pod again.
"""

import re
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple
from zlib import crc32

import ends


class Rules(NamedTuple):
    """The delay of each rule, in seconds. None: the rule is off."""

    finished_jobs: Optional[float] = None
    cancelling_runs: Optional[float] = None
    unstartable_jobs: Optional[float] = None
    lost_runs: Optional[float] = None
    finished_dask_workers: Optional[float] = None
    orphaned_dask_clusters: Optional[float] = None


class Job(NamedTuple):
    name: str
    uid: str
    run_id: str
    # The time of creation by the clock of the API server. It only orders the Jobs of one run.
    created: str = ""
    on_eviction: str = ""
    # The agent keeps finished Jobs (`delete_finished_jobs` is off).
    kept: bool = False
    # Complete or Failed: it creates no more pods.
    finished: bool = False
    # The reason of its condition Failed.
    failed: Optional[str] = None
    # It is suspended, so it has no pods on purpose.
    suspended: bool = False
    # It has a deletionTimestamp.
    deleted: bool = False
    # Another controller manages it (`spec.managedBy`), so its pods may be in another cluster.
    managed: bool = False
    # The number of failed pods, and the limit. None: a pod failure policy decides which failures count.
    failures: int = 0
    backoff_limit: Optional[int] = 0


class Pod(NamedTuple):
    """A pod, judged by its flow container alone. Sidecars and init containers prove neither life nor death."""

    name: str
    uid: str
    run_id: Optional[str]
    job_uid: Optional[str]
    # The flow container runs or has run.
    started: bool = False
    # The flow container has ended and does not start again in this pod.
    over: bool = False
    # The flow container succeeded, so the Job creates no other pod.
    well: bool = False
    # All containers of the pod have ended.
    finished: bool = False
    # Its start is held back on purpose: by a scheduling gate, or by an init container at work.
    held: bool = False
    # It is terminating, with this grace period in seconds.
    terminating: Optional[float] = None
    # How often the flow container was restarted.
    restarts: int = 0
    # The steps that it has reached on the way to its start. A change is progress.
    progress: str = ""
    # Kubernetes' reason why it has not started, or why it failed.
    waiting: Optional[str] = None
    failed: Optional[str] = None
    # It has the condition DisruptionTarget.
    disrupted: bool = False


class DaskObject(NamedTuple):
    kind: str
    name: str
    uid: str
    cluster: str
    # The pod of the flow run: name and uid from the owner reference, else the name from the label of our templates.
    owner: Optional[Tuple[str, str]] = None
    flow_pod: Optional[str] = None
    # Its owner is not a pod.
    foreign: bool = False
    finished_worker: bool = False


class Run(NamedTuple):
    id: str
    state: str
    finished: bool
    version: int
    # The text of Prefect. It is only compared with itself, so no two clocks need to agree.
    heartbeat: Optional[str] = None


class Task(NamedTuple):
    """A task run that is not finished."""

    id: str
    state: str
    version: int
    # Prefect's Zombie Killer may retry it, because it has retries.
    may_retry: bool = False


class Sight(NamedTuple):
    """The objects of a namespace. Dask objects are listed first, so that the later list of pods has the flow pod of each, unless it is
    gone.
    """

    dask: Sequence[DaskObject] = ()
    jobs: Sequence[Job] = ()
    # The pods with the label of a flow run.
    pods: Sequence[Pod] = ()
    # Flow runs with a malformed object. They are left alone.
    odd: Sequence[str] = ()
    # The resourceVersions of the lists of Jobs and of pods.
    versions: Tuple[str, str] = ("", "")
    # How Jobs ended, by uid (see ends.py).
    ends: Dict[str, str] = {}


class Entry(NamedTuple):
    """The ledger's entry of a flow run that has or had a Job here."""

    job: str
    uid: str
    on_eviction: str = ""
    # No Job of the run creates more pods, and none of its pods lives.
    gone: bool = False
    # The process of this Job is known to have ended.
    over: bool = False
    # A sweeper saw the heartbeat move so often that it proves more to come.
    beats: bool = False
    # Before that: how often, and while which pods and version of the run were to be seen, as a short digest.
    moves: int = 0
    process: str = ""
    # A flow container of this Job has started.
    started: bool = False
    # The state of the run does not come from this Job, or another controller manages the Job.
    elsewhere: bool = False
    # The number of containers whose image pull has counted as progress.
    pulled: int = 0
    # The number of times that the run was scheduled again.
    again: int = 0
    version: int = 0
    # The condition of the run, and for how many seconds it was seen: since the last progress, and in total.
    condition: str = ""
    observed: int = 0
    total: int = 0
    # The digests that are compared to notice progress and signs of life.
    marker: str = ""
    heartbeat: str = ""
    # The rule by which a sweeper has begun to end the run (its claim).
    rule: str = ""
    # How its Job ended (see ends.py).
    end: str = ""


class Wait(NamedTuple):
    """The ledger's entry of a pod that decides about Dask objects: the pod of a flow or of a worker."""

    uid: str
    # How long the pod was seen ended, in seconds; `ALIVE` before.
    observed: int = 0


class Ledger(NamedTuple):
    runs: Dict[str, Entry] = {}
    # By name of the pod.
    dask: Dict[str, Wait] = {}


class Verdict(NamedTuple):
    condition: str = ""
    marker: Tuple[Any, ...] = ()
    # The least delay of this condition, and the time that is added to the delay, in seconds.
    least: float = 0
    more: float = 0
    gone: bool = False
    over: bool = False
    why: str = ""
    pod: Optional[Pod] = None
    jobs: Sequence[Job] = ()
    # The run is Cancelling, and no process of it lives here, except in a terminating pod.
    idle: bool = False


class Action(NamedTuple):
    rule: str
    why: str
    # The flow run, with its entry and verdict at the first look.
    run: Optional[Run] = None
    entry: Optional[Entry] = None
    verdict: Optional[Verdict] = None
    # The new state of the run.
    state: Optional[str] = None
    # The objects to delete.
    jobs: Sequence[Job] = ()
    dask: Sequence[DaskObject] = ()
    # For Dask objects: name and uid of the pod of their flow, and whether its run is finished.
    flow_pod: Optional[Tuple[str, str, bool]] = None


RULE_OF = {"finished": "finished-jobs", "cancelling": "cancelling-runs", "unstartable": "unstartable-jobs", "lost": "lost-runs"}
STATE_OF = {"cancelling-runs": "Cancelled", "unstartable-jobs": "Failed"}
# States of task runs that Prefect starts later by itself.
WAITING = ("Scheduled", "Retrying", "Queued", "Paused", "Resume")

# `Wait.observed` of a pod that lives.
ALIVE = -1
# How many versions after Submitted a run has one of these states, if only its own process and a user have set states.
FOLLOWING = {"Running": 1, "Cancelling": 2}

# How long the ledger keeps a flow run without a Job here, if Prefect does not know it or another agent has it, in seconds.
FORGOTTEN = 24 * 60 * 60
# The default limit of scheduling a flow run again. Prefect's Lazarus has the same limit.
RUN_AGAIN = 10
# How long a claim keeps other sweepers from the same action, in observed seconds.
CLAIM = 30
# So many moves of a heartbeat prove that it beats. Prefect's client repeats a request without an answer six times, and each process begins
# with such a request, also where heartbeats are off.
BEATS = 8
# Progress extends a delay to at most this multiple.
RESTARTS = 3
# How long after its grace period a terminating pod may still live, in seconds.
LINGERING = 60
# Prefect's Zombie Killer retries a task after 10 minutes without a heartbeat. It looks every minute or two.
ZOMBIE_KILLER = 11 * 60
# How long an agent, perhaps another one, may take to start a pod for a task that it has submitted, in seconds.
SUBMITTED = 15 * 60
# A Job waits at most 6 minutes before it replaces a failed pod. The Job controller needs some time too.
BACKOFF = 7 * 60


def digest(value: Any) -> str:
    return f"{crc32(repr(value).encode()):08x}" if value is not None else ""


def heeds_life(verdict: Verdict) -> bool:
    """Whether a moving heartbeat is a sign of life. For a Cancelling run it is, if no process of the run lives here."""
    return verdict.condition in ("unstartable", "lost", "cannot-tell") or verdict.idle


# Judging one flow run


def judge(entry: Entry, run: Run, jobs: Sequence[Job], pods: Sequence[Pod], tasks: Sequence[Task]) -> Verdict:
    """The condition of a flow run, from its Jobs here, its pods (by label or Job), and its task runs that are not finished."""

    def is_active(job: Job) -> bool:
        return not job.finished or any(not pod.finished for pod in pods if pod.job_uid == job.uid)

    removable = [job for job in jobs if not job.deleted and (is_active(job) or not job.kept)]
    left = [pod for pod in pods if not pod.over]
    living = [pod for pod in left if pod.started]
    making = [job for job in jobs if not job.finished and not job.deleted]
    starting = [job for job in making if not is_over(entry, job.uid, jobs, pods)]
    over = is_over(entry, entry.uid, jobs, pods) and not starting
    gone = not left and not starting
    if any(job.managed for job in jobs):
        return Verdict()
    if run.finished:
        return Verdict("finished" if removable else "", tuple(sorted(job.uid for job in removable)), gone=gone, over=over, jobs=removable)
    if is_taken_up(entry, run) and not left:
        return Verdict("away", gone=True, over=over)
    if run.state == "Cancelling":
        if entry.elsewhere:
            return Verdict("cannot-tell", (run.version,), gone=gone, over=over)
        # A terminating pod is gone soon, or its node is lost: then heartbeats decide.
        idle = all(pod.terminating is not None for pod in living)
        return Verdict("cancelling", (run.version,), gone=gone, idle=idle, over=over, why="it did not end", jobs=removable)
    if run.state not in ("Submitted", "Running") or any(pod.terminating is None for pod in living):
        return Verdict(gone=gone, over=over and not living)
    if any(job.suspended for job in making) or any(pod.held and pod.terminating is None for pod in left):
        return Verdict()
    if starting and not living:
        return unstartable(entry, run, making, pods, left, tasks)
    # Such a Job would start another pod.
    ended = [job for job in removable if job.finished or job in starting]
    return lost(entry, run, ended, pods, left, tasks, over)


def is_over(entry: Entry, uid: str, jobs: Sequence[Job], pods: Sequence[Pod]) -> bool:
    """Whether the process of a Job is known to have ended, and the Job starts no other."""
    own = [pod for pod in pods if pod.job_uid == uid]
    job = next((job for job in jobs if job.uid == uid), None)
    if any(not pod.over for pod in own):
        return False
    if job is None:
        # The Job of the entry. What its last pods have shown is in the entry.
        return entry.over
    if job.finished or any(pod.well for pod in own):
        return True
    # Kubernetes may have counted a terminating pod already.
    counted = [pod.finished or pod.terminating is not None for pod in own]
    failures = max(job.failures, sum(counted)) + len(own) - sum(counted)
    return bool(own) and (job.deleted or job.backoff_limit is not None and failures > job.backoff_limit)


def is_taken_up(entry: Entry, run: Run) -> bool:
    """Whether another agent has the flow run now: its state changed after the last process here, other than to an end or to Cancelling."""
    cancelled = run.state == "Cancelling" and run.version == entry.version + 1
    return entry.gone and run.version != entry.version and not cancelled


def unstartable(
    entry: Entry, run: Run, making: Sequence[Job], pods: Sequence[Pod], pending: Sequence[Pod], tasks: Sequence[Task]
) -> Verdict:
    # Before a run is Running, none of its tasks has begun.
    begun = [task for task in tasks if run.state == "Running"]
    submitted = submitted_of(begun)
    if not submitted and any(task.state in WAITING for task in begun):
        # An agent makes a Job when the task is due. This Job is not for it.
        return Verdict()
    pod = next(iter(pending), None)
    why = pod.waiting if pod else "there is no pod"
    # A Job replaces a failed pod after a pause.
    least = BACKOFF if pods and not pending else 0
    progress = tuple(sorted((pod.uid, pod.over, pod.progress) for pod in pods) + sorted((job.uid, "") for job in making) + submitted)
    return Verdict("cannot-tell" if entry.elsewhere else "unstartable", progress, least, why=why, pod=pod, jobs=making)


def submitted_of(tasks: Sequence[Task]) -> List[Tuple[str, int]]:
    """The task runs for which an agent is about to create a Job."""
    return sorted((task.id, task.version) for task in tasks if task.state == "Submitted")


def lost(
    entry: Entry, run: Run, ended: Sequence[Job], pods: Sequence[Pod], left: Sequence[Pod], tasks: Sequence[Task], over: bool
) -> Verdict:
    gone = not left
    if any(task.state in WAITING for task in tasks):
        return Verdict(gone=gone, over=over)
    least = ZOMBIE_KILLER if any(task.state == "Running" and task.may_retry for task in tasks) else 0
    submitted = submitted_of(tasks)
    more = max([pod.terminating + LINGERING for pod in left if pod.terminating is not None] or [0])
    marker = loss_marker(run, submitted, left)
    silent = entry.beats and all(pod.terminating is not None for pod in left)
    is_lost = not entry.elsewhere and (silent or over and gone and not ends.is_unseen(entry.end))
    condition = "lost" if is_lost else "cannot-tell"
    failed = next((pod for pod in pods if pod.failed), None)
    if failed:
        why = f"pod {failed.name} failed: {failed.failed}"
    elif left:
        why = "its pod is being terminated, and shows no life"
    else:
        why = "it and its pods have ended, were evicted or deleted"
    return Verdict(condition, marker, max(least, SUBMITTED if submitted else 0), more, gone, over, why, failed, ended)


def loss_marker(run: Run, submitted: List[Tuple[str, int]], left: Sequence[Pod]) -> Tuple[Any, ...]:
    return run.version, submitted, sorted((pod.uid, pod.started) for pod in left)


# Adding up what was observed


class Case(NamedTuple):
    """The Jobs and pods of one flow run."""

    jobs: List[Job]
    pods: List[Pod]


def cases(ledger: Ledger, sight: Sight) -> Dict[str, Case]:
    """Groups Jobs and pods by flow run. A pod belongs to a run by its label, or by the uid of a present or past Job."""
    found = {}  # type: Dict[str, Case]
    of_job = {entry.uid: run_id for run_id, entry in ledger.runs.items()}
    for job in sight.jobs:
        found.setdefault(job.run_id, Case([], [])).jobs.append(job)
        of_job[job.uid] = job.run_id
    for pod in sight.pods:
        for run_id in {pod.run_id, of_job.get(pod.job_uid)} - {None}:
            found.setdefault(str(run_id), Case([], [])).pods.append(pod)
    return found


def suspects(ledger: Ledger, sight: Sight, runs: Dict[str, Run]) -> Set[str]:
    """The flow runs that may have lost their process. For these, Prefect is asked about task runs too."""
    seen = cases(ledger, sight)
    known = set(ledger.runs) | {job.run_id for job in sight.jobs}
    found = set()
    for run_id in known & set(runs):
        jobs, pods = seen.get(run_id, Case([], []))
        lives = any(pod.started and not pod.over and pod.terminating is None for pod in pods)
        if runs[run_id].state in ("Submitted", "Running") and not lives:
            making = [job for job in jobs if not job.finished and not job.deleted]
            held = any(job.suspended or job.managed for job in making)
            waits = making and not any(pod.started for pod in pods) and (held or runs[run_id].state == "Submitted")
            if not waits:
                found.add(run_id)
    return found


class Observation(NamedTuple):
    ledger: Ledger
    verdicts: Dict[str, Verdict]


def observe(
    ledger: Ledger, sight: Sight, runs: Dict[str, Run], tasks: Dict[str, List[Task]], elapsed: int, new: Optional[Set[str]]
) -> Observation:
    """The ledger and the verdicts after a look. `elapsed` is the observed time since the look before, in seconds.

    `new` has the uids of the Jobs that were not there at the look before. None: it was too long ago, or another sweeper's.
    """
    seen = cases(ledger, sight)
    after, verdicts = {}, {}  # type: Dict[str, Entry], Dict[str, Verdict]
    for run_id in sorted(set(ledger.runs) | {job.run_id for job in sight.jobs}):
        old, run = ledger.runs.get(run_id), runs.get(run_id)
        jobs, pods = seen.get(run_id, Case([], []))
        if run_id in sight.odd:
            after.update({run_id: old} if old else {})
            continue
        if run is None:
            # The run belongs to another tenant, was deleted in Prefect, or is only missing in this answer.
            if old:
                entry = counted(old, old, Verdict("away" if not jobs and not pods else ""), elapsed, False)
                after.update({run_id: entry} if entry.observed < FORGOTTEN else {})
            continue
        entry = entry_for(old, run, jobs, pods, new)
        entry = with_signs(entry, run, jobs, pods, sight.ends.get(entry.uid, ""))
        verdict = judge(entry, run, jobs, pods, tasks.get(run_id, []))
        begun = [pod for pod in pods if pod.started and pod.job_uid == entry.uid]
        if not entry.started and (verdict.over or begun):
            entry = entry._replace(started=True, elsewhere=entry.elsewhere and not is_own(old, entry, run, begun, new))
            verdict = judge(entry, run, jobs, pods, tasks.get(run_id, []))
        changed = digest(run.heartbeat) != entry.heartbeat
        rule = entry.rule if goes_on(entry, run) else ""
        entry = counted(entry._replace(rule=rule), old, verdict, elapsed, changed)
        if verdict.condition != "away":
            entry = entry._replace(version=run.version, gone=verdict.gone, over=verdict.over)
        # It is kept until it is known to beat. A ledger that changes with each heartbeat would be written at each pass.
        keeps = heeds_life(verdict) or not entry.beats or entry.gone
        entry = entry._replace(heartbeat=digest(run.heartbeat) if keeps else "")
        if is_undecided(old, entry, run):
            entry = entry._replace(elsewhere=False, version=old.version)
        if verdict.condition == "away" and entry.observed >= FORGOTTEN and not jobs:
            continue
        if not run.finished or jobs or any(not pod.finished for pod in pods):
            after[run_id] = entry
            verdicts[run_id] = verdict
    return Observation(Ledger(after, observe_dask(ledger, sight, after, runs, elapsed)), verdicts)


def with_signs(entry: Entry, run: Run, jobs: Sequence[Job], pods: Sequence[Pod], seen: str) -> Entry:
    """The entry with what shows of processes: how its Job was seen to end, pods that live, and the heartbeat."""
    # A sweeper that is about to schedule the run again deletes its Job.
    end = ends.merged(entry.end, ends.without(seen, ends.DELETED) if entry.rule == "lost-runs" else seen)
    was_over, was_gone = entry.over, entry.over and entry.gone
    living = [pod for pod in pods if pod.started and not pod.over]
    for pod in living:
        end = ends.of_living(end, pod) if pod.job_uid == entry.uid else end
    entry = entry._replace(end=end, over=was_over or ends.is_over(end, any(job.uid == entry.uid for job in jobs)))
    # A new state is a sign of life too, but it does not prove that a heartbeat is running.
    moved = entry.heartbeat != "" and run.version == entry.version and digest(run.heartbeat) != entry.heartbeat
    if moved:
        entry = after_move(entry, run, pods)
    others = any(pod.job_uid != entry.uid and pod.terminating is None for pod in living)
    if was_gone and moved and not is_late(entry, run) or was_over and others:
        # Another agent has taken up a task of the run.
        entry = entry._replace(elsewhere=True)
    return entry


def is_late(entry: Entry, run: Run) -> bool:
    """Whether a heartbeat is one of the process that is gone, on its way through a slow Prefect: no task waited for another process."""
    return entry.beats and entry.marker == digest(loss_marker(run, [], []))


def after_move(entry: Entry, run: Run, pods: Sequence[Pod]) -> Entry:
    """The entry after the heartbeat has moved, in one version of the run."""
    process = digest((run.version, sorted((pod.uid, pod.restarts) for pod in pods if pod.started)))[:3]
    moves = entry.moves + 1 if process == entry.process else 1
    if entry.beats or moves >= BEATS:
        return entry._replace(beats=True, moves=0, process="")
    return entry._replace(moves=moves, process=process)


def entry_for(old: Optional[Entry], run: Run, jobs: Sequence[Job], pods: Sequence[Pod], new: Optional[Set[str]]) -> Entry:
    """The entry of the run, for its youngest Job that may still run, else its youngest Job. A Job that is past takes no entry over."""
    if jobs:
        job = max(jobs, key=lambda job: (not is_over(Entry(job.name, job.uid), job.uid, jobs, pods), job.created, job.uid))
        if not old or old.uid != job.uid and not is_past(old, run, job, jobs, pods, new):
            entry = Entry(job.name, job.uid, job.on_eviction, again=old.again if old else 0, version=run.version)
            return entry._replace(elsewhere=job.managed or is_of_others(old, run, job, jobs, pods, new))
    # A run without a Job is known from the ledger.
    return old._replace(elsewhere=old.elsewhere or not old.gone and is_newer(old, run))


def is_past(old: Entry, run: Run, job: Job, jobs: Sequence[Job], pods: Sequence[Pod], new: Optional[Set[str]]) -> bool:
    """Whether a Job has ended, and was there while the entry named another. It tells nothing of the process of that one, nor of who has the
    run since.
    """
    if not is_over(old, job.uid, jobs, pods):
        return False
    # If nobody looked, another state of the run may be its own.
    return not is_taken_up(old, run) if new is None else job.uid not in new


def is_of_others(old: Optional[Entry], run: Run, job: Job, jobs: Sequence[Job], pods: Sequence[Pod], new: Optional[Set[str]]) -> bool:
    """Whether the state of a flow run may come from elsewhere than a Job that the entry has not named yet."""
    # The agent creates another Job for a Running run whose task has waited for a retry. Such a run was known here before.
    known = old is not None and old.version == run.version and not old.elsewhere
    if is_over(old or Entry(job.name, job.uid), job.uid, jobs, pods) if new is None else job.uid not in new:
        # It is not new, or ended while nobody looked: a process of the entry's Job may live, or another agent has the run.
        return run.state in ("Submitted", "Running") and not (known and is_over(old, old.uid, jobs, pods))
    return run.state == "Running" and not known


def is_newer(old: Entry, run: Run) -> bool:
    """Whether the state of a flow run cannot come from a process of its Job here."""
    if run.version == old.version:
        return False
    if run.state in ("Scheduled", "Submitted") or run.state == "Running" and not old.started:
        return True
    return run.state in FOLLOWING and run.version > old.version + FOLLOWING[run.state] + old.started


def is_own(old: Optional[Entry], entry: Entry, run: Run, begun: Sequence[Pod], new: Optional[Set[str]]) -> bool:
    """Whether the state of a flow run comes from the process of its Job here. `begun` are the pods in which that is first seen."""
    if any(not pod.over for pod in begun):
        return True
    # The process has ended while nobody looked. Another agent may have the run, unless the Job is new or only its process set states.
    if old is None or old.uid != entry.uid:
        return entry.uid in (new or ())
    return not old.elsewhere and follows(old, run)


def is_undecided(old: Optional[Entry], entry: Entry, run: Run) -> bool:
    """Whether the process of a Job may have begun between the list of pods and the answer of Prefect. The next look decides."""
    if old is None or old.uid != entry.uid or entry.started or entry.gone or old.elsewhere or not entry.elsewhere:
        return False
    return follows(old, run) and old.condition != "cannot-tell"


def follows(old: Entry, run: Run) -> bool:
    """Whether a run that was Submitted can have its state from its own process or a user. An agent takes up only Scheduled runs."""
    return run.version <= old.version + FOLLOWING.get(run.state, 0)


def counted(entry: Entry, old: Optional[Entry], verdict: Verdict, elapsed: int, shows_life: bool) -> Entry:
    """The entry with its observed time brought up to date."""
    marker = digest(verdict.marker) if verdict.condition else ""
    lasts = old is not None and old.uid == entry.uid and old.condition == verdict.condition != ""
    if not lasts or shows_life and heeds_life(verdict):
        rule = entry.rule if verdict.condition == "finished" else ""
        return entry._replace(condition=verdict.condition, observed=0, total=0, pulled=0, marker=marker, rule=rule)
    if old.marker != marker:
        return entry._replace(observed=0, total=entry.total + elapsed, marker=marker, rule="")
    return entry._replace(observed=entry.observed + elapsed, total=entry.total + elapsed)


def goes_on(entry: Entry, run: Run) -> bool:
    """Whether a claim still holds: the run has not changed since, or has changed only to the state that the claim was for."""
    ended = run.version == entry.version + 1 and run.state == STATE_OF.get(entry.rule)
    return run.version == entry.version or ended


def pulling(entry: Entry, containers: int) -> Entry:
    """The entry of a run whose pod pulls images. Each container's pull counts as progress once."""
    return entry._replace(observed=0, pulled=containers) if containers > entry.pulled else entry


# Acting


def decide(observation: Observation, sight: Sight, runs: Dict[str, Run], rules: Rules, limit: int = RUN_AGAIN) -> List[Action]:
    """The actions that are due, by the ledger after this look."""
    actions = []  # type: List[Action]
    for run_id, verdict in observation.verdicts.items():
        entry = observation.ledger.runs[run_id]
        if verdict.condition in RULE_OF and is_due(entry, verdict, rules):
            actions.append(act(entry, verdict, runs[run_id], limit))
    return actions + decide_dask(observation.ledger, sight, runs, rules)


def is_due(entry: Entry, verdict: Verdict, rules: Rules) -> bool:
    delay = delay_of(rules, RULE_OF[verdict.condition])
    if verdict.condition == "finished" and entry.rule:
        return True
    if delay is None:
        return False
    if entry.rule:
        return entry.observed >= CLAIM
    needed = max(delay, verdict.least) + verdict.more
    return entry.observed >= needed or verdict.condition == "unstartable" and entry.total >= RESTARTS * needed


def delay_of(rules: Rules, rule: str) -> Optional[float]:
    return getattr(rules, rule.replace("-", "_"))


def act(entry: Entry, verdict: Verdict, run: Run, limit: int) -> Action:
    rule = RULE_OF[verdict.condition]
    if verdict.condition == "finished":
        return Action(entry.rule or rule, f"its flow run is {run.state}", run, entry, verdict, jobs=verdict.jobs)
    if rule != "lost-runs":
        return Action(rule, verdict.why, run, entry, verdict, STATE_OF[rule], verdict.jobs)
    state, why = after_loss(entry, verdict, limit)
    # The Job of a failed run is left to the agent, which logs the reason, and then to finished-jobs.
    return Action(rule, why, run, entry, verdict, state, verdict.jobs if state == "Scheduled" else ())


def after_loss(entry: Entry, verdict: Verdict, limit: int) -> Tuple[str, str]:
    """The new state of a flow run that has lost its pod, and the reason. It runs again only with proof that the pod was disrupted."""
    known = ends.told(entry.end)
    why = verdict.why if verdict.pod or not known else known
    if entry.on_eviction != "run-again":
        return "Failed", why
    if not ends.had_to_leave(entry.end):
        return "Failed", why if known else f"{why}; nobody saw why, so it does not run again"
    if entry.again - bool(entry.rule) >= limit:
        return "Failed", f"{known}; it was to run again {limit} times already, and may not once more"
    return "Scheduled", str(known)


def confirmed(action: Action, sight: Sight, run: Optional[Run], tasks: Sequence[Task]) -> Optional[Verdict]:
    """The verdict of the second look, or None if anything has changed since the first."""
    entry, before, seen = action.entry, action.verdict, action.run
    if run is None or sight.odd or run.version != seen.version:
        return None
    if action.state == "Scheduled" and not ends.had_to_leave(ends.merged(entry.end, sight.ends.get(entry.uid, ""))):
        return None
    now = judge(entry, run, *cases(Ledger({run.id: entry}), sight).get(run.id, Case([], [])), tasks)
    if now.condition != before.condition or now.marker != before.marker or now.least > before.least or now.more > before.more:
        return None
    if heeds_life(now) and run.heartbeat != seen.heartbeat:
        return None
    return now


def unclear(observation: Observation, rules: Rules) -> Set[str]:
    """The flow runs that may have lost their process, without proof."""
    delay = rules.lost_runs if rules.lost_runs is not None else rules.unstartable_jobs
    entries = ((run_id, observation.ledger.runs[run_id], verdict) for run_id, verdict in observation.verdicts.items())
    return {
        run_id
        for run_id, entry, verdict in entries
        if verdict.condition == "cannot-tell" and delay is not None and entry.observed >= max(delay, verdict.least) + verdict.more
    }


# Dask clusters, object by object


def flow_pod_of(item: DaskObject) -> Optional[Tuple[str, str]]:
    """The pod of the flow run, and its uid if known: from the owner reference, else our label, else a cluster name of our pattern."""
    if item.owner or item.foreign:
        return item.owner
    named = re.match(r"dask-(.+)-[0-9a-f]{8}-[0-9a-f]$", item.cluster)
    name = item.flow_pod or (named.group(1) if named else None)
    return (name, "") if name else None


def job_of(pod: str) -> str:
    return pod.rpartition("-")[0]


def known_flow_pods(ledger: Ledger, runs: Iterable[Entry], sight: Sight) -> Dict[str, Tuple[str, str]]:
    """The pod of the flow run for each Dask object, by uid of the object, if the pod or its Job was ever seen."""
    jobs = {job.name for job in sight.jobs} | {entry.job for entry in (*ledger.runs.values(), *runs)}
    found = ((item.uid, flow_pod_of(item)) for item in sight.dask)
    return {uid: pod for uid, pod in found if pod and (job_of(pod[0]) in jobs or pod[0] in ledger.dask)}


def is_useless(pod: Optional[Pod], uid: str, finished: bool) -> bool:
    """Whether the pod of a flow run has ended or is gone, or is terminating and the run is finished. An empty uid means any."""
    return pod is None or bool(uid) and pod.uid != uid or pod.over or finished and pod.terminating is not None


def is_finished(pod: Optional[Pod], runs: Dict[str, Run]) -> bool:
    run = runs.get(pod.run_id) if pod else None
    return run is not None and run.finished


def lingering(pod: Optional[Pod], uid: str) -> float:
    """How long a terminating pod may still live, in seconds."""
    lives = pod and not pod.over and (not uid or pod.uid == uid)
    return pod.terminating + LINGERING if lives and pod.terminating is not None else 0


def observe_dask(ledger: Ledger, sight: Sight, after: Dict[str, Entry], runs: Dict[str, Run], elapsed: int) -> Dict[str, Wait]:
    pods = {pod.name: pod for pod in sight.pods}
    flow_pods = known_flow_pods(ledger, after.values(), sight)
    ended = {name: uid for name, uid in flow_pods.values() if is_useless(pods.get(name), uid, is_finished(pods.get(name), runs))}
    ended.update((item.name, item.uid) for item in sight.dask if item.finished_worker and item.uid in flow_pods)

    def wait(name: str, uid: str) -> Wait:
        old = ledger.dask.get(name)
        return Wait(uid, old.observed + elapsed if old and old.uid == uid and old.observed != ALIVE else 0)

    # The entry of a run names one Job. The pods of its other Jobs are written down while these Jobs are there.
    last = {entry.job for entry in after.values()}
    alive = {name: Wait(uid, ALIVE) for name, uid in flow_pods.values() if job_of(name) not in last}
    return {**alive, **{name: wait(name, uid) for name, uid in ended.items()}}


def decide_dask(ledger: Ledger, sight: Sight, runs: Dict[str, Run], rules: Rules) -> List[Action]:
    pods = {pod.name: pod for pod in sight.pods}
    flow_pods = known_flow_pods(ledger, (), sight)
    actions = []
    for item in sight.dask:
        name, uid = flow_pods.get(item.uid, ("", ""))
        if not name:
            continue
        pod = pods.get(name)
        wait, worker, finished = ledger.dask.get(name), ledger.dask.get(item.name), is_finished(pod, runs)
        if wait and is_useless(pod, uid, finished) and is_long_enough(rules.orphaned_dask_clusters, wait.observed - lingering(pod, uid)):
            why = f"flow pod {name} has ended or is gone"
            actions.append(Action("orphaned-dask-clusters", why, dask=[item], flow_pod=(name, uid, finished)))
        elif worker and item.finished_worker and is_long_enough(rules.finished_dask_workers, worker.observed):
            actions.append(Action("finished-dask-workers", "it has ended", dask=[item]))
    return actions


def is_long_enough(delay: Optional[float], observed: float) -> bool:
    return delay is not None and observed >= delay
