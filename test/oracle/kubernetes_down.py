"""What the real agent does with one flow run while Kubernetes and Prefect answer as a question says: one JSON object a line."""

import json
import logging
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[2] / "lib" / "agent" / "program"))

import kubernetes_down
from kubernetes.client import BatchV1Api
from kubernetes.client.rest import ApiException
from prefect.agent.kubernetes import KubernetesAgent
from prefect.engine.state import Scheduled
from prefect.utilities.graphql import GraphQLResult

kubernetes_down.PAUSE = 0
STOCK = (KubernetesAgent.deploy_flow, KubernetesAgent._mark_flow_as_submitted)


class Agent(KubernetesAgent):
    def __init__(self, client):
        self.client, self.batch_client, self.namespace, self.name = client, BatchV1Api(), "flows", "agent"
        self.logger = logging.getLogger("silent")
        self.logger.disabled = True

    def generate_job_spec(self, flow_run):
        return {"metadata": {"name": "job"}}


class Prefect:
    """Knows one flow run. It does not answer the first questions about it, and meanwhile others set its state."""

    def __init__(self, question):
        self.states, self.silent, self.others = ["Scheduled"], question.get("silent", 0), question.get("others", [])
        self.takes_logs = question.get("takesLogs", True)

    def set_flow_run_state(self, flow_run_id, state, version=None):
        self.states.append(type(state).__name__)
        return state

    def graphql(self, query):
        if self.silent:
            self.silent -= 1
            raise ConnectionError("no answer")
        self.states += self.others
        self.others = []
        return GraphQLResult(data=GraphQLResult(flow_run=[GraphQLResult(state=self.states[-1], version=len(self.states))]))

    def write_run_logs(self, logs):
        if not self.takes_logs:
            raise ValueError("Writing logs failed.")


def deploy(question):
    told_to_end, left = threading.Event(), list(question["answers"])

    def create(self, *args, **kwargs):
        if not left:
            told_to_end.set()
        answer = left.pop(0) if left else 503
        if answer != 201:
            status, _, reason = str(answer).partition(" ")
            error = ApiException(status=int(status), reason=reason)
            error.body = json.dumps({"kind": "Status", "reason": reason, "code": int(status)})
            raise error

    KubernetesAgent.deploy_flow, KubernetesAgent._mark_flow_as_submitted = STOCK
    BatchV1Api.create_namespaced_job = create
    kubernetes_down.wait_for_kubernetes(told_to_end)
    prefect = Prefect(question)
    state = Scheduled().serialize()
    run = GraphQLResult(id="run", state="Scheduled", version=1, serialized_state=state, task_runs=[])
    try:
        Agent(prefect)._deploy_flow_run(run)
    except (SystemExit, ValueError) as error:
        return {"states": prefect.states, "left": left, "ends": type(error).__name__}
    return {"states": prefect.states, "left": left}


def deploy_two(question):
    """Two flow runs, of which Kubernetes does not take the Job of the first, and the minutely look of the agent at its Jobs."""
    told_to_end, again, refused, made = threading.Event(), threading.Event(), [], []

    def create(self, namespace, body):
        if body["metadata"]["name"] == "first":
            if refused:
                again.set()
            refused.append(body)
            raise ApiException(status=504)
        made.append(body["metadata"]["name"])

    def list_jobs(self, *args, **kwargs):
        if question["down"]:
            raise RuntimeError("Kubernetes does not list Jobs")
        return BatchV1Api().api_client.deserialize(SimpleNamespace(data='{"metadata": {}, "items": []}'), "V1JobList")

    KubernetesAgent.deploy_flow, KubernetesAgent._mark_flow_as_submitted = STOCK
    BatchV1Api.create_namespaced_job, BatchV1Api.list_namespaced_job = create, list_jobs
    kubernetes_down.wait_for_kubernetes(told_to_end)
    threads = []
    for name in ("first", "second"):
        agent = Agent(Prefect({}))
        agent.generate_job_spec = lambda flow_run: {"metadata": {"name": flow_run.id}}
        run = GraphQLResult(id=name, state="Scheduled", version=1, serialized_state=Scheduled().serialize(), task_runs=[])
        threads.append(threading.Thread(target=agent._deploy_flow_run, args=[run]))
        threads[-1].start()
        again.wait()
    for _ in range(question["looks"]):
        with suppress(RuntimeError):
            agent.manage_jobs()
        # Longer than a waiting flow run sleeps.
        threads[1].join(2)
    told_to_end.set()
    for thread in threads:
        thread.join()
    return {"made": made, "states": agent.client.states}


for line in sys.stdin:
    question = json.loads(line)
    print(json.dumps({"answer": deploy_two(question) if "looks" in question else deploy(question)}), flush=True)
