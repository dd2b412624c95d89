"""A Kubernetes and a Prefect in memory, as a sweeper sees them: each request is one call, which can fail, get lost or be the last."""

import json
from copy import deepcopy
from datetime import datetime, timezone
from uuid import UUID

import clients
from clients import Conflict
from rules import Rules, Run
from signs import Signs
from sweeper import Sweeper, one_pass

NAMESPACE = "flows"
LEDGER = "sweeper-flows"
FINAL = ("Success", "Failed", "Cancelled")
RULES = Rules(180, 300, 600, 90, 0, 60)


class Killed(BaseException):
    """The sweeper's process ends here."""


class Broken(Exception):
    """A request fails."""


class World:
    def __init__(self, version_locking=True):
        self.time = 1_700_000_000.0
        # Objects of Kubernetes by kind and name.
        self.objects = {kind: {} for kind in clients.KINDS}
        self.objects["ConfigMap"][LEDGER] = {"metadata": {"name": LEDGER, "resourceVersion": "1"}}
        # Flow runs of Prefect by id: state, version, heartbeat, tasks.
        self.runs = {}
        self.version_locking = version_locking
        self.numbers = 0
        self.calls = []
        # What happens to calls, by their number: "fail", "lose", "kill before", "kill after", or a function.
        self.faults = {}
        self.on_delete = lambda kind, item: None
        self.on_set_run = lambda run_id, state: None

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

    # What an agent, Kubernetes and flows do.

    def schedule(self, tasks=0):
        run_id = self.uid()
        self.runs[run_id] = {"state": "Scheduled", "version": 1, "heartbeat": None, "tasks": []}
        self.runs[run_id]["tasks"] = [{"id": self.uid(), "state": "Pending", "version": 0} for _ in range(tasks)]
        return run_id

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
        spec = {"template": {"spec": {"containers": [{"env": env}]}}}
        if deadline:
            spec["activeDeadlineSeconds"] = deadline
        job = self.add("Job", f"prefect-job-{self.number():08x}", labels, spec=spec, status={"startTime": self.stamp()})
        self.pod_of(job)
        return job

    def pod_of(self, job):
        owner = {"kind": "Job", "uid": job["metadata"]["uid"]}
        pod = self.add("Pod", f"{job['metadata']['name']}-abcde", dict(job["metadata"]["labels"]), status={"phase": "Pending"})
        pod["metadata"]["ownerReferences"] = [owner]
        return pod

    def pods_of(self, job):
        uid = job["metadata"]["uid"]
        return [pod for pod in self.objects["Pod"].values() if any(o["uid"] == uid for o in pod["metadata"].get("ownerReferences", []))]

    def start(self, pod):
        pod["status"] = {"phase": "Running"}
        self.set(pod["metadata"]["labels"]["prefect.io/flow_run_id"], "Running")

    def end_job(self, job, how):
        job["status"]["conditions"] = [{"type": how, "status": "True"}]

    def evict(self, job):
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

    def sweeper(self, rules=RULES, dry_run=False):
        return Sweeper(Kubernetes(self), Prefect(self), rules, ("home", "sweeper"), Signs([NAMESPACE]), dry_run, lambda: self.time)

    def sweep(self, sweeper):
        """One pass, in which the sweeper may be killed. Says whether it was."""
        self.calls = []
        try:
            one_pass(sweeper, NAMESPACE)
        except Killed:
            return True
        return False

    def pass_time(self, seconds):
        self.time += seconds

    def request(self, what, carry_out):
        number = len(self.calls)
        self.calls.append(what)
        fault = self.faults.get(number)
        if fault == "kill before":
            raise Killed
        if fault == "fail":
            raise Broken(what)
        if callable(fault):
            fault()
        answer = carry_out()
        if fault == "kill after":
            raise Killed
        if fault == "lose":
            raise Broken(what)
        return answer

    def outcome(self):
        """What there is in the end, by names that do not depend on the order of things."""
        objects = {kind: sorted(self.objects[kind]) for kind in ("Job", "Pod", "Service", "PodDisruptionBudget")}
        return objects, {run_id: (run["state"], [task["state"] for task in run["tasks"]]) for run_id, run in self.runs.items()}


