"""Generated histories of agents, Jobs, pods, flow runs, ledgers and answers, against a model that knows the truth: which processes live.

Two pods of one sweeper and one of another, with a ledger of its own, are at work in the namespace.

Safety: no healthy run is ended, started twice or loses an object, given everything that had reached Prefect before the sweeper's last look;
where Prefect locks versions, whatever happens. A run runs again only if its pod had to leave, and as often as it may.

Liveness: each dead run is ended, and each leftover removed, within the bound of its rule in observed time and two successful passes. Where
nothing here shows that a run has ended, it is counted instead as one of which the sweeper cannot tell.

CI takes a sample of histories, the same each time; FULL=1 takes 20,000, new ones.
"""

import logging
import os
from collections import Counter
from random import Random

import pytest
from errors import Conflict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lease import NAME as LEASE
from rules import LINGERING, RESTARTS, STATE_OF, SUBMITTED, ZOMBIE_KILLER
from world import FINAL, INTERVAL, NAMESPACE, RULES, World, ledger

FULL = bool(os.environ.get("FULL"))
# A flow run shows life so often, in seconds.
BEAT = 30
GRACE = 30
# How often a run may run again here.
LIMIT = 2
# The sweepers by name: two pods of one, and one of another.
SWEEPERS = ["sweeper", "sweeper", "other"]
# How often each kind of event happens at least in the sample.
ENOUGH = 3
# How many successful passes more than its delay a rule may take.
MORE = 2

# Each kind of event of a history. What is counted is one of these, so that none can be misspelt.
KINDS = """
    flow submitted with heartbeats, flow submitted without heartbeats, only heartbeat sent, job suspended, pod gated, job with a native
    sidecar, job with an injected proxy, job with an init container, job of a stock agent, job let go, gate removed, init container started,
    init container ended, pull started, pull failed, flow started, flow started elsewhere, flow started by a stock agent here, flow installs
    packages, flow succeeded, flow failed, flow killed with its proxy left, pod failed and left, pod evicted, job deleted, job deleted in
    the foreground, pod orphaned, node lost with a living process, node lost with a dead process, node lost with an init container at work,
    flow ended right after a pass, retry taken up elsewhere without heartbeats, ghost ended, process died elsewhere, task
    retrying, task submitted, task paused, task may be retried, retry taken up, zombie killer, lazarus here, lazarus elsewhere, run
    cancelling, run cancelling hangs, run set final, run unknown, dask cluster of a flow, dask worker of a shared name, notebook's dask
    cluster, dask worker ended, job forged pending, job forged failed, dask object forged, ledger entry edited, ledger entry swapped, ledger
    entry deleted, ledger deleted, ledger applied again, sweeper started anew, sweeper stopped, answer slow, machine slept, call failed,
    answer lost, answer of a state lost, state repeated on its way, state late on its way, sweeper killed before a call, sweeper killed
    after a call, sweeper killed before it sets a state, sweeper killed after it sets a state, something happened within a pass, run set
    within a pass, another sweeper within a pass, lease deleted, lease taken by somebody, watch forgets, time passed, passes made, state set
    to Cancelled, state set to Failed, state set to Scheduled, job deleted by a sweeper, dask object deleted by a sweeper, cannot tell,
    limit of runs again reached
"""
KINDS = [" ".join(kind.split()) for kind in KINDS.split(",")]
HAPPENED = Counter()


def happened(kind):
    assert kind in KINDS, kind
    HAPPENED[kind] += 1


class Truth:
    """What is true of a flow run, whoever knows."""

    def __init__(self, beats):
        self.beats = beats
        # Its process has yet to send the heartbeat with which each begins, also without heartbeats.
        self.begins = False
        # Where its process lives: "pod", "ghost" (its pod is gone, it is not), "stock" (a stock agent's pod here), "elsewhere", or nowhere.
        self.process = None
        self.pod = None
        # The last of its Jobs that is ours.
        self.job = None
        # When it last showed life, made progress, or changed its state.
        self.last = 0.0
        # When progress first began since it waits on nobody else.
        self.begun = 0.0
        self.finished = None
        self.cancelling = None
        self.by_sweeper = False
        # Another agent had it last: what becomes of it there is not this sweeper's.
        self.theirs = False
        # The ledger was edited, or Prefect does not know it: what is lost then may stay.
        self.excused = False
        # How each of its Jobs ended first, by uid: "left" if its pod had to leave. And which sweepers knew the Job by then.
        self.ends, self.known_by = {}, {}
        # How often each sweeper has scheduled it again.
        self.again = Counter()


EVENTS = []


def event(weight=1, **choices):
    """What may happen in a history, so much more often than others; with one of each of these choices."""

    def register(method):
        EVENTS.append((method, weight, choices))
        return method

    return register


