"""What a sweeper makes of what it sees. Nothing here talks to anybody; times are in seconds since the epoch, by the sweeper's clock."""

import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Set


class Rules(NamedTuple):
    """How long each condition lasts before its rule acts, in seconds. None: the rule is off."""

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
    # When Kubernetes began with it, by the API server's clock.
    started: float
    on_eviction: str = ""
    # The agent keeps finished Jobs.
    kept: bool = False
    # When Kubernetes ends it, if it does.
    deadline: Optional[float] = None
    # Complete or failed: it makes no more pods.
    finished: bool = False
    # Somebody holds it back: it has no pods on purpose.
    suspended: bool = False
    # It has been deleted, but is still there.
    deleted: bool = False


class Pod(NamedTuple):
    name: str
    uid: str
    job_uid: Optional[str]
    finished: bool = False
    # Why it has not started, or why it failed, in the words of Kubernetes.
    waiting: Optional[str] = None
    failed: Optional[str] = None
    # It had to leave its node.
    disrupted: bool = False


class DaskObject(NamedTuple):
    kind: str
    name: str
    uid: str
    cluster: str
    # The flow run's pod, by the label of our templates.
    flow_pod: Optional[str] = None
    finished_worker: bool = False


class Run(NamedTuple):
    id: str
    state: str
    finished: bool
    version: int
    # As Prefect says it. It is only compared with itself, so that no two clocks need to agree.
    heartbeat: Optional[str] = None


class Sight(NamedTuple):
    """What there is in a namespace. Dask objects are listed first: the flow pod of each is in the list of pods, unless it has gone."""

    dask: Sequence[DaskObject] = ()
    jobs: Sequence[Job] = ()
    pods: Sequence[Pod] = ()


class Entry(NamedTuple):
    """What the ledger knows of a flow run that has, or had, a Job here."""

    job: str
    uid: str
    on_eviction: str = ""
    deadline: Optional[float] = None
    # The Job makes no more pods, or is gone, and no pod of it is left that runs.
    gone: bool = False
    version: int = 0
    # Only of a run whose Job is gone: something may still show life, on a node that Kubernetes has lost; or a task of it waits, for which
    # the agent makes another Job when it is time, without a change of the run's own state.
    heartbeat: Optional[str] = None
    waiting: bool = False
    # Since when it is as it is here.
    since: float = 0
    # The rule by which a sweeper last set out to end the run, and when: another one then waits, and one that is killed goes on.
    rule: Optional[str] = None
    claimed: float = 0


Ledger = Dict[str, Entry]

# How long the ledger keeps a flow run that has no Job here and that Prefect does not know or somebody else has taken up.
FORGOTTEN = 24 * 60 * 60
# How long a sweeper has for what it set out to do.
CLAIM = 30


class Action(NamedTuple):
    rule: str
    why: str
    # The flow run that gets a state.
    run: Optional[Run] = None
    state: Optional[str] = None
    entry: Optional[Entry] = None
    # What is deleted.
    jobs: Sequence[Job] = ()
    dask: Sequence[DaskObject] = ()
    # The pod that must still wait.
    pod: Optional[Pod] = None


def remember(ledger: Ledger, sight: Sight, runs: Dict[str, Run], waiting: Set[str], now: float) -> Ledger:
    """The ledger after a look, at flow runs of which some have a task that waits."""
    alive = {pod.job_uid for pod in sight.pods if not pod.finished}
    with_dask = {job_of(pod) for pod in map(flow_pod_of, sight.dask) if pod}
    # The youngest of those that may still run, else the youngest.
    jobs = {job.run_id: job for job in sorted(sight.jobs, key=lambda job: (job.uid in alive or not job.finished, job.started, job.uid))}
    after = {}
    for run_id in sorted(set(ledger) | set(jobs)):
        run, job, old = runs.get(run_id), jobs.get(run_id), ledger.get(run_id)
        if job and old and old.uid != job.uid:
            old = None
        if old and not job and old.uid not in alive and now - old.since >= FORGOTTEN:
            continue
        if run is None:
            # Another tenant's, deleted in Prefect, or missing in this one answer.
            if old:
                after[run_id] = old
            continue
        seen = Entry(job.name, job.uid, job.on_eviction, job.deadline) if job else old
        gone = seen.uid not in alive and (job is None or job.finished)
        heartbeat = run.heartbeat if gone else None
        seen = seen._replace(gone=gone, version=run.version, heartbeat=heartbeat, waiting=gone and run_id in waiting, since=now)
        if old and old.gone and gone and is_taken_up(old, run):
            seen = old
        elif old:
            same = all(getattr(seen, field) == getattr(old, field) for field in ("gone", "version", "heartbeat", "waiting"))
            rule = old.rule if run.finished or run.version == old.version else None
            seen = seen._replace(since=old.since if same else now, rule=rule, claimed=old.claimed if rule else 0)
        if not run.finished or job or seen.uid in alive or seen.job in with_dask:
            after[run_id] = seen
    return after


