"""The real Kubernetes agent, but its Jobs are processes of this machine: agent.py [AGENT_CONFIG_ID]

What it is told, it is told as in a pod: by its environment. It ends with its Jobs.
"""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import patch

from prefect.agent.kubernetes import KubernetesAgent


class Jobs:
    """The part of Kubernetes' API that the agent uses."""

    def __init__(self):
        self.jobs = {}

    def create_namespaced_job(self, namespace, body):
        container = body["spec"]["template"]["spec"]["containers"][0]
        env = {entry["name"]: entry["value"] for entry in container["env"]}
        labels = body["metadata"]["labels"]
        # a group of its own: a pod ends with all of its processes, also the one that sends heartbeats
        process = subprocess.Popen(container["args"], env={**os.environ, **env}, start_new_session=True)
        self.jobs[body["metadata"]["name"]] = (labels, process)

    def list_namespaced_job(self, **_):
        items = [
            SimpleNamespace(
                metadata=SimpleNamespace(name=name, labels=labels),
                status=SimpleNamespace(failed=0, succeeded=int(process.poll() == 0)),
            )
            for name, (labels, process) in self.jobs.items()
        ]
        return SimpleNamespace(items=items, metadata=SimpleNamespace(_continue=None))

    def list_namespaced_pod(self, **_):
        return SimpleNamespace(items=[])

    def delete_namespaced_job(self, name, **_):
        del self.jobs[name]

    def end(self):
        for _, process in self.jobs.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


jobs = Jobs()
with patch("prefect.utilities.kubernetes.get_kubernetes_client", lambda *_, **__: jobs):
    agent = KubernetesAgent(agent_config_id=sys.argv[1] if len(sys.argv) > 1 else None)
agent.heartbeat_period = 1
try:
    agent.start()
finally:
    jobs.end()