class History:
    def __init__(self, version_locking, seed):
        # Those with a flow run of their own, and those that are retries.
        self.jobs = []
        self.world = World(version_locking)
        self.world.on_delete = self.judged(self.judge_delete)
        self.world.on_set_run = self.judged(self.judge_state)
        self.world.on_set_tasks = self.judged(self.judge_tasks)
        # What a sweeper did wrong. It would take an exception for an error of Kubernetes, and go on.
        self.wrong = []
        self.random = Random(seed)
        # In each history other things happen often.
        self.weights = [weight * self.random.choice([0.3, 1, 1, 1, 1, 5]) for _, weight, _ in EVENTS]
        self.sweepers = []
        for which, name in enumerate(SWEEPERS):
            self.world.make_ledger(f"{name}-ledger-flows")
            self.sweepers.append(self.new_sweeper(which))
        self.truths = {}
        # Jobs by uid: those that are ours, and those that somebody forged.
        self.ours, self.forged = {}, {}
        # The flow pod of each Dask object by uid; None of a notebook.
        self.dask = {}
        # Names of Jobs that each sweeper has seen.
        self.known = {name: set() for name in SWEEPERS}
        # Dask objects by uid that each has seen together with the Job of their flow.
        self.seen = {name: set() for name in SWEEPERS}

    def new_sweeper(self, which):
        return self.world.sweeper(name=SWEEPERS[which], ahead=self.random.choice([-1e6, 0, 1e6]), run_again_limit=LIMIT)

    def ledger_of(self, which):
        return f"{SWEEPERS[which]}-ledger-flows"

    def data_of(self, which):
        return self.world.objects["ConfigMap"].get(self.ledger_of(which), {}).get("data", {})

    # The judge

    def judged(self, judge):
        def judging(*what):
            try:
                judge(*what)
            except AssertionError as error:
                self.wrong.append(error)
                raise

        return judging

    def judge_delete(self, kind, item):
        metadata = item["metadata"]
        if "dask.org/cluster-name" in metadata["labels"]:
            happened("dask object deleted by a sweeper")
            flow_pod = self.dask[metadata["uid"]]
            assert flow_pod is not None, "a Dask object of a notebook was deleted"
            states = {run_id: run["state"] for run_id, run in self.world.runs.items()}
            alive = any(
                truth.process in ("pod", "stock") and truth.pod == flow_pod and states[run_id] not in FINAL
                for run_id, truth in self.truths.items()
            )
            ended = kind == "Pod" and item["status"]["phase"] in ("Succeeded", "Failed")
            assert not alive or ended and metadata["labels"].get("dask.org/component") == "worker", f"{kind} of a live Dask cluster"
            return
        assert kind == "Job", f"a {kind} that is none of Dask's was deleted"
        happened("job deleted by a sweeper")
        if metadata["uid"] in self.forged:
            return
        run_id = self.ours.get(metadata["uid"])
        assert run_id, "a foreign Job was deleted"
        run, truth = self.world.runs[run_id], self.truths[run_id]
        if truth.ends.get(metadata["uid"]) == "left" and run["state"] not in FINAL and not item["status"].get("conditions"):
            # The run is about to run again, in another Job. This one would start another pod.
            assert truth.process is None and metadata["labels"].get("cdk8s-prefect/on-eviction") == "run-again"
            return
        if truth.again and truth.ends.get(metadata["uid"]) == "left" and item["status"].get("conditions"):
            # The run runs again, in another Job.
            return
        assert run["state"] in FINAL, f"the Job of a run that is {run['state']} was deleted"
        # It cannot know its own state, of which it heard no answer, from the same one of somebody else.
        entry = ledger(self.world, f"{self.world.at_work}-ledger-flows").get(run_id)
        own = truth.by_sweeper or entry and STATE_OF.get(entry.rule) == run["state"]
        assert own or self.world.time - truth.finished >= RULES.finished_jobs, "a Job was deleted before its time"
        pods = self.world.pods_of(item)
        ended = item["status"].get("conditions") and all(pod["status"]["phase"] in ("Succeeded", "Failed") for pod in pods)
        assert not (metadata["labels"].get("cdk8s-prefect/finished-jobs") == "keep" and ended), "a Job that is to be kept was deleted"
        if truth.process == "pod":
            truth.process = None

    def judge_state(self, run_id, state):
        run, truth, now = self.world.runs[run_id], self.truths[run_id], self.world.time
        if self.world.repeating and run["state"] == state:
            return
        if self.world.arriving is not None:
            sent, runs = self.world.arriving
            if truth.process or truth.last >= sent or runs[run_id] != run:
                # What happened while it was on its way, only version locking can see, if it is a new version.
                raise Conflict("too late")
        happened(f"state set to {state}")
        assert run_id in self.ours.values() or run_id in self.forged.values(), "a run without a Job here got a state"
        if state == "Cancelled":
            assert run["state"] == "Cancelling" and now - truth.cancelling >= RULES.cancelling_runs, "cancelled before its time"
            # Without heartbeats, a run that somebody has cancelled is not known to be another agent's.
            assert truth.process != "elsewhere" or not truth.beats, "a run that another agent has was cancelled"
        else:
            assert truth.process is None, f"a run with a living process ({truth.process}) was set to {state}"
            assert run["state"] in ("Submitted", "Running")
            tasks = [task["state"] for task in run["tasks"]]
            own = [job for job in self.world.objects["Job"].values() if self.ours.get(job["metadata"]["uid"]) == run_id]
            starting = [job for job in own if self.may_start(job)]
            if starting:
                assert state == "Failed", "a run was scheduled beside a pod that may start"
                assert not any(self.is_held(job) for job in starting), "a run was ended whose Job somebody holds back"
                waited = now - truth.last >= RULES.unstartable_jobs or now - truth.begun >= RESTARTS * RULES.unstartable_jobs
                assert waited, "a run was ended that may start in time"
            else:
                assert not {"Retrying", "Paused"} & set(tasks), "a task of it was waiting"
                assert now - truth.last >= RULES.lost_runs, "a run was ended before its time"
                if any(task["state"] == "Running" and task["may_retry"] for task in run["tasks"]):
                    assert now - truth.last >= ZOMBIE_KILLER, "Prefect would have retried a task"
                if "Submitted" in tasks:
                    assert now - truth.last >= SUBMITTED, "an agent was about to take up a task"
        if state == "Scheduled":
            assert all(job["status"].get("conditions") for job in own), "a run was scheduled beside a Job that would start another pod"
            self.judge_again(run_id)
        truth.by_sweeper = True
        truth.last = now
        if state in FINAL:
            truth.finished = now
            if truth.again[self.world.at_work] == LIMIT:
                happened("limit of runs again reached")

    def judge_tasks(self, ids):
        owners = [run_id for run_id, run in self.world.runs.items() if ids & {task["id"] for task in run["tasks"]}]
        alive = [run_id for run_id in owners if self.truths[run_id].process]
        if alive and self.world.arriving is not None:
            # What has happened while it was on its way, nobody could see.
            raise Conflict("too late")
        assert not alive, "tasks of a living process got a state"

    def judge_again(self, run_id):
        truth, name = self.truths[run_id], self.world.at_work
        left = [uid for uid, end in truth.ends.items() if end == "left"]
        policies = {job["metadata"]["uid"]: job["metadata"]["labels"].get("cdk8s-prefect/on-eviction") for job in self.jobs}
        assert any(policies[uid] == "run-again" for uid in left), f"a run runs again whose Jobs ended so: {truth.ends}"
        truth.again[name] += 1
        assert truth.excused or truth.again[name] <= LIMIT, "a run runs again more often than it may"

    def may_start(self, job):
        if job["status"].get("conditions") or job["metadata"].get("deletionTimestamp"):
            return False
        pods = self.world.pods_of(job)
        return not pods or any(pod["status"]["phase"] == "Pending" for pod in pods)

    def created(self, job):
        return job["metadata"]["creationTimestamp"], job["metadata"]["uid"]

    def is_held(self, job):
        return job["spec"].get("suspend") or any(map(self.is_held_back, self.world.pods_of(job)))

    def is_held_back(self, pod):
        """Whether somebody holds it back. Of a lost node nobody hears what its containers do."""
        return not pod["metadata"].get("deletionTimestamp") and (self.gated(pod) or self.at_init(pod) == "running")

    # What the world is like

    def run_of(self, job):
        return job["metadata"]["labels"]["prefect.io/flow_run_id"]

    def truth_of(self, job):
        return self.truths[self.run_of(job)]

    def pod_of(self, job, *phases):
        """Its pod, unless it is being deleted."""
        pods = [pod for pod in self.world.pods_of(job) if not pod["metadata"].get("deletionTimestamp")]
        return pods[0] if pods and pods[0]["status"]["phase"] in phases else None

    def gated(self, pod):
        return any(condition.get("reason") == "SchedulingGated" for condition in pod["status"].get("conditions", []))

    def at_init(self, pod):
        statuses = [each for each in pod["status"].get("initContainerStatuses", []) if each["name"] == "init"]
        return next(iter(statuses[0]["state"])) if statuses else None

    def set(self, run_id, state):
        self.world.set(run_id, state)
        truth = self.truths[run_id]
        truth.last = self.world.time
        truth.finished = self.world.time if state in FINAL else None
        truth.by_sweeper = False
        truth.cancelling = self.world.time if state == "Cancelling" else None

    def progress(self, run_id, anew=False):
        truth = self.truths[run_id]
        truth.last = self.world.time
        if anew:
            truth.begun = self.world.time

    def live(self, run_id, place, pod=None, state="Running"):
        truth = self.truths[run_id]
        assert truth.process is None
        truth.process, truth.pod = place, pod and pod["metadata"]["name"]
        # A stock agent here may take up what another agent has had.
        truth.theirs = place == "elsewhere" or place == "stock" and truth.theirs
        truth.begins = not truth.beats
        if self.world.runs[run_id]["state"] != state:
            self.set(run_id, state)
        truth.last = self.world.time

    def die(self, run_id):
        truth = self.truths[run_id]
        truth.process = truth.pod = None
        truth.last = self.world.time

    def ends_so(self, job, how):
        """What ends a Job first is why it ended."""
        uid, name = job["metadata"]["uid"], job["metadata"]["name"]
        self.truth_of(job).ends.setdefault(uid, how)
        self.truth_of(job).known_by.setdefault(uid, {sweeper for sweeper in SWEEPERS if name in self.known[sweeper]})

    def finish(self, run_id, state):
        if self.world.runs[run_id]["state"] not in FINAL:
            self.set(run_id, state)

    # What agents and Kubernetes do

    @event(
        beats=[False, True],
        policy=["", "fail", "run-again"],
        kept=[False, True],
        stamped=[True, True, True, False],
        extras=[
            (),
            (),
            (),
            ("proxy",),
            ("proxy",),
            ("suspended",),
            ("gated",),
            ("sidecar",),
            ("init",),
            ("proxy", "init"),
            ("gated", "sidecar"),
        ],
        may_retry=[False, True],
    )
    def submit(self, beats, policy, kept, stamped, extras, may_retry):
        if len(self.truths) < 4:
            self.submit_run(beats, policy, kept, stamped, extras, may_retry)

    def submit_run(self, beats=True, policy="", kept=False, stamped=True, extras=(), may_retry=False):
        run_id = self.world.schedule(tasks=2)
        self.truths[run_id] = Truth(beats)
        happened("flow submitted with heartbeats" if beats else "flow submitted without heartbeats")
        if may_retry:
            self.world.runs[run_id]["tasks"][0]["may_retry"] = True
            happened("task may be retried")
        return self.make_job(run_id, policy=policy, kept=kept, stamped=stamped, extras=extras)

    def make_job(self, run_id, again=False, extras=(), stamped=True, **options):
        if not again:
            self.set(run_id, "Submitted")
        job = self.world.submit(run_id, options.get("policy", ""), stamped, options.get("kept", False), again=True)
        if stamped:
            self.ours[job["metadata"]["uid"]] = run_id
            self.truths[run_id].job = job["metadata"]["name"]
        else:
            happened("job of a stock agent")
        self.progress(run_id, anew=True)
        self.truths[run_id].theirs &= not stamped
        pod = self.world.pods_of(job)[0]
        if "suspended" in extras:
            job["spec"]["suspend"] = True
            del self.world.objects["Pod"][pod["metadata"]["name"]]
            happened("job suspended")
            self.jobs.append(job)
            return job
        pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "True"}]
        if "gated" in extras:
            pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]
            happened("pod gated")
        if "init" in extras:
            pod["status"]["initContainerStatuses"] = [{"name": "init", "state": {"waiting": {}}}]
            happened("job with an init container")
        if "sidecar" in extras:
            pod["spec"]["initContainers"] = [{"name": "sidecar", "restartPolicy": "Always"}]
            pod["status"].setdefault("initContainerStatuses", []).append({"name": "sidecar", "state": {"running": {}}})
            happened("job with a native sidecar")
        if "proxy" in extras:
            pod["spec"]["containers"].insert(0, {"name": "proxy"})
            pod["status"]["containerStatuses"] = [{"name": "proxy", "state": {"running": {}}}, {"name": "flow", "state": {"waiting": {}}}]
            happened("job with an injected proxy")
        self.jobs.append(job)
        return job

    @event(3)
    def job_is_let_go(self, job):
        # Kubernetes makes no pod for a Job that is being deleted.
        if job["spec"].pop("suspend", None) and self.is_there(job) and not job["metadata"].get("deletionTimestamp"):
            self.world.pod_of(job)["status"] = {"phase": "Pending"}
            self.progress(self.run_of(job), anew=True)
            happened("job let go")

    def is_there(self, job):
        return self.world.objects["Job"].get(job["metadata"]["name"]) is job

    @event(3)
    def gate_is_removed(self, job):
        pod = self.pod_of(job, "Pending")
        if pod and self.gated(pod):
            pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "True"}]
            self.progress(self.run_of(job), anew=True)
            happened("gate removed")

    @event(4)
    def init_container_goes_on(self, job):
        pod = self.pod_of(job, "Pending")
        now = pod and not self.gated(pod) and self.at_init(pod)
        if now in ("waiting", "running"):
            status = next(each for each in pod["status"]["initContainerStatuses"] if each["name"] == "init")
            status["state"] = {"running": {}} if now == "waiting" else {"terminated": {"exitCode": 0}}
            # While it is at work, somebody holds the flow back.
            self.progress(self.run_of(job), anew=True)
            happened("init container started" if now == "waiting" else "init container ended")

    @event(fails=[False, True])
    def image_is_pulled(self, job, fails):
        pod = self.pod_of(job, "Pending")
        if pod:
            about = {"uid": pod["metadata"]["uid"], "fieldPath": "spec.containers{flow}"}
            reason = "Failed" if fails else "Pulling"
            self.world.add("Event", f"event-{self.world.number()}", {}, involvedObject=about, reason=reason, type="Normal")
            happened("pull failed" if fails else "pull started")

    @event(12, installs=[False, False, False, True])
    def flow_starts(self, job, installs):
        self.start(job, installs)

    def start(self, job, installs=False):
        run_id = self.run_of(job)
        pod, truth = self.pod_of(job, "Pending"), self.truths[run_id]
        ready = pod and not self.gated(pod) and self.at_init(pod) in (None, "terminated")
        ours = job["metadata"]["uid"] in self.ours or not job["metadata"]["labels"].get("cdk8s-prefect/job-template")
        if ready and ours and truth.process is None and self.world.runs[run_id]["state"] == "Submitted":
            self.container(pod, {"running": {}})
            pod["status"]["phase"] = "Running"
            place = "pod" if job["metadata"]["uid"] in self.ours else "stock"
            self.live(run_id, place, pod, "Submitted" if installs else "Running")
            if installs:
                happened("flow installs packages")
                return
            self.world.runs[run_id]["tasks"][0]["state"] = "Running"
            happened("flow started" if place == "pod" else "flow started by a stock agent here")

    def container(self, pod, state):
        others = [each for each in pod["status"].get("containerStatuses", []) if each["name"] != "flow"]
        pod["status"]["containerStatuses"] = [*others, {"name": "flow", "state": state}]

    @event(state=["Success", "Failed"])
    def flow_ends(self, job, state):
        run_id, pod = self.run_of(job), self.pod_of(job, "Running")
        if pod and self.truths[run_id].pod == pod["metadata"]["name"]:
            self.finish(run_id, state)
            self.die(run_id)
            self.container(pod, {"terminated": {"exitCode": 0}})
            self.ends_so(job, "complete")
            happened("flow succeeded" if state == "Success" else "flow failed")
            if not any("running" in each["state"] for each in pod["status"]["containerStatuses"]):
                pod["status"]["phase"] = "Succeeded"
                self.world.end_job(job, "Complete")

    @event(0.7, which=[0, 2])
    def flow_is_evicted_again_and_again(self, which):
        if len(self.truths) >= 4:
            return
        run_id = self.run_of(self.submit_run(policy="run-again"))
        for _ in range(LIMIT + 1):
            self.start(self.jobs[-1])
            self.make_passes(which, 3)
            self.pod_fails(self.jobs[-1], "evicted")
            self.make_passes(which, 6)
            if self.world.runs[run_id]["state"] != "Scheduled":
                return
            self.take_up(run_id, here=True, policy="run-again")

    @event(0.7, which=[0, 2], kept=[False, True], waits=[90, 300, 900], submitted=[0, 30, 120])
    def another_agent_takes_up_a_retry(self, which, kept, waits, submitted):
        """Of a run without heartbeats whose first process ended here."""
        if len(self.truths) >= 4:
            return
        job = self.submit_run(beats=False, kept=kept)
        run_id = self.run_of(job)
        self.start(job)
        self.make_passes(which, 3)
        self.task_waits(job, "Retrying")
        self.make_passes(which, waits // INTERVAL)
        self.task_goes_on(job, "Submitted")
        self.make_passes(which, submitted // INTERVAL)
        self.retry_is_taken_up(job, "elsewhere")
        if self.truths[run_id].process:
            self.make_passes(which, 12)

    @event(2, how=["left", "evicted", "killed", "killed", "killed"])
    def pod_fails(self, job, how):
        run_id, pod = self.run_of(job), self.pod_of(job, "Running", "Pending")
        truth = self.truths[run_id]
        if not pod or not self.is_there(job):
            return
        dies = truth.pod == pod["metadata"]["name"] and truth.process in ("pod", "stock")
        was_over = job["metadata"]["uid"] in truth.ends
        proxy = any(each["name"] == "proxy" for each in pod["status"].get("containerStatuses", []))
        if how == "killed":
            if not (dies and proxy):
                return
            self.container(pod, {"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
            self.ends_so(job, "failed")
            happened("flow killed with its proxy left")
        elif how == "left":
            pod["status"]["phase"] = "Failed"
            self.container(pod, {"terminated": {"exitCode": 1}})
            self.world.end_job(job, "Failed")
            self.ends_so(job, "failed")
            happened("pod failed and left")
        else:
            self.world.evict(job)
            self.ends_so(job, "left")
            happened("pod evicted")
        if dies:
            self.die(run_id)
        elif truth.process is None and not was_over and not truth.theirs:
            self.progress(run_id)

    @event(2, how=["deleted", "deleted", "foreground", "orphaned"], lives_on=[False, True, True])
    def job_is_deleted(self, job, how, lives_on):
        run_id = self.run_of(job)
        truth = self.truths[run_id]
        if not self.is_there(job):
            return
        mine = [pod for pod in self.world.pods_of(job) if truth.pod == pod["metadata"]["name"]]
        # It does not delay the end of a run that another agent had.
        if truth.process is None and job["metadata"]["uid"] not in truth.ends and not truth.theirs:
            self.progress(run_id, anew=True)
        self.ends_so(job, "deleted")
        if how == "orphaned":
            for pod in self.world.pods_of(job):
                pod["metadata"]["ownerReferences"] = []
            del self.world.objects["Job"][job["metadata"]["name"]]
            happened("pod orphaned")
        elif how == "foreground":
            job["metadata"]["deletionTimestamp"] = self.world.stamp()
            for pod in self.world.pods_of(job):
                pod["metadata"].update(deletionTimestamp=self.world.stamp(), deletionGracePeriodSeconds=GRACE)
            happened("job deleted in the foreground")
            if mine and not lives_on:
                self.die(run_id)
        else:
            self.world.delete_job(job)
            happened("job deleted")
            # Without heartbeats, and with a Job that nobody has seen, nobody could know of it.
            unseen = not truth.beats and not any(job["metadata"]["name"] in known for known in self.known.values())
            if mine and lives_on and truth.process == "pod" and not unseen:
                truth.process = "ghost"
            elif mine:
                self.die(run_id)

    @event(3, lives_on=[False, True])
    def node_is_lost(self, job, lives_on):
        """Its pod is being deleted for ever, and nobody says whether the process lives."""
        pod, truth = self.pod_of(job, "Running", "Pending"), self.truth_of(job)
        if pod and self.at_init(pod) == "running" and not self.gated(pod):
            pod["metadata"].update(deletionTimestamp=self.world.stamp(), deletionGracePeriodSeconds=GRACE)
            self.progress(self.run_of(job), anew=True)
            happened("node lost with an init container at work")
        elif pod and truth.pod == pod["metadata"]["name"] and truth.process == "pod":
            pod["metadata"].update(deletionTimestamp=self.world.stamp(), deletionGracePeriodSeconds=GRACE)
            pod["status"].setdefault("conditions", []).append({"type": "DisruptionTarget", "status": "True"})
            self.ends_so(job, "left")
            happened("node lost with a living process" if lives_on else "node lost with a dead process")
            if not lives_on:
                self.die(self.run_of(job))
            elif not truth.beats:
                # Nobody could know more of it than that it is being deleted.
                self.world.objects["Job"].pop(job["metadata"]["name"], None)

    @event(8)
    def process_ends_unseen(self, job):
        truth = self.truth_of(job)
        if truth.process in ("ghost", "elsewhere"):
            happened("ghost ended" if truth.process == "ghost" else "process died elsewhere")
            self.die(self.run_of(job))

    @event(state=["Retrying", "Paused"])
    def task_waits(self, job, state):
        """The flow ends, and somebody takes it up when the time of the task has come."""
        run = self.world.runs[self.run_of(job)]
        if run["state"] == "Running" and self.truth_of(job).process:
            run["tasks"][1].update(state=state, version=run["tasks"][1]["version"] + 1)
            truth, pod = self.truth_of(job), self.pod_of(job, "Running")
            if pod and truth.pod == pod["metadata"]["name"]:
                self.die(self.run_of(job))
                self.container(pod, {"terminated": {"exitCode": 0}})
                pod["status"]["phase"] = "Succeeded"
                self.world.end_job(job, "Complete")
                self.ends_so(job, "complete")
            truth.last = self.world.time
            happened("task retrying" if state == "Retrying" else "task paused")

    @event(4, state=["Submitted", "Submitted", "Success"])
    def task_goes_on(self, job, state):
        run = self.world.runs[self.run_of(job)]
        if run["tasks"][1]["state"] in ("Retrying", "Paused") and run["state"] == "Running":
            run["tasks"][1].update(state=state, version=run["tasks"][1]["version"] + 1)
            self.truth_of(job).last = self.world.time
            if state == "Submitted":
                happened("task submitted")

    @event(12, place=["here", "stock", "elsewhere"])
    def retry_is_taken_up(self, job, place):
        """A run that is Running gets another Job, and no other state."""
        run_id = self.run_of(job)
        run, truth = self.world.runs[run_id], self.truths[run_id]
        if run["state"] == "Running" and truth.process is None and run["tasks"][1]["state"] == "Submitted" and self.is_alone(run_id):
            if place == "elsewhere":
                # Without heartbeats, only a sweeper that saw the end of the process before knows of the next one's beginning.
                if truth.beats or self.is_seen_over(run_id):
                    self.live(run_id, "elsewhere")
                    truth.begins = False
                    self.world.beat(run_id)
                    if not truth.beats:
                        happened("retry taken up elsewhere without heartbeats")
            else:
                again = self.make_job(run_id, again=True, stamped=place == "here")
                pod = self.pod_of(again, "Pending")
                pod["status"]["phase"] = "Running"
                self.container(pod, {"running": {}})
                self.live(run_id, "pod" if place == "here" else "stock", pod)
            if truth.process:
                run["tasks"][1].update(state="Running", version=run["tasks"][1]["version"] + 1)
            happened("retry taken up")

    def is_seen_over(self, run_id):
        entries = [ledger(self.world, self.ledger_of(which)).get(run_id) for which in (0, 2)]
        made = [job for job in self.jobs if self.run_of(job) == run_id]
        late = self.world.stamp(-3 * INTERVAL)
        return all(entry.over and entry.gone and entry.heartbeat for entry in entries if entry) and all(
            job["metadata"]["creationTimestamp"] < late for job in made
        )

    def is_alone(self, run_id):
        """Whether no other Job of it may start."""
        jobs = [job for job in self.world.objects["Job"].values() if job["metadata"]["labels"]["prefect.io/flow_run_id"] == run_id]
        return not any(self.may_start(job) for job in jobs)

    @event(6)
    def zombie_killer(self, job):
        run = self.world.runs[self.run_of(job)]
        task, truth = run["tasks"][0], self.truth_of(job)
        silent = truth.process is None and self.world.time - truth.last >= ZOMBIE_KILLER - 60
        if run["state"] == "Running" and task["state"] == "Running" and silent:
            task.update(state="Retrying" if task["may_retry"] else "Failed", version=task["version"] + 1)
            happened("zombie killer")

    @event(here=[False, True])
    def lazarus(self, job, here):
        """A run that shows no life is scheduled again: for the agent here, or one elsewhere, beside a Job that still waits perhaps."""
        run_id = self.run_of(job)
        truth = self.truths[run_id]
        stale = truth.process is None and self.world.time - truth.last >= 600
        if self.world.runs[run_id]["state"] in ("Submitted", "Running") and stale:
            self.set(run_id, "Scheduled")
            self.take_up(run_id, here)
            happened("lazarus here" if here else "lazarus elsewhere")

    @event(here=[False, True])
    def agent_takes_up(self, job, here):
        self.take_up(self.run_of(job), here)

    def take_up(self, run_id, here, **options):
        truth = self.truths[run_id]
        if self.world.runs[run_id]["state"] == "Scheduled" and truth.process is None:
            if here:
                self.make_job(run_id, **options)
            else:
                self.set(run_id, "Submitted")
                self.live(run_id, "elsewhere")
                happened("flow started elsewhere")

    @event(state=["Cancelling", "Cancelling", "Cancelling", "Cancelled", "Failed", "Success"])
    def user_sets(self, job, state):
        self.user_set(job, state)

    def user_set(self, job, state):
        run_id = self.run_of(job)
        if state != "Cancelling":
            if self.world.runs[run_id]["state"] not in FINAL:
                happened("run set final")
            self.finish(run_id, state)
        elif self.world.runs[run_id]["state"] in ("Submitted", "Running"):
            self.set(run_id, "Cancelling")
            happened("run cancelling hangs" if self.truths[run_id].process else "run cancelling")

    @event()
    def prefect_forgets_a_run(self, job):
        """Prefect does not know a run, of another tenant perhaps."""
        run_id = self.run_of(job)
        if self.truths[run_id].process is None and self.random.random() < 0.2:
            self.world.hidden.add(run_id)
            self.truths[run_id].excused = True
            happened("run unknown")

    # Dask

    @event(labelled=[False, True])
    def flow_makes_a_dask_cluster(self, job, labelled):
        pod = self.pod_of(job, "Running")
        if pod and self.truth_of(job).process == "pod" and job["metadata"]["uid"] in self.ours:
            name = pod["metadata"]["name"]
            cluster = self.world.dask_cluster(name, labelled)
            self.dask.update((item["metadata"]["uid"], name) for _, item in self.world.of_cluster(cluster))
            happened("dask cluster of a flow")

    @event(owned=[False, True])
    def flow_makes_a_worker_of_a_shared_name(self, job, owned):
        pod = self.pod_of(job, "Running")
        if pod and self.truth_of(job).process == "pod" and job["metadata"]["uid"] in self.ours:
            name = pod["metadata"]["name"]
            labels = {"dask.org/cluster-name": "etl", "dask.org/component": "worker"}
            if not owned:
                labels["cdk8s-prefect/flow-pod"] = name
            worker = self.world.add("Pod", f"etl-{self.world.number()}", labels, status={"phase": "Running"})
            if owned:
                worker["metadata"]["ownerReferences"] = [{"kind": "Pod", "name": name, "uid": pod["metadata"]["uid"]}]
            self.dask[worker["metadata"]["uid"]] = name
            happened("dask worker of a shared name")

    @event(0.3, name=["jovyan", "jupyter-anna-abcde", "prefect-job-ffffffff-abcde"])
    def notebook_makes_a_dask_cluster(self, name):
        cluster = self.world.dask_cluster(name)
        self.dask.update((item["metadata"]["uid"], None) for _, item in self.world.of_cluster(cluster))
        happened("notebook's dask cluster")

    @event(0.5)
    def dask_worker_ends(self):
        for item in self.world.objects["Pod"].values():
            if item["metadata"]["labels"].get("dask.org/component") == "worker" and item["status"]["phase"] == "Running":
                item["status"] = {"phase": "Succeeded"}
                happened("dask worker ended")
                return

    # Forgeries, and ledgers that somebody edits

    @event(8, fails=[False, True])
    def job_is_forged(self, job, fails):
        """Somebody makes a Job that names a run: its pod waits for ever, or it fails."""
        run_id = self.run_of(job)
        truth = self.truths[run_id]
        # What remains to whoever may do that is in docs/sweeper.md: flows without heartbeats.
        if truth.process == "elsewhere" and truth.beats and self.world.runs[run_id]["state"] == "Running":
            forged = self.world.submit(run_id, again=True)
            self.forged[forged["metadata"]["uid"]] = run_id
            if fails:
                self.pod_of(forged, "Pending")["status"] = {"phase": "Failed"}
                self.world.end_job(forged, "Failed")
            happened("job forged failed" if fails else "job forged pending")

    @event()
    def dask_object_is_forged(self, job):
        """Somebody makes a Service of a notebook's cluster with the label of a flow's pod."""
        pods = self.world.pods_of(job)
        clusters = {item["metadata"]["labels"]["dask.org/cluster-name"] for item in self.world.objects["Service"].values()}
        if pods and clusters:
            labels = {"dask.org/cluster-name": sorted(clusters)[0], "cdk8s-prefect/flow-pod": pods[0]["metadata"]["name"]}
            forged = self.world.add("Service", f"aaa-{self.world.number()}", labels)
            self.dask[forged["metadata"]["uid"]] = pods[0]["metadata"]["name"]
            happened("dask object forged")

    @event(which=[0, 2], how=["edited", "edited", "swapped", "swapped", "swapped", "deleted"], at=range(0, 61), text="0189abu- ")
    def ledger_is_edited(self, job, which, how, at, text):
        data = self.data_of(which)
        run_id = self.run_of(job)
        if run_id not in data or self.random.random() < 0.5:
            return
        before = data[run_id]
        if how == "edited":
            data[run_id] = before[:at] + text + before[at + 1 :]
        elif how == "swapped":
            data[run_id] = self.random.choice(sorted(data.values()))
        else:
            del data[run_id]
        if data.get(run_id) != before:
            self.world.touch_ledger(self.ledger_of(which))
            self.truths[run_id].excused = True
            happened(f"ledger entry {how}")

    @event(0.08, which=[0, 2])
    def ledger_is_deleted(self, which):
        if self.world.objects["ConfigMap"].pop(self.ledger_of(which), None):
            happened("ledger deleted")

    @event(2, which=[0, 2])
    def manifests_are_applied_again(self, which):
        if self.ledger_of(which) not in self.world.objects["ConfigMap"]:
            self.apply_ledger(which)
            happened("ledger applied again")

    def apply_ledger(self, which):
        self.world.make_ledger(self.ledger_of(which))
        # What it knew of runs that are lost is lost.
        self.known[SWEEPERS[which]] = set()
        self.seen[SWEEPERS[which]] = set()
        for truth in self.truths.values():
            truth.excused = True

    @event(0.5, how=["deleted", "taken by somebody"])
    def lease_is_edited(self, how):
        leases = self.world.objects["Lease"]
        if how == "deleted":
            leases.clear()
        else:
            spec = {"holderIdentity": "somebody", "leaseDurationSeconds": self.random.choice([1, 60, 200, "x"])}
            leases[LEASE] = {"metadata": {"name": LEASE, "resourceVersion": f"somebody-{self.world.number()}"}, "spec": spec}
        happened(f"lease {how}")

    @event()
    def watch_forgets(self):
        self.world.tell()
        if self.world.forgotten < len(self.world.events):
            self.world.forgotten = len(self.world.events)
            happened("watch forgets")

    # Time, and sweepers

    @event(4, seconds=[1, 10, 30, 30, 60, 100, 200, 700])
    def time_passes(self, seconds):
        self.advance(seconds)
        happened("time passed")
        if seconds == 700:
            happened("machine slept")

    def advance(self, seconds):
        while seconds > 0:
            step = min(10, seconds)
            seconds -= step
            self.world.pass_time(step)
            for run_id, truth in self.truths.items():
                if truth.process and truth.beats and self.world.runs[run_id]["state"] in ("Submitted", "Running", "Cancelling"):
                    if self.world.time - truth.last >= BEAT:
                        truth.last = self.world.time
                        self.world.beat(run_id)
                elif truth.process:
                    truth.last = self.world.time
                    if truth.begins and self.world.runs[run_id]["state"] == "Running":
                        truth.begins = False
                        self.world.beat(run_id)
                        happened("only heartbeat sent")

    def dask_with_jobs(self):
        jobs = {job["metadata"]["name"] for job in self.world.objects["Job"].values() if job["metadata"]["uid"] in self.ours}
        return {uid for uid, pod in self.dask.items() if pod and pod.rpartition("-")[0] in jobs}

    def make_pass(self, which, faults=None):
        """A pass of one of the sweepers, perhaps within that of another. Says how many calls it made."""
        world, outer = self.world, (self.world.calls, self.world.faults, self.world.at_work)
        world.faults, world.at_work = faults or {}, SWEEPERS[which]
        sweeper, before = self.sweepers[which], self.dask_with_jobs()
        sweeper.signs.last_success[NAMESPACE] = 0
        if world.sweep(self.sweepers[which]):
            self.sweepers[which] = self.new_sweeper(which)
            happened("sweeper started anew")
        for error in self.wrong:
            raise error
        if sweeper.signs.last_success[NAMESPACE]:
            self.seen[SWEEPERS[which]] |= before & self.dask_with_jobs()
        calls = len(world.calls)
        world.calls, world.faults, world.at_work = outer
        for number, name in enumerate(SWEEPERS):
            self.known[name] |= {entry.job for entry in ledger(world, self.ledger_of(number)).values()}
        return calls

    @event(which=[0, 1, 2], fault=["fail", "lose", "kill before", "kill after"], call=range(0, 22))
    def sweep_with_a_fault(self, which, fault, call):
        if self.make_pass(which, {call: fault}) > call:
            names = {"fail": "call failed", "lose": "answer lost"}
            happened(names.get(fault) or f"sweeper killed {fault.split()[1]} a call")

    @event(3, which=[0, 0, 1, 2], fault=["lose", "repeat", "late", "kill before", "kill after"], passes=[5, 12, 30])
    def sweep_until_a_state_is_set(self, which, fault, passes):
        """With a fault then."""
        kinds = {
            "lose": "answer of a state lost",
            "repeat": "state repeated on its way",
            "late": "state late on its way",
            "kill before": "sweeper killed before it sets a state",
            "kill after": "sweeper killed after it sets a state",
        }
        for _ in range(passes):
            self.advance(INTERVAL)
            struck = []

            def strike(struck=struck):
                struck.append(True)
                return fault

            self.make_pass(which, {"set_flow_run_states": strike})
            if struck:
                happened(kinds[fault])
                return

    @event(0.5, which=[0, 1, 2])
    def sweeper_is_stopped(self, which):
        """It is told to end, and the next pod begins."""
        sweeper = self.sweepers[which]
        if not sweeper.actor.writing:
            sweeper.leases.release()
        self.sweepers[which] = self.new_sweeper(which)
        happened("sweeper stopped")

    @event(12, which=[0, 0, 0, 0, 1, 2], passes=[1, 1, 2, 5, 12, 30])
    def sweep(self, which, passes):
        happened("passes made")
        self.make_passes(which, passes)

    def make_passes(self, which, passes):
        for number in range(passes):
            if number:
                self.advance(INTERVAL)
            self.make_pass(which)

    @event(which=[0, 1, 2], call=range(1, 16), seconds=[5, 90, 660])
    def sweep_with_a_slow_answer(self, which, call, seconds):
        def slow():
            # What happens between the last look and the write, only Prefect's version locking can see.
            if self.before_the_last_look():
                self.advance(seconds)
                happened("answer slow")

        self.make_pass(which, {call: slow})

    @event(2, which=[0, 1, 2], other=[0, 1, 2], call=range(1, 20), seconds=[0, 4, 15, 80, 160])
    def sweep_while_another_does(self, which, other, call, seconds):
        def meanwhile():
            # A request to Prefect is over in 5 seconds, or the sweeper has given it up.
            before = self.before_the_last_look()
            for _ in range(3):
                self.advance(seconds if before else min(seconds, 1))
                self.make_pass(other)
            happened("another sweeper within a pass")

        if which != other:
            self.make_pass(which, {call: meanwhile})

    def before_the_last_look(self):
        return not self.world.calls[-1].startswith(("set_", "DELETE", "POST"))

    @event(
        which=[0, 1, 2],
        call=range(1, 16),
        what=[
            "new flow",
            "flow starts",
            "flow starts and dies",
            "dask cluster",
            "flow ends",
            "run is set",
            "lazarus",
            "retry",
            "evicted",
            "deleted",
            "taken up",
        ],
        state=["Cancelling", "Success"],
    )
    def sweep_while_something_happens(self, job, which, call, what, state):
        deeds = {
            "new flow": lambda: self.start(self.submit_run()),
            "flow starts": lambda: self.start(job),
            "flow starts and dies": lambda: self.start(job),
            "dask cluster": lambda: self.flow_makes_a_dask_cluster(job, True),
            "flow ends": lambda: self.flow_ends(job, "Success"),
            "run is set": lambda: (self.user_set(job, state), happened("run set within a pass")),
            "lazarus": lambda: self.lazarus(job, False),
            "retry": lambda: self.retry_is_taken_up(job, "here"),
            "evicted": lambda: self.pod_fails(job, "evicted"),
            "deleted": lambda: self.job_is_deleted(job, "deleted", False),
            "taken up": lambda: self.agent_takes_up(job, True),
        }

        def happen():
            # Of what changes no version of a run, nobody can see anything after the last look.
            if self.before_the_last_look() or self.world.version_locking and what in ("flow starts", "run is set", "lazarus"):
                deeds[what]()
                self.world.tell()
                happened("something happened within a pass")

        self.make_pass(which, {call: happen})
        if what == "flow starts and dies" and self.truth_of(job).process == "pod":
            self.pod_fails(job, "evicted")
            happened("flow ended right after a pass")

    def step(self, seed):
        """One event, of those that can happen now."""
        self.random = Random(seed)
        for _ in range(20):
            [(method, _, choices)] = self.random.choices(EVENTS, self.weights)
            options = {name: self.random.choice(values) for name, values in choices.items()}
            if "job" in method.__code__.co_varnames[: method.__code__.co_argcount]:
                if not self.jobs:
                    continue
                # Rather one that is new.
                options["job"] = self.jobs[-1 - int(len(self.jobs) * self.random.random() ** 2)]
            before = sum(HAPPENED.values())
            method(self, **options)
            self.world.tell()
            if sum(HAPPENED.values()) > before:
                return

    # In the end

    def end(self):
        """Nothing happens any more, and one sweeper is left: what it owes is done in time."""
        for run_id in self.truths:
            for task in self.world.runs[run_id]["tasks"]:
                if task["state"] in ("Retrying", "Paused"):
                    task["state"] = "Success"
        if self.ledger_of(0) not in self.world.objects["ConfigMap"]:
            self.apply_ledger(0)
        # Another sweeper may hold the Lease.
        for _ in range(12):
            if self.succeeds():
                break
            self.advance(INTERVAL)
        else:
            raise AssertionError("it never gets the Lease")
        self.pay()
        for run_id, truth in self.truths.items():
            if truth.process in ("pod", "stock", "ghost"):
                self.finish(run_id, "Success")
        self.pay()

    def succeeds(self):
        self.make_pass(0)
        return bool(self.sweepers[0].signs.last_success[NAMESPACE])

    def pay(self):
        """Makes passes until nothing is owed any more. What is owed is done within its delay, and two passes."""
        since, number = {}, 0
        while True:
            owed = dict(self.owed())
            since = {what: since.get(what, number) for what in owed}
            for what, (bound, run_id) in owed.items():
                if number - since[what] >= bound / INTERVAL + MORE:
                    unclear = what[0] == "run" and not self.is_shown(run_id) and run_id in self.unclear()
                    assert unclear, f"{what} is left after {number - since[what]} passes, and its bound was {bound} s"
                    happened("cannot tell")
                    self.truths[run_id].excused = True
            if not owed:
                return
            number += 1
            self.advance(INTERVAL)
            assert self.succeeds()

    def unclear(self):
        return set().union(*(last.unclear for last in self.sweepers[0].last.values()))

    def owed(self):
        """What a sweeper should put right: what it is, in how many seconds of observed time, and the flow run."""
        for run_id, truth in self.truths.items():
            bound = None if truth.excused else self.bound(run_id)
            if bound is not None:
                run = self.world.runs[run_id]
                yield ("run", run_id, run["state"], run["version"]), (bound, run_id)
        for job in self.world.objects["Job"].values():
            if self.is_left(job):
                yield ("Job", job["metadata"]["name"]), (RULES.finished_jobs, self.run_of(job))
        for kind in ("Pod", "Service", "PodDisruptionBudget"):
            for item in self.world.objects[kind].values():
                bound = self.bound_of_dask(kind, item)
                if bound is not None:
                    yield (kind, item["metadata"]["name"], bound), (bound, "")

    def is_left(self, job):
        run_id = self.run_of(job)
        kept = job["metadata"]["labels"].get("cdk8s-prefect/finished-jobs") == "keep" and job["status"].get("conditions")
        mine = self.ours.get(job["metadata"]["uid"]) and not job["metadata"].get("deletionTimestamp")
        return mine and self.world.runs[run_id]["state"] in FINAL and not kept and not self.truths[run_id].excused

    def bound_of_dask(self, kind, item):
        flow_pod = self.dask.get(item["metadata"]["uid"])
        if not flow_pod:
            return None
        job = next(job for job in self.world.made if flow_pod.startswith(job["metadata"]["name"]))
        if item["metadata"]["uid"] not in self.seen[SWEEPERS[0]] or self.truth_of(job).excused:
            return None
        pod = self.world.objects["Pod"].get(flow_pod)
        if pod is None:
            return RULES.orphaned_dask_clusters
        if pod["metadata"].get("deletionTimestamp") and self.world.runs[self.run_of(job)]["state"] in FINAL:
            return RULES.orphaned_dask_clusters + GRACE + LINGERING
        ended = kind == "Pod" and item["status"]["phase"] == "Succeeded"
        return RULES.finished_dask_workers if ended else None

    def bound(self, run_id):
        """How much observed time a sweeper has to end a run, if it is dead and its own."""
        run, truth = self.world.runs[run_id], self.truths[run_id]
        jobs = [job for job in self.world.objects["Job"].values() if self.ours.get(job["metadata"]["uid"]) == run_id]
        if truth.process or truth.theirs or run["state"] not in ("Submitted", "Running", "Cancelling"):
            return None
        there = [job["metadata"]["name"] for job in jobs]
        if truth.job not in there and truth.job not in self.known[SWEEPERS[0]]:
            return None
        pods = self.pods_of_run(run_id)
        held = any(map(self.is_held_back, pods)) or any(map(self.is_held, jobs))
        if held or not jobs and run_id not in self.data_of(0):
            return None
        if run["state"] == "Cancelling":
            return RULES.cancelling_runs
        starting = [job for job in jobs if self.may_start(job)]
        # The pod of an earlier Job may run on beside it, without its flow.
        latest = max(jobs, key=lambda job: (not job["status"].get("conditions"), self.created(job)), default=None)
        running = [pod for pod in pods if pod["status"]["phase"] == "Running"]
        # Beside the pod of a lost node, a run is not one that cannot start.
        lingering = any(pod["metadata"].get("deletionTimestamp") for pod in running)
        if starting and not lingering and (latest in starting or not running):
            return RULES.unstartable_jobs * (2 if any(map(self.is_pulled, pods)) else 1)
        tasks = run["tasks"]
        least = ZOMBIE_KILLER if any(task["state"] == "Running" and task["may_retry"] for task in tasks) else 0
        least = max(least, SUBMITTED if any(task["state"] == "Submitted" for task in tasks) else 0)
        terminating = any(pod["metadata"].get("deletionTimestamp") for pod in pods)
        return max(RULES.lost_runs, least) + (GRACE + LINGERING if terminating else 0)

    def pods_of_run(self, run_id):
        return [pod for pod in self.world.objects["Pod"].values() if pod["metadata"]["labels"].get("prefect.io/flow_run_id") == run_id]

    def is_pulled(self, pod):
        return any(each.get("involvedObject", {}).get("uid") == pod["metadata"]["uid"] for each in self.world.objects["Event"].values())

    def is_shown(self, run_id):
        """Whether Kubernetes shows that the process of a run is over: by the last of its Jobs, and no pod of it lives."""
        jobs = [job for job in self.world.objects["Job"].values() if self.ours.get(job["metadata"]["uid"]) == run_id]
        living = [pod for pod in self.pods_of_run(run_id) if pod["status"]["phase"] not in ("Succeeded", "Failed")]
        truth = self.truths[run_id]
        known = [SWEEPERS[0] in truth.known_by.get(job["metadata"]["uid"], ()) for job in jobs]
        # The others tell nothing of the process of the youngest, nor of the one that ended last.
        last = list(truth.ends)[-1:]
        there = truth.job in [job["metadata"]["name"] for job in jobs] and set(last) <= {job["metadata"]["uid"] for job in jobs}
        return there and all(known) and not living and all(job["status"].get("conditions") for job in jobs)


@pytest.fixture(autouse=True, scope="module")
def quiet():
    """Thousands of lines of the sweepers tell less than the history that fails."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@settings(
    max_examples=int(os.environ.get("HISTORIES", 20000 if FULL else 500)),
    derandomize=not FULL,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.booleans(), st.integers(0, 2**62), st.integers(40, 80))
def test_history(version_locking, seed, steps):
    history = History(version_locking, seed)
    for step in range(steps):
        history.step(f"{seed} {step}")
    history.end()


def test_each_kind_of_event_has_happened(capsys):
    with capsys.disabled():
        print("\n" + "\n".join(f"{HAPPENED[kind]:8} {kind}" for kind in KINDS))
    assert [kind for kind in KINDS if HAPPENED[kind] < ENOUGH] == []
