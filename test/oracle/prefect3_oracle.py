"""Asks the real Kubernetes worker of Prefect 3. Lines of standard input are questions, lines of standard output their answers, all JSON.

jobs:     the Jobs that a worker of this environment creates of a base job template, one for each run; nothing is asked of a server
"""

import asyncio
import json
import sys
import traceback
import uuid

import prefect_kubernetes.worker as module
from prefect.client.schemas.objects import Flow, FlowRun, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect_kubernetes.worker import KubernetesWorker, KubernetesWorkerJobConfiguration

created = []


class Jobs:
    """Where the worker's request to Kubernetes would go."""

    def __init__(self, _client) -> None:
        pass

    async def create_namespaced_job(self, namespace: str, manifest: dict) -> None:
        created.append({"namespace": namespace, "manifest": manifest})


module.BatchV1Api = Jobs


async def job(template: dict, question: dict) -> dict:
    run = question["run"]
    flow = Flow(id=run["flowId"], name=run["flowName"])
    deployment = DeploymentResponse(
        id=run["deploymentId"],
        name=run["deploymentName"],
        flow_id=flow.id,
        job_variables=question["deploymentVariables"],
        concurrency_options=None,
    )

    class Client:
        """Blocks and Prefect variables would be asked of it."""

        async def read_flow(self, _id):
            return flow

        async def read_deployment(self, _id):
            return deployment

    configuration = await KubernetesWorkerJobConfiguration.resolve_for_flow_run(
        FlowRun(id=run["id"], flow_id=flow.id, deployment_id=deployment.id, name=run["name"], job_variables=question["runVariables"]),
        client=Client(),
        work_pool=WorkPool(
            id=run["workPoolId"], name=run["workPoolName"], type="kubernetes", base_job_template=template, default_queue_id=uuid.UUID(int=5)
        ),
        worker_name=run["workerName"],
        worker_id=uuid.UUID(run["workerId"]),
        deployment=deployment,
    )
    created.clear()
    await KubernetesWorker(work_pool_name=run["workPoolName"], name=run["workerName"])._create_job(configuration, None)
    return created[0]


async def jobs(question: dict) -> list:
    return [await job(question["template"], run) for run in question["runs"]]


def main() -> None:
    answers = {"jobs": jobs}
    for line in sys.stdin:
        [(name, value)] = json.loads(line).items()
        try:
            result = {"answer": asyncio.run(answers[name](value))}
        except Exception:
            result = {"error": traceback.format_exc()}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
