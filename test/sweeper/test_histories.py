"""Generated histories of Jobs, pods, runs, states and clocks, against a model that knows which processes live."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule
from rules import CLAIM
from world import FINAL, RULES, World

# A flow run shows life so often, in seconds.
BEAT = 30


class Histories(RuleBasedStateMachine):
    """The model: of each flow run, the processes that live, and what is its own in the cluster."""

    @initialize(version_locking=st.booleans())
    def begin(self, version_locking):
        self.world = World(version_locking)
        self.world.on_delete = self.judge_delete
        self.world.on_set_run = self.judge_state
        self.sweepers = [self.world.sweeper(), self.world.sweeper()]
        # Living processes by flow run: "pod", "ghost" (its pod is gone, it is not), "elsewhere" (an agent of another place runs it).
        self.processes = {}
        # Jobs that are ours, by uid: their flow run.
        self.ours = {}
        self.finished_at = {}
        # Dask clusters, by name: the flow pod, or none for a notebook's.
        self.clusters = {}
        self.beats = {}
        # What a sweeper set itself, in the pass that goes on.
        self.ended_by_sweeper = set()

    # The judge

    def judge_delete(self, kind, item):
        labels = item["metadata"]["labels"]
        cluster = labels.get("dask.org/cluster-name")
        if cluster:
            flow_pod = self.clusters[cluster]
            assert flow_pod is not None, "the Dask cluster of a notebook was deleted"
            pod = self.world.objects["Pod"].get(flow_pod)
            lives = pod and pod["status"]["phase"] not in ("Succeeded", "Failed")
            ended = kind == "Pod" and item["status"]["phase"] in ("Succeeded", "Failed")
            assert not lives or ended and labels["dask.org/component"] == "worker", f"{kind} of a live Dask cluster was deleted"
            return
        assert kind == "Job", f"a {kind} that is none of Dask's was deleted"
        run_id = self.ours.get(item["metadata"]["uid"])
        assert run_id, "a foreign Job was deleted"
        run = self.world.runs[run_id]
        assert run["state"] in FINAL, f"the Job of a run that is {run['state']} was deleted"
        waited = self.world.time - self.finished_at[run_id]
        assert waited >= RULES.finished_jobs or run_id in self.ended_by_sweeper, f"a Job was deleted {waited} s after its run had finished"
        kept = labels.get("cdk8s-prefect/finished-jobs") == "keep"
        ended = item["status"].get("conditions") and all(
            pod["status"]["phase"] in ("Succeeded", "Failed") for pod in self.world.pods_of(item)
        )
        assert not (kept and ended), "a finished Job that is to be kept was deleted"
        self.processes.pop(run_id, None)

    def judge_state(self, run_id, state):
        run = self.world.runs[run_id]
        assert run_id in self.ours.values(), "a run without a Job of ours got a state"
        if state == "Cancelled":
            assert run["state"] == "Cancelling"
        else:
            assert run_id not in self.processes, f"a run with a living process ({self.processes[run_id]}) was set to {state}"
            assert run["state"] in ("Submitted", "Running")
            jobs = [job for job in self.world.objects["Job"].values() if self.ours.get(job["metadata"]["uid"]) == run_id]
            active = [job for job in jobs if not job["status"].get("conditions")]
            assert not (active and any(task["state"] == "Retrying" for task in run["tasks"]) and state == "Scheduled")
            if not active:
                assert not any(task["state"] in ("Retrying", "Paused") for task in run["tasks"]), "a task of it was waiting"
        self.ended_by_sweeper.add(run_id)
        if state in FINAL:
            self.finished_at[run_id] = self.world.time

    # What happens

    jobs = Bundle("jobs")

    @rule(target=jobs, policy=st.sampled_from(["", "fail", "run-again"]), kept=st.booleans(), stamped=st.sampled_from([True, True, False]))
    def submit(self, policy, kept, stamped):
        return self.submit_run(self.world.schedule(tasks=2), policy, kept, stamped)

    def submit_run(self, run_id, policy="", kept=False, stamped=True):
        job = self.world.submit(run_id, policy, stamped, kept)
        if stamped:
            self.ours[job["metadata"]["uid"]] = run_id
        return job

    def run_of(self, job):
        return job["metadata"]["labels"]["prefect.io/flow_run_id"]

    def pod(self, job, *phases):
        pods = self.world.pods_of(job)
        return pods[0] if pods and pods[0]["status"]["phase"] in phases else None

    def live(self, run_id):
        self.world.set(run_id, "Running")
        self.beats[run_id] = self.world.time

    @rule(job=jobs)
    def pod_starts(self, job):
        self.start(job)

    def start(self, job):
        run_id = self.run_of(job)
        pod = self.pod(job, "Pending")
        if pod and self.world.runs[run_id]["state"] == "Submitted" and run_id not in self.processes:
            pod["status"] = {"phase": "Running"}
            self.processes[run_id] = "pod"
            self.live(run_id)
            self.world.runs[run_id]["tasks"][0]["state"] = "Running"

    @rule(job=jobs, labelled=st.booleans())
    def flow_makes_a_dask_cluster(self, job, labelled):
        self.make_dask_cluster(job, labelled)

    def make_dask_cluster(self, job, labelled=False):
        pod = self.pod(job, "Running")
        if pod and self.processes.get(self.run_of(job)) == "pod":
            self.clusters[self.world.dask_cluster(pod["metadata"]["name"], labelled)] = pod["metadata"]["name"]

    @rule(name=st.sampled_from(["jovyan", "jupyter-anna-abcde", "prefect-job-ffffffff-abcde"]))
    def notebook_makes_a_dask_cluster(self, name):
        self.clusters[self.world.dask_cluster(name)] = None

    @rule(job=jobs)
    def dask_worker_ends(self, job):
        for item in self.world.objects["Pod"].values():
            if item["metadata"]["labels"].get("dask.org/component") == "worker":
                item["status"] = {"phase": "Succeeded"}
                return

    @rule(job=jobs, state=st.sampled_from(["Success", "Failed"]))
    def flow_ends(self, job, state):
        run_id = self.run_of(job)
        if self.processes.get(run_id) == "pod" and self.pod(job, "Running"):
            self.finish(run_id, state)
            self.processes.pop(run_id)
            self.pod(job, "Running")["status"] = {"phase": "Succeeded"}
            self.world.end_job(job, "Complete")

    def finish(self, run_id, state):
        if self.world.runs[run_id]["state"] not in FINAL:
            self.world.set(run_id, state)
            self.finished_at[run_id] = self.world.time
            self.ended_by_sweeper.discard(run_id)

    @rule(job=jobs, shown=st.booleans())
    def pod_fails(self, job, shown):
        """With its pod left to be seen, or not, as when it is evicted."""
        pod = self.pod(job, "Running", "Pending")
        if pod:
            if self.processes.get(self.run_of(job)) == "pod" and pod["status"]["phase"] == "Running":
                self.processes.pop(self.run_of(job))
            if shown:
                pod["status"] = {"phase": "Failed"}
            else:
                del self.world.objects["Pod"][pod["metadata"]["name"]]
            self.world.end_job(job, "Failed")

    @rule(job=jobs, lives_on=st.booleans())
    def job_is_deleted(self, job, lives_on):
        """With its process, or without: its node is lost, or slow."""
        if self.world.objects["Job"].get(job["metadata"]["name"]) is job:
            pod = self.pod(job, "Running")
            self.world.delete_job(job)
            if pod and self.processes.get(self.run_of(job)) == "pod":
                self.processes[self.run_of(job)] = "ghost"
                if not lives_on:
                    self.processes.pop(self.run_of(job))

    @rule(job=jobs)
    def ghost_ends(self, job):
        if self.processes.get(self.run_of(job)) == "ghost":
            self.processes.pop(self.run_of(job))

    @rule(job=jobs, here=st.booleans())
    def lazarus(self, job, here):
        """Somebody schedules a run again that shows no life: for the agent here, or one elsewhere."""
        run_id = self.run_of(job)
        if self.world.runs[run_id]["state"] in ("Submitted", "Running") and run_id not in self.processes and not self.pod(job, "Pending"):
            self.world.set(run_id, "Scheduled")
            self.take_up(run_id, here)

    @rule(job=jobs, here=st.booleans())
    def agent_takes_up(self, job, here):
        self.take_up(self.run_of(job), here)

    def take_up(self, run_id, here):
        if self.world.runs[run_id]["state"] == "Scheduled" and run_id not in self.processes:
            if here:
                self.submit_run(run_id)
            else:
                self.world.set(run_id, "Submitted")
                self.processes[run_id] = "elsewhere"
                self.live(run_id)

    @rule(job=jobs)
    def agent_retries(self, job):
        self.retry(job)

    def retry(self, job):
        """The time of a task has come: a run that is Running gets another Job, and no other state."""
        run_id = self.run_of(job)
        tasks = self.world.runs[run_id]["tasks"]
        if self.world.runs[run_id]["state"] == "Running" and run_id not in self.processes and tasks[1]["state"] == "Retrying":
            tasks[1]["state"] = "Submitted"
            again = self.world.submit(run_id, again=True)
            self.ours[again["metadata"]["uid"]] = run_id
            self.pod(again, "Pending")["status"] = {"phase": "Running"}
            self.processes[run_id] = "pod"
            self.beats[run_id] = self.world.time

    @rule(job=jobs, state=st.sampled_from(["Cancelling", "Cancelled", "Failed"]))
    def user_sets(self, job, state):
        run_id = self.run_of(job)
        if state != "Cancelling":
            self.finish(run_id, state)
        elif self.world.runs[run_id]["state"] == "Running":
            self.world.set(run_id, "Cancelling")

    @rule(job=jobs, state=st.sampled_from(["Retrying", "Paused", "Success"]))
    def task_is(self, job, state):
        self.world.runs[self.run_of(job)]["tasks"][1]["state"] = state

    @rule(seconds=st.sampled_from([1, 10, 30, 60, 100, 200, 700]))
    def time_passes(self, seconds):
        for _ in range(0, seconds, 10):
            self.world.pass_time(min(10, seconds))
            for run_id in self.processes:
                if (
                    self.world.runs[run_id]["state"] in ("Submitted", "Running", "Cancelling")
                    and self.world.time - self.beats[run_id] >= BEAT
                ):
                    self.beats[run_id] = self.world.time
                    self.world.beat(run_id)

    # What the sweepers do

    @rule(which=st.sampled_from([0, 1]), fault=st.sampled_from(["fail", "lose", "kill before", "kill after"]), call=st.integers(0, 20))
    def sweep_with_a_fault(self, which, fault, call):
        self.world.faults = {call: fault}
        if self.world.sweep(self.sweepers[which]):
            self.sweepers[which] = self.world.sweeper()
        self.world.faults = {}

    @rule(which=st.sampled_from([0, 1]))
    def sweep(self, which):
        self.world.sweep(self.sweepers[which])

    @rule(
        job=jobs, which=st.sampled_from([0, 1]), call=st.integers(1, 12), what=st.sampled_from(["new flow", "pod starts", "dask", "ends"])
    )
    def sweep_while_something_happens(self, job, which, call, what):
        def happen():
            if what == "new":
                new = self.submit_run(self.world.schedule(tasks=2))
                self.start(new)
                self.make_dask_cluster(new)
            elif what == "starts":
                self.start(job)
            elif what == "retries":
                self.retry(job)
            elif what == "dask":
                self.make_dask_cluster(job)
            elif self.processes.get(self.run_of(job)) == "pod" and self.pod(job, "Running"):
                self.finish(self.run_of(job), "Success")

        # Between the last look and the act only Prefect's version locking protects a run.
        if self.world.version_locking:
            self.world.faults = {call: happen}
        self.world.sweep(self.sweepers[which])
        self.world.faults = {}

    def teardown(self):
        """In the end everything that was seen here and lives no more is gone, and no run of ours stays without a process."""
        if getattr(self, "world", None) is None:
            return
        for run_id, place in list(self.processes.items()):
            if place != "elsewhere":
                self.finish(run_id, "Success")
        for run in self.world.runs.values():
            for task in run["tasks"]:
                task["state"] = "Success"
        for _ in range(2 * (700 + CLAIM) // 30):
            self.time_passes(30)
            self.world.sweep(self.sweepers[0])
        for item in self.world.objects["Job"].values():
            run_id = self.ours.get(item["metadata"]["uid"])
            kept = item["metadata"]["labels"].get("cdk8s-prefect/finished-jobs") == "keep"
            elsewhere = self.processes.get(run_id) == "elsewhere"
            waits = not run_id or elsewhere or self.world.runs[run_id]["state"] in ("Scheduled", "Submitted", "Running")
            assert waits or kept, self.world.runs[run_id]


Histories.TestCase.settings = settings(max_examples=400, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
TestHistories = Histories.TestCase
