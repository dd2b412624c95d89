"""One odd answer, to any request of any pass, ends neither the process nor a healthy flow run."""

import json

import cluster
import prefect_api
import pytest
import world as worlds
from world import FINAL, INTERVAL, NAMESPACE, World, history_of, running

# The bodies of answers, as a proxy, another program at this address or a broken server may give them.
BODIES = [
    "",
    "<html><body>502 Bad Gateway</body></html>",
    "null",
    "[]",
    "{}",
    "0",
    '"text"',
    '{"metadata": null, "items": null, "data": null}',
    '{"metadata": {}, "items": {}, "data": {"data": {}}}',
    '{"metadata": {"resourceVersion": null}, "items": [null], "data": {"flow_run": null}}',
    '{"metadata": {"resourceVersion": 7}, "items": [[]], "data": {"flow_run": {}}}',
    '{"metadata": {"resourceVersion": ""}, "items": [], "data": {"flow_run": [null]}}',
    '{"metadata": {"resourceVersion": "7", "continue": 7}, "items": [{"metadata": []}], "data": {"flow_run": [{}]}}',
    '{"metadata": [], "items": "", "spec": [], "data": [], "data": {"flow_run": [[]]}}',
]


class Odd(World):
    """Answers some requests with an odd body."""

    def __init__(self):
        super().__init__(version_locking=False)
        self.body, self.is_odd = "", lambda call: False

    def sweeper(self, **options):
        sweeper = super().sweeper(**options)
        sweeper.kubernetes = sweeper.leases.kubernetes = sweeper.witness.kubernetes = sweeper.actor.kubernetes = Kubernetes(self)
        sweeper.prefect = sweeper.actor.prefect = Prefect(self)
        return sweeper

    def said(self, answer):
        """What is read of an answer: that of the request at hand, or the odd one."""
        return json.loads(self.body if self.is_odd(self.calls[-1]) else json.dumps(answer))


class Kubernetes(worlds.Kubernetes):
    def call(self, *args, **query):
        return self.world.said(super().call(*args, **query))

    def watch(self, path, seconds, each, **query):
        events = []
        super().watch(path, seconds, lambda *event: events.append(event), **query)
        for event in self.world.said([{"type": kind, "object": item} for kind, item in events]):
            each(event["type"], event["object"])


class Prefect(prefect_api.Prefect):
    """The program's own reading of what Prefect's client returns."""

    def __init__(self, world):
        self.world = world
        self.client = self.once = Client(world)
        self.final = set(FINAL)
        self.states = {state: State for state in (*FINAL, "Scheduled", "Submitted", "Running", "Cancelling", "Pending", "Retrying")}

    def set_states(self, kind, runs, state, message):
        def carry_out():
            for run_id, _ in runs:
                if kind == "flow":
                    self.world.set(run_id, state)
                for task in (task for run in self.world.runs.values() for task in run["tasks"] if task["id"] == run_id):
                    task.update(state=state, version=task["version"] + 1)
            return {"data": {}}

        self.world.said(self.world.request(f"set_{kind}_run_states", carry_out))


class State:
    pass


class Client:
    def __init__(self, world):
        self.world = world

    def graphql(self, query, variables, retry_on_api_error):
        world = self.world

        def row(run_id):
            run = world.runs[run_id]
            tasks = [task for task in run["tasks"] if task["state"] in ("Running", "Submitted", *prefect_api.WAITING)]
            return {
                **{key: run[key] for key in ("state", "version", "heartbeat")},
                "id": run_id,
                "task_runs": [{**task, "task": {"max_retries": int(task["may_retry"])}} for task in tasks],
            }

        wanted = [run_id for run_id in variables["where"]["id"]["_in"] if worlds.Prefect.knows(self, run_id)]
        answer = world.said(world.request("flow_run", lambda: {"data": {"flow_run": [row(run_id) for run_id in wanted]}}))
        # As prefect.utilities.graphql.GraphQLResult.
        return Answer(answer)


class Answer:
    def __init__(self, answer):
        if not isinstance(answer, dict):
            raise ValueError("Prefect's client reads objects alone")
        self.answer = answer

    def to_dict(self):
        return self.answer


def story(scenario):
    """A flow run for the sweeper to put right beside two that are healthy, of which one has no heartbeat."""
    world = Odd()
    healthy = [running(world) for _ in range(2)]
    sweeper = history_of(scenario, world)
    return world, sweeper, healthy


def states_of(world, flow_runs):
    """Of each: its state, the number of its states, and whether its Job is there."""
    there = world.objects["Job"]
    return [(world.runs[run]["state"], world.runs[run]["version"], job["metadata"]["name"] in there) for run, job in flow_runs]


def go_on(world, sweeper, healthy, seconds):
    for _ in range(0, int(seconds), INTERVAL):
        world.pass_time(INTERVAL)
        world.beat(healthy[0][0])
        assert not world.sweep(sweeper)


def acts(scenario):
    """How many passes there are before the one that acts, and how many requests that makes."""
    world, sweeper, healthy = story(scenario)
    for passes in range(100):
        before = world.outcome()
        go_on(world, sweeper, healthy, INTERVAL)
        if world.outcome() != before:
            return passes, len(world.calls)
    raise AssertionError(f"{scenario}: nothing was done")


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("scenario", ["unstartable_jobs", "run_again", "orphaned_dask_clusters"])
def test_one_odd_answer_does_no_harm(scenario, body):
    passes, calls = acts(scenario)
    for number in range(calls):
        world, sweeper, healthy = story(scenario)
        go_on(world, sweeper, healthy, passes * INTERVAL)
        before = states_of(world, healthy)
        world.body, world.is_odd = body, lambda call, number=number, world=world: len(world.calls) - 1 == number
        go_on(world, sweeper, healthy, INTERVAL)
        world.is_odd = lambda call: False
        go_on(world, sweeper, healthy, 3 * INTERVAL)
        assert states_of(world, healthy) == before, (number, world.calls)


# What no API server says: there is neither a list in these, nor a version.
NO_LIST = [body for body in BODIES if '"items": []' not in body]


@pytest.mark.parametrize("body", NO_LIST)
@pytest.mark.parametrize("kind", ["Job", "Pod"])
def test_hours_of_odd_answers_do_no_harm(kind, body):
    """A namespace that cannot be listed is not an empty one."""
    world, sweeper, healthy = story("finished_jobs")
    before = states_of(world, healthy)
    world.body, world.is_odd = body, lambda call: call == "GET " + cluster.KINDS[kind][1].format(NAMESPACE)
    go_on(world, sweeper, healthy, 2 * 60 * 60)
    assert states_of(world, healthy) == before


@pytest.mark.parametrize("version", ["null", "7", '""', "[]", "{}"])
def test_without_a_version_nothing_is_written(version):
    """The API server takes a write without one whatever has changed."""
    body = f'{{"metadata": {{"resourceVersion": {version}}}, "spec": {{}}, "data": {{}}}}'
    world, sweeper, healthy = story("run_again")
    for path in (f"/{NAMESPACE}/leases", "/home/configmaps/"):
        sent = []
        world.body, world.is_odd = body, lambda call, path=path: path in call
        world.request = lambda what, carry_out, sent=sent: sent.append(what) or World.request(world, what, carry_out)
        sweeper = world.sweeper()
        world.sweep(sweeper)
        world.sweep(sweeper)
        odd = [number for number, call in enumerate(sent) if path in call]
        # Each of them is the last request of its pass.
        assert [number for number in odd if sent[number].startswith(("PUT", "PATCH"))] == []
