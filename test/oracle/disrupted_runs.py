"""What the real agent does with Jobs and pods, with or without our launcher's part: one JSON object a line."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[2] / "lib" / "agent" / "program"))

from kubernetes.client import ApiClient, BatchV1Api, CoreV1Api
from kubernetes.client.rest import ApiException
from prefect.agent.kubernetes.agent import KubernetesAgent
from prefect.client import Client
from prefect.engine import state as states
from prefect.exceptions import ClientError


def objects(kind, items):
    return ApiClient().deserialize(SimpleNamespace(data=json.dumps({"metadata": {}, "items": items})), kind)


def manage(question):
    done = []
    BatchV1Api.list_namespaced_job = lambda self, namespace, **_: objects("V1JobList", question["jobs"])

    def list_pods(self, namespace, **_):
        if question.get("refused"):
            raise ApiException(status=403, reason="Forbidden")
        return objects("V1PodList", question["pods"])

    def set_state(self, flow_run_id, state):
        if question.get("unanswered"):
            raise ClientError("no answer")
        done.append(f"{type(state).__name__} {flow_run_id}")
        return state

    CoreV1Api.list_namespaced_pod = list_pods
    BatchV1Api.delete_namespaced_job = lambda self, name, **_: done.append(f"delete {name}")
    Client.get_flow_run_state = lambda self, _: getattr(states, question.get("state", "Running"))()
    Client.set_flow_run_state = set_state
    Client.write_run_logs = lambda *_: None
    if question["sweeper"]:
        from disrupted_runs import leave_disrupted_runs

        leave_disrupted_runs()
        from unfinished_runs import keep_jobs

        keep_jobs()
        from image_pulls import leave_image_pulls

        leave_image_pulls()
    agent = SimpleNamespace(
        namespace="flows",
        delete_finished_jobs=True,
        job_pod_event_timestamps={},
        batch_client=BatchV1Api(),
        core_client=CoreV1Api(),
        logger=SimpleNamespace(debug=lambda *_: None, error=lambda *_: None),
        client=Client.__new__(Client),
    )
    try:
        KubernetesAgent.manage_jobs(agent)
    except RuntimeError as error:
        done.append(str(error))
    return done


for line in sys.stdin:
    print(json.dumps({"answer": manage(json.loads(line))}), flush=True)
