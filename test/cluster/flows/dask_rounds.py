"""A flow on a Dask cluster of its own: two mapped rounds of tasks, whose result it logs.

Its pod's variables say which cluster: DASK_WORKERS how many workers, DASK_TEMPLATE what their pods are made from, or `adapt`, or
`local` for none at all. The parameter `seconds` is how long each task of the second round takes; with the parameter `gate` it goes on
after that until this URL answers 200.
"""

import os
import time
from urllib.request import urlopen

import prefect
from dask_kubernetes import make_pod_spec
from prefect import Flow, Parameter, task, unmapped
from prefect.executors import DaskExecutor, LocalExecutor

IMAGE = os.environ.get("PREFECT__CONTEXT__IMAGE", "")
# What Pod Security "restricted" asks of a template that is the flow's own.
POD = {"securityContext": {"runAsNonRoot": True, "runAsUser": 20000, "seccompProfile": {"type": "RuntimeDefault"}}}
CONTAINER = {"securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}


def dict_of_a_pod():
    args = ["dask-worker", "$(DASK_SCHEDULER_ADDRESS)", "--nthreads=1", "--death-timeout=60"]
    container = {"name": "worker", "image": IMAGE, "args": args, **CONTAINER}
    return {"metadata": {}, "spec": {"restartPolicy": "Never", "containers": [container], **POD}}


TEMPLATES = {
    "none": lambda: None,
    "path": lambda: "/etc/prefect/dask/worker.yaml",
    "dict": dict_of_a_pod,
    "V1Pod": lambda: make_pod_spec(image=IMAGE, extra_pod_config=POD, extra_container_config=CONTAINER),
}


def executor():
    template = os.environ.get("DASK_TEMPLATE", "none")
    workers = int(os.environ.get("DASK_WORKERS", "1"))
    if template == "local":
        return LocalExecutor()
    if template == "adapt":
        return DaskExecutor(cluster_class="dask_kubernetes.KubeCluster", adapt_kwargs={"minimum": 1, "maximum": workers})
    return DaskExecutor(
        cluster_class="dask_kubernetes.KubeCluster",
        cluster_kwargs={"n_workers": workers, "pod_template": TEMPLATES[template]()},
    )


@task
def square(number):
    prefect.context.get("logger").debug("squares %s", number)
    return number * number


def is_open(gate):
    try:
        return urlopen(gate, timeout=5).status == 200
    except OSError:
        return False


@task
def wait(number, seconds, gate):
    time.sleep(seconds)
    while gate and not is_open(gate):
        time.sleep(1)
    return -number


@task
def gather(numbers):
    return numbers


def report(flow, state, of_last_tasks):
    for last in of_last_tasks:
        prefect.context.get("logger").info("result: %s", last.result)
    return state


with Flow("dask_rounds", executor=executor(), terminal_state_handler=report) as flow:
    squares = square.map(Parameter("numbers", default=[1, 2, 3, 4]))
    gather(wait.map(squares, unmapped(Parameter("seconds", default=0)), unmapped(Parameter("gate", default=None))))
