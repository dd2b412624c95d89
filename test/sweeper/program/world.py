"""A Kubernetes and a Prefect in memory, as a sweeper sees them: each request is one call, which can fail, get lost or be the last."""

import marshal
import re
from contextlib import suppress
from datetime import datetime, timezone
from uuid import UUID

import api_server
import cluster
from api_server import Refused
from errors import Conflict
from lease import NAME as LEASE
from ledger import read
from rules import BEATS, WAITING, Rules, Run, Task
from signs import Signs
from sweeper import Sweeper, one_pass

NAMESPACE = "flows"
LEDGER = "sweeper-ledger-flows"
INTERVAL = 30
# How long a request is on its way of which the sender has given up to hear, in seconds.
LATE = 25
FINAL = ("Success", "Failed", "Cancelled")
RULES = Rules(180, 300, 600, 90, 0, 60)


def copied(value):
    """A copy of what is made of JSON, ten times as fast as `deepcopy`."""
    return marshal.loads(marshal.dumps(value))


class Killed(BaseException):
    """The sweeper's process ends here."""


class Broken(Exception):
    """A request fails."""


class World:
    def __init__(self, version_locking=True):
        self.time = 1_700_000_000.0
        # Objects of Kubernetes by kind and name.
        self.objects = {kind: {} for kind in cluster.KINDS}
        self.objects["ConfigMap"][LEDGER] = {"metadata": {"name": LEDGER, "uid": "first", "resourceVersion": "1"}}
        # Flow runs of Prefect by id: state, version, heartbeat, tasks.
        self.runs = {}
        # One that its last holder has let go.
        self.objects["Lease"][LEASE] = {"metadata": {"name": LEASE, "resourceVersion": "1"}, "spec": {"holderIdentity": ""}}
        self.version_locking = version_locking
        self.numbers = self.pods = 0
        # Flow runs that Prefect does not know, or does not show.
        self.hidden = set()
        # Every Job that there ever was.
        self.made = []
        self.calls = []
        # What has happened to Jobs and pods, up to now, as a watch tells it; what was before is forgotten.
        self.events = []
        self.as_told = {}
        self.forgotten = 0
        # Who has held the Lease, one for each time that it was written.
        self.leases = []
        # What happens to calls, by their number or their text: "fail", "lose", "repeat", "late", "kill before" or "kill after". Or a
        # function, which may return one of these.
        self.faults = {}
        # Requests on their way for which nobody waits any more: when each was sent and how runs were then; who sent it; what it does.
        self.late = []
        # Of one that arrives now: when it was sent, and how runs were then. And whether a request comes for the second time.
        self.arriving, self.repeating = None, False
        # Whose pass it is.
        self.at_work = None
        self.on_delete = lambda kind, item: None
        self.on_set_run = lambda run_id, state: None
        self.on_set_tasks = lambda ids: None

    def number(self):
        self.numbers += 1
        return self.numbers

    def uid(self):
        return str(UUID(int=self.number()))

    def stamp(self, seconds=0.0):
        return datetime.fromtimestamp(self.time + seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def add(self, kind, name, labels, **fields):
        item = {"metadata": {"name": name, "uid": self.uid(), "labels": labels, "creationTimestamp": self.stamp()}, **fields}
        self.objects[kind][name] = item
        return item

    def tell(self):
        """What has happened since, one object at a time; what happened to it in between was not seen by anybody."""
        now = {(kind, item["metadata"]["uid"]): item for kind in ("Job", "Pod") for item in self.objects[kind].values()}
        for key in [key for key in self.as_told if key not in now]:
            self.events.append((key[0], "DELETED", self.as_told.pop(key)))
        for key, item in now.items():
            before = self.as_told.get(key)
            if before != item:
                self.as_told[key] = copied(item)
                self.events.append((key[0], "MODIFIED" if before else "ADDED", self.as_told[key]))

    # What an agent, Kubernetes and flows do.

    def schedule(self, tasks=0):
        run_id = self.uid()
        self.runs[run_id] = {"state": "Scheduled", "version": 1, "heartbeat": None, "tasks": []}
        self.runs[run_id]["tasks"] = [self.task() for _ in range(tasks)]
        return run_id

    def task(self):
        return {"id": self.uid(), "state": "Pending", "version": 0, "may_retry": False}

    def set(self, run_id, state):
        run = self.runs[run_id]
        run["version"] += 1
        run["state"] = state
        if state in ("Submitted", "Running"):
            self.beat(run_id)

    def beat(self, run_id):
        self.runs[run_id]["heartbeat"] = self.stamp()

    def submit(self, run_id, on_eviction="", stamped=True, kept=False, deadline=None, said=None, again=False):
        """A Job, as the agent makes and the launcher stamps it, and its pod; once more for a run of which a task waited."""
        if not again:
            self.set(run_id, "Submitted")
        labels = {"prefect.io/flow_run_id": run_id}
        if stamped:
            labels["cdk8s-prefect/job-template"] = "prefect-job-template"
        if on_eviction:
            labels["cdk8s-prefect/on-eviction"] = on_eviction
        if kept:
            labels["cdk8s-prefect/finished-jobs"] = "keep"
        env = [{"name": "PREFECT__CONTEXT__FLOW_RUN_ID", "value": said or run_id}]
        spec = {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "flow", "env": env}]}}}
        if deadline:
            spec["activeDeadlineSeconds"] = deadline
        job = self.add("Job", f"prefect-job-{self.number():08x}", labels, spec=spec, status={"startTime": self.stamp()})
        self.pod_of(job)
        self.made.append(job)
        return job

    def pod_of(self, job):
        owner = {"kind": "Job", "uid": job["metadata"]["uid"]}
        spec = copied(job["spec"]["template"]["spec"])
        pod = self.add("Pod", f"{job['metadata']['name']}-abcde", dict(job["metadata"]["labels"]), spec=spec, status={"phase": "Pending"})
        pod["metadata"]["ownerReferences"] = [owner]
        return pod

    def pods_of(self, job):
        uid = job["metadata"]["uid"]
        return [pod for pod in self.objects["Pod"].values() if any(o["uid"] == uid for o in pod["metadata"].get("ownerReferences", []))]

    def start(self, pod):
        pod["status"] = {"phase": "Running"}
        self.set(pod["metadata"]["labels"]["prefect.io/flow_run_id"], "Running")

    def end_job(self, job, how):
        reason = {"reason": "BackoffLimitExceeded"} if how == "Failed" else {}
        job["status"]["conditions"] = [{"type": how, "status": "True", **reason}]

    def evict(self, job):
        """The kubelet ends the process and says so, and then the pod is removed."""
        for pod in self.pods_of(job):
            if pod["status"]["phase"] == "Running":
                pod["metadata"]["deletionTimestamp"] = self.stamp()
                pod["status"] = {"phase": "Failed", "containerStatuses": [{"name": "flow", "state": {"terminated": {"exitCode": 143}}}]}
        self.tell()
        self.remove_by_force(job)

    def remove_by_force(self, job):
        """Nobody says whether the process has ended."""
        for pod in self.pods_of(job):
            del self.objects["Pod"][pod["metadata"]["name"]]
        self.end_job(job, "Failed")

    def delete_job(self, job):
        self.objects["Job"].pop(job["metadata"]["name"], None)
        for pod in self.pods_of(job):
            del self.objects["Pod"][pod["metadata"]["name"]]

    def dask_cluster(self, flow_pod, labelled=False, workers=1):
        name = f"dask-{flow_pod}-{self.number():08x}-a"
        labels = {"dask.org/cluster-name": name}
        if labelled:
            labels["cdk8s-prefect/flow-pod"] = flow_pod
        for kind in ("Service", "PodDisruptionBudget"):
            self.add(kind, name, dict(labels))
        for component in ["scheduler"] + ["worker"] * workers:
            self.add("Pod", f"{name}-{self.number()}", dict(labels, **{"dask.org/component": component}), status={"phase": "Running"})
        return name

    def of_cluster(self, name):
        kinds = ("Pod", "Service", "PodDisruptionBudget")
        items = [(kind, item) for kind in kinds for item in self.objects[kind].values()]
        return [(kind, item) for kind, item in items if item["metadata"]["labels"].get("dask.org/cluster-name") == name]

    # What a sweeper does.

    def sweeper(self, rules=RULES, dry_run=False, name="sweeper", ahead=0.0, **options):
        """Another pod of a sweeper, and how far its clock is ahead."""
        self.pods += 1
        clock, signs = (lambda: self.time + ahead), Signs([NAMESPACE])
        pod, ledger = f"{name}-pod-{self.pods}", ("home", name)
        return Sweeper(Kubernetes(self), Prefect(self), rules, ledger, signs, dry_run, INTERVAL, clock, pod, **options)

    def make_ledger(self, name=LEDGER):
        """As who applies a sweeper's manifests does."""
        metadata = {"name": name, "uid": self.uid(), "resourceVersion": str(self.number() + 1)}
        self.objects["ConfigMap"].setdefault(name, {"metadata": metadata})

    def sweep(self, sweeper):
        """One pass, in which the sweeper may be killed. Says whether it was."""
        self.calls = []
        try:
            one_pass(sweeper, NAMESPACE)
        except Killed:
            return True
        return False

    def pass_time(self, seconds):
        self.tell()
        self.time += seconds
        for request in [each for each in self.late if each[0][0] + LATE <= self.time]:
            self.late.remove(request)
            self.arriving, self.at_work, carry_out = request
            with suppress(Conflict):
                carry_out()
            self.arriving = None

    def request(self, what, carry_out):
        number = len(self.calls)
        self.calls.append(what)
        fault = self.faults.get(number) or self.faults.get(what)
        if callable(fault):
            fault = fault()
        if fault == "kill before":
            raise Killed
        if fault == "fail":
            raise Broken(what)
        if fault == "late":
            self.late.append(((self.time, copied(self.runs)), self.at_work, carry_out))
            raise Broken(what)
        answer = carry_out()
        if fault == "repeat":
            self.repeating = True
            try:
                answer = carry_out()
            finally:
                self.repeating = False
        if fault == "kill after":
            raise Killed
        if fault == "lose":
            raise Broken(what)
        return answer

    def touch_ledger(self, name=LEDGER):
        """Somebody else has written it."""
        self.objects["ConfigMap"][name]["metadata"]["resourceVersion"] = str(self.number() + 1)

    def outcome(self):
        """What there is in the end, by names that do not depend on the order of things."""
        objects = {kind: sorted(self.objects[kind]) for kind in ("Job", "Pod", "Service", "PodDisruptionBudget")}
        return objects, {run_id: (run["state"], [task["state"] for task in run["tasks"]]) for run_id, run in self.runs.items()}


