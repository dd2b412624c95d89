"""Asks the real classic KubeCluster of dask-kubernetes. Each line of standard input is a question, each line of standard output its
answer, both JSON.

A question is a flow run's container and, for each of some flows in it, what it passes to KubeCluster. The answer is, for each flow, the
calls to the Kubernetes API from the cluster's start to its close, with each object as the API server received it.
"""

import asyncio
import contextvars
import itertools
import json
import os
import socket
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlparse

HOME = tempfile.TemporaryDirectory()
os.environ["HOME"] = HOME.name  # Dask reads, and writes, a configuration there
warnings.simplefilter("ignore")

import dask  # noqa: E402
import kubernetes  # noqa: E402
import kubernetes_asyncio  # noqa: E402
from dask_kubernetes.classic import KubeCluster  # noqa: E402
from dask_kubernetes.common.objects import make_pod_from_dict  # noqa: E402
from distributed import Scheduler  # noqa: E402

MOUNT = "/etc/prefect/dask"


class Api:
    """The Kubernetes API as one cluster sees it: what is created is there at once, and every pod runs."""

    current = contextvars.ContextVar("api")
    random = (f"{i:05}" for i in itertools.count())

    def __init__(self) -> None:
        self.calls = []
        self.objects = {}

    def request(self, verb: str, path: str, body=None) -> object:
        call = {"verb": verb, "path": path}
        self.calls.append(call)
        if verb == "create":
            call["object"] = body
            metadata = dict(body["metadata"])
            # https://github.com/kubernetes/kubernetes/blob/v1.29.0/staging/src/k8s.io/apiserver/pkg/storage/names/generate.go
            metadata.setdefault("name", metadata.get("generateName", "")[:58] + next(self.random))
            call["name"] = metadata["name"]
            created = {**body, "metadata": metadata}
            if path.endswith("/pods"):
                created["status"] = {"phase": "Running"}
            self.objects[f"{path}/{metadata['name']}"] = created
            return created
        if path.endswith("/log"):
            return "distributed.scheduler - INFO -   Scheduler at:     tcp://10.0.0.1:8786\n"
        return self.objects.pop(path) if verb == "delete" else self.objects[path]


class Rest:
    """In place of kubernetes_asyncio's HTTP client."""

    def __init__(self, *_, **__) -> None:
        self.api = Api.current.get()

    def GET(self, url, **_):
        return self.answer("get", url)

    def POST(self, url, body=None, **_):
        return self.answer("create", url, json.loads(json.dumps(body)))

    def DELETE(self, url, **_):
        return self.answer("delete", url)

    async def answer(self, verb, url, body=None):
        result = self.api.request(verb, urlparse(url).path, body)
        data = result if isinstance(result, str) else json.dumps(result)
        return SimpleNamespace(status=200, data=data.encode(), getheader=lambda *_: "application/json", getheaders=dict)

    async def close(self) -> None:
        pass


def replace_the_cluster(scheduler: Scheduler) -> None:
    """The API, the account's token, and the network: each Service leads to one real scheduler, which serves one cluster after another."""
    kubernetes_asyncio.client.rest.RESTClientObject = Rest
    kubernetes.config.load_incluster_config = kubernetes_asyncio.config.load_incluster_config = lambda: None

    resolve = socket.getaddrinfo
    port = int(scheduler.address.rsplit(":", 1)[1])

    def getaddrinfo(host, wanted, *args, **kwargs):
        to_service = isinstance(host, str) and host.startswith("dask-")
        return resolve("127.0.0.1", port, *args, **kwargs) if to_service else resolve(host, wanted, *args, **kwargs)

    async def stay(*_, **__) -> None:
        pass

    socket.getaddrinfo = getaddrinfo
    scheduler.handlers["terminate"] = stay


def hurry() -> None:
    """Each object of the Kubernetes clients has a configuration of its own, and to make and copy these takes most of the time."""
    for client in (kubernetes.client, kubernetes_asyncio.client):
        client.Configuration.debug = False
        client.Configuration.__deepcopy__ = lambda self, _: self


async def answer(question: dict) -> list:
    with tempfile.TemporaryDirectory() as root:
        for path, content in question["files"].items():
            file = Path(root + path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        # Exactly the container's environment, with what its image brings.
        os.environ.clear()
        os.environ.update({"PATH": "/usr/bin:/bin", "HOME": HOME.name})
        os.environ.update(
            {name: root + value if value.startswith(MOUNT + "/") else value for name, value in question["env"].items()}
        )
        dask.config.refresh()
        # At once: most of a cluster's life is waiting.
        return await asyncio.gather(*(start_and_close(root, flow) for flow in question["flows"]))


async def start_and_close(root: str, flow: dict) -> list:
    api = Api()
    Api.current.set(api)
    templates = {name: template(root, flow[name]) for name in ("pod_template", "scheduler_pod_template") if name in flow}
    async with KubeCluster(**templates, **flow.get("options", {}), asynchronous=True):
        pass
    return api.calls


def template(root: str, given: dict) -> object:
    [(kind, value)] = given.items()
    return {"path": lambda: root + value, "dict": lambda: value, "V1Pod": lambda: make_pod_from_dict(value)}[kind]()


async def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # where KubeCluster says how far it is
    async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
        replace_the_cluster(scheduler)
        hurry()
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            try:
                result = {"answer": await answer(json.loads(line))}
            except Exception:
                result = {"error": traceback.format_exc()}
            print(json.dumps(result), file=answers, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