class Kubernetes(clients.Kubernetes):
    def __init__(self, world):
        self.world = world

    def call(self, method, path, body=None, content=clients.JSON, accept=clients.JSON, **query):
        return deepcopy(self.world.request(f"{method} {path}", lambda: self.carry_out(method, path, body, query)))

    def carry_out(self, method, path, body, query):
        world = self.world
        namespace = "home" if "/home/" in path else NAMESPACE
        kind = next(k for k, (_, p) in clients.KINDS.items() if (path + "/").startswith(p.format(namespace) + "/"))
        name = path[len(clients.KINDS[kind][1].format(namespace)) + 1 :]
        objects = world.objects[kind]
        if method == "POST":
            name = body["metadata"]["generateName"] + str(world.number())
            return world.add(kind, name, {}, reason=body["reason"], message=body["message"])
        if method == "GET" and not name:
            return self.page([item for _, item in sorted(objects.items()) if self.selects(item, query)], query)
        if name not in objects:
            raise Conflict("Not Found")
        if method == "GET":
            return objects[name]
        if method == "PATCH":
            if body["metadata"]["resourceVersion"] != objects[name]["metadata"]["resourceVersion"]:
                raise Conflict("Conflict")
            data = {**objects[name].get("data", {}), **body["data"]}
            objects[name] = {"metadata": {"name": name, "resourceVersion": str(world.number() + 1)}}
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
        fields = {"metadata.name": item["metadata"]["name"], "status.phase": item.get("status", {}).get("phase")}
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
        metadata = {"continue": str(end)} if end < len(items) else {}
        return {"items": items[start:end] or None, "metadata": metadata}


class Prefect:
    def __init__(self, world):
        self.world = world

    def run(self, run_id):
        run = self.world.runs[run_id]
        return Run(run_id, run["state"], run["state"] in FINAL, run["version"], run["heartbeat"])

    def runs(self, ids):
        return self.world.request("flow_run", lambda: {run_id: self.run(run_id) for run_id in ids if run_id in self.world.runs})

    def waiting(self, ids):
        def is_waiting(run_id):
            return any(task["state"] in clients.WAITING for task in self.world.runs[run_id]["tasks"])

        return self.world.request("flow_run", lambda: {run_id for run_id in ids if run_id in self.world.runs and is_waiting(run_id)})

    def closely(self, run_id):
        def answer():
            return (self.run(run_id), deepcopy(self.world.runs[run_id]["tasks"])) if run_id in self.world.runs else (None, [])

        return self.world.request("flow_run", answer)

    def set_run(self, run, state, message):
        def carry_out():
            if self.world.version_locking and run.version != self.world.runs[run.id]["version"]:
                raise Conflict("the run has changed")
            self.world.on_set_run(run.id, state)
            self.world.set(run.id, state)

        self.world.request("set_flow_run_states", carry_out)

    def set_task(self, task_run, state, message):
        def carry_out():
            task = next(task for run in self.world.runs.values() for task in run["tasks"] if task["id"] == task_run["id"])
            task["state"] = state
            task["version"] += 1

        self.world.request("set_task_run_states", carry_out)


def ledger(world):
    return {run_id: json.loads(text) for run_id, text in world.objects["ConfigMap"][LEDGER].get("data", {}).items()}


def running(world, **job):
    run = world.schedule(tasks=1)
    job = world.submit(run, **job)
    world.start(world.pods_of(job)[0])
    world.runs[run]["tasks"][0]["state"] = "Running"
    return run, job


def history_of(rule, world):
    """Something for one rule to put right, and nothing for the others. Gives the sweeper that has seen what was before."""
    run, job = running(world, on_eviction="run-again" if rule == "run_again" else "")
    flow_pod = world.pods_of(job)[0]["metadata"]["name"]
    sweeper = world.sweeper()
    world.sweep(sweeper)
    if rule == "finished_jobs":
        world.set(run, "Success")
    if rule == "cancelling_runs":
        world.set(run, "Cancelling")
    if rule == "unstartable_jobs":
        world.pods_of(job)[0]["status"] = {"phase": "Pending"}
    if rule in ("lost_runs", "run_again"):
        world.delete_job(job)
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