class Kubernetes(cluster.Kubernetes):
    def __init__(self, world):
        self.world = world

    def call(self, method, path, body=None, content=api_server.JSON, accept=api_server.JSON, **query):
        return copied(self.world.request(f"{method} {path}", lambda: self.carry_out(method, path, body, query)))

    def watch(self, path, seconds, each, **query):
        def answer():
            self.world.tell()
            if int(query["resourceVersion"]) < self.world.forgotten:
                raise Refused(410, "too old resource version")
            return copied(self.world.events[int(query["resourceVersion"]) :])

        for kind, happened, item in self.world.request(f"WATCH {path}", answer):
            if path == cluster.KINDS[kind][1].format(NAMESPACE) and self.selects(item, query):
                each(happened, item)

    def carry_out(self, method, path, body, query):
        world = self.world
        namespace = "home" if "/home/" in path else NAMESPACE
        kind = next(k for k, (_, p) in cluster.KINDS.items() if (path + "/").startswith(p.format(namespace) + "/"))
        name = path[len(cluster.KINDS[kind][1].format(namespace)) + 1 :]
        objects = world.objects[kind]
        if kind == "Lease" and method in ("POST", "PUT"):
            there = objects.get(LEASE)
            if (there and there["metadata"]["resourceVersion"]) != body["metadata"].get("resourceVersion"):
                raise Conflict("Conflict")
            objects[LEASE] = {**copied(body), "metadata": {**body["metadata"], "resourceVersion": f"lease-{len(world.leases)}"}}
            world.leases.append(objects[LEASE]["spec"]["holderIdentity"])
            return objects[LEASE]
        if method == "POST":
            name = body["metadata"]["generateName"] + str(world.number())
            return world.add(kind, name, {}, **{key: value for key, value in body.items() if key != "metadata"})
        if method == "GET" and not name:
            return self.page([item for _, item in sorted(objects.items()) if self.selects(item, query)], query)
        if name not in objects:
            raise Conflict("Not Found")
        if method == "GET":
            return objects[name]
        if method == "PATCH":
            if body["metadata"]["resourceVersion"] != objects[name]["metadata"]["resourceVersion"]:
                raise Conflict("Conflict")
            if not all(re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key) for key in body["data"]):
                raise Refused(422, "a valid config key must consist of alphanumeric characters, '-', '_' or '.'")
            data = {**objects[name].get("data", {}), **body["data"]}
            objects[name] = {"metadata": {**objects[name]["metadata"], "resourceVersion": str(world.number() + 1)}}
            objects[name]["data"] = {key: value for key, value in data.items() if value is not None}
            return objects[name]
        if body["preconditions"]["uid"] != objects[name]["metadata"]["uid"]:
            raise Conflict("Conflict")
        world.on_delete(kind, objects[name])
        if kind == "Job":
            world.delete_job(objects[name])
        else:
            del objects[name]
        return {}

    def selects(self, item, query):
        labels = item["metadata"].get("labels", {})
        status = item.get("status", {})
        fields = {
            "metadata.name": item["metadata"]["name"],
            "status.phase": status.get("phase") if isinstance(status, dict) else None,
            "involvedObject.uid": item.get("involvedObject", {}).get("uid"),
        }
        for key, _, value in (each.partition("=") for each in query.get("labelSelector", "").split(",") if each):
            if key not in labels or value and labels[key] != value:
                return False
        for key, _, value in (each.partition("=") for each in query.get("fieldSelector", "").split(",") if each):
            if (fields.get(key.rstrip("!")) == value) is key.endswith("!"):
                return False
        return True

    def page(self, items, query):
        start = int(query.get("continue") or 0)
        end = start + query["limit"]
        self.world.tell()
        metadata = {"continue": str(end)} if end < len(items) else {}
        metadata["resourceVersion"] = str(len(self.world.events))
        return {"items": items[start:end] or None, "metadata": metadata}