def is_taken_up(entry: Entry, run: Run) -> bool:
    """Whether somebody else has the flow run now: more has happened to it than that it was ended or cancelled."""
    cancelled = run.state == "Cancelling" and run.version == entry.version + 1
    return run.version != entry.version and not run.finished and not cancelled


def decide(ledger: Ledger, sight: Sight, runs: Dict[str, Run], rules: Rules, now: float) -> List[Action]:
    """What to do, by a ledger that remembers this look."""
    pods = {}  # type: Dict[Optional[str], List[Pod]]
    for pod in sight.pods:
        pods.setdefault(pod.job_uid, []).append(pod)
    jobs = {}  # type: Dict[str, List[Job]]
    for job in sight.jobs:
        jobs.setdefault(job.run_id, []).append(job)
    actions = []  # type: List[Action]
    for run_id, entry in ledger.items():
        if run_id in runs:
            actions += of_run(entry, runs[run_id], jobs.get(run_id, []), pods, rules, now)
    return actions + of_dask(ledger, sight, rules)


def of_run(entry: Entry, run: Run, jobs: List[Job], pods: Dict[Optional[str], List[Pod]], rules: Rules, now: float) -> Iterable[Action]:
    def is_active(job: Job) -> bool:
        return not job.finished or any(not pod.finished for pod in pods.get(job.uid, []))

    age = now - entry.since
    removable = [job for job in jobs if not job.deleted and (is_active(job) or not job.kept)]
    if run.finished:
        for job in removable:
            # Set out to, by one that was killed perhaps.
            begun = entry.rule in ("cancelling-runs", "unstartable-jobs") and job.uid == entry.uid
            if begun or due(rules.finished_jobs, age):
                yield Action(str(entry.rule) if begun else "finished-jobs", f"its flow run is {run.state}", jobs=[job])
    elif entry.rule and now - entry.claimed < CLAIM:
        return
    elif run.state == "Cancelling":
        if due(rules.cancelling_runs, age) and not is_taken_up(entry, run):
            yield Action("cancelling-runs", "it did not end", run, "Cancelled", entry, removable)
    elif run.state not in ("Submitted", "Running"):
        return
    elif entry.gone:
        if due(rules.lost_runs, age) and run.version == entry.version and not entry.waiting:
            yield lost(entry, run, pods.get(entry.uid, []))
    else:
        active = [job for job in jobs if is_active(job)]
        started = [pod for job in active for pod in pods.get(job.uid, []) if not pod.waiting]
        held = any(job.suspended or job.deleted for job in active)
        if active and not started and not held and due(rules.unstartable_jobs, now - max(job.started for job in active)):
            pod = next(iter(pods.get(entry.uid, [])), None)
            why = pod.waiting if pod else "there is no pod"
            yield Action("unstartable-jobs", str(why), run, "Failed", entry, active, pod=pod)


def lost(entry: Entry, run: Run, pods: List[Pod]) -> Action:
    failed = next((pod for pod in pods if pod.failed), None)
    late = entry.deadline is not None and entry.since >= entry.deadline
    again = entry.on_eviction == "run-again" and not late and (failed is None or failed.disrupted)
    if failed:
        why = f"pod {failed.name} failed: {failed.failed}"
    else:
        why = "it took longer than activeDeadlineSeconds" if late else "it and its pods have ended, were evicted or deleted"
    return Action("lost-runs", why, run, "Scheduled" if again else "Failed", entry)


def of_dask(ledger: Ledger, sight: Sight, rules: Rules) -> List[Action]:
    known = {job.name for job in sight.jobs} | {entry.job for entry in ledger.values()}
    alive = {pod.name for pod in sight.pods if not pod.finished}
    clusters = {}  # type: Dict[str, List[DaskObject]]
    for item in sight.dask:
        clusters.setdefault(item.cluster, []).append(item)
    actions = []
    for items in clusters.values():
        flow_pod = next(filter(None, map(flow_pod_of, items)), None)
        if flow_pod is None or job_of(flow_pod) not in known:
            continue
        if flow_pod in alive:
            if rules.finished_dask_workers is not None:
                actions += [Action("finished-dask-workers", "it has ended", dask=[item]) for item in items if item.finished_worker]
        elif rules.orphaned_dask_clusters is not None:
            actions.append(Action("orphaned-dask-clusters", f"flow pod {flow_pod} has ended or is gone", dask=items))
    return actions


def flow_pod_of(item: DaskObject) -> Optional[str]:
    """The flow run's pod, by label or by the name that `DASK_KUBERNETES__NAME` gives to each cluster."""
    named = re.match(r"dask-(.+)-[0-9a-f]{8}-[0-9a-f]$", item.cluster)
    return item.flow_pod or (named.group(1) if named else None)


def job_of(pod: str) -> str:
    return pod.rpartition("-")[0]


def due(delay: Optional[float], age: float) -> bool:
    return delay is not None and age >= delay