class Prefect:
    def __init__(self, world):
        self.world = world

    def run(self, run_id):
        run = self.world.runs[run_id]
        return Run(run_id, run["state"], run["state"] in FINAL, run["version"], run["heartbeat"])

    def runs(self, ids):
        return self.world.request("flow_run", lambda: {run_id: self.run(run_id) for run_id in ids if self.knows(run_id)})

    def knows(self, run_id):
        return run_id in self.world.runs and run_id not in self.world.hidden

    def tasks_of(self, run_id):
        return [Task(**task) for task in self.world.runs[run_id]["tasks"] if task["state"] in ("Running", "Submitted", *WAITING)]

    def tasks(self, ids):
        return self.world.request("flow_run", lambda: {run_id: self.tasks_of(run_id) for run_id in ids if self.knows(run_id)})

    def closely(self, run_id):
        def answer():
            return (self.run(run_id), self.tasks_of(run_id)) if self.knows(run_id) else (None, [])

        return self.world.request("flow_run", answer)

    def set_run(self, run, state, message):
        def carry_out():
            if self.world.version_locking and run.version != self.world.runs[run.id]["version"]:
                raise Conflict("the run has changed")
            self.world.on_set_run(run.id, state)
            self.world.set(run.id, state)

        self.world.request("set_flow_run_states", carry_out)

    def set_tasks(self, task_runs, state, message):
        ids = {task_run.id for task_run in task_runs}

        def carry_out():
            self.world.on_set_tasks(ids)
            for task in (task for run in self.world.runs.values() for task in run["tasks"] if task["id"] in ids):
                task["state"] = state
                task["version"] += 1

        self.world.request("set_task_run_states", carry_out)


def ledger(world, name=LEDGER):
    return read(world.objects["ConfigMap"].get(name, {}).get("data", {}))[0].runs


def running(world, **job):
    run = world.schedule(tasks=1)
    job = world.submit(run, **job)
    world.start(world.pods_of(job)[0])
    world.runs[run]["tasks"][0]["state"] = "Running"
    return run, job


def see_alive(world, sweeper, *runs):
    """Lets a sweeper see that flow runs live."""
    world.sweep(sweeper)
    for _ in range(BEATS):
        world.pass_time(INTERVAL)
        for run in runs:
            world.beat(run)
        world.sweep(sweeper)


def history_of(rule, world):
    """Something for one rule to put right, and nothing for the others. Gives the sweeper that has seen what was before."""
    run, job = running(world, on_eviction="run-again" if rule == "run_again" else "")
    flow_pod = world.pods_of(job)[0]["metadata"]["name"]
    sweeper = world.sweeper()
    see_alive(world, sweeper, run)
    if rule == "finished_jobs":
        world.set(run, "Success")
    if rule == "cancelling_runs":
        world.set(run, "Cancelling")
    if rule == "unstartable_jobs":
        world.pods_of(job)[0]["status"] = {"phase": "Pending"}
    if rule == "lost_runs":
        world.delete_job(job)
    if rule == "run_again":
        world.evict(job)
    if "dask" in rule:
        cluster = world.dask_cluster(flow_pod)
        next(item for kind, item in world.of_cluster(cluster) if kind == "Pod")["metadata"]["labels"]["dask.org/component"] = "worker"
        for item in world.objects["Pod"].values():
            if item["metadata"]["labels"].get("dask.org/component") == "worker" and rule == "finished_dask_workers":
                item["status"] = {"phase": "Succeeded"}
    if rule == "orphaned_dask_clusters":
        world.set(run, "Success")
        world.delete_job(job)
    return sweeper
