"""Starts the stock Prefect agent with an API key from a file, leaves signs of life for the pod's probes, asks Kubernetes with
patience, and mends its Jobs.

usage: launcher.py --signs DIRECTORY [--api-key-file FILE --api-key-secret NAME/KEY] agent kubernetes start [OPTION ...]

`alive` in DIRECTORY is touched before each request that the polling loop sends, `polled` after each answer to "what is
ready to run?". The agent's own /api/health answers even when its loop is stuck, so it proves neither.

The agent would wait without end for Kubernetes on a connection that has died in silence, and submit no flow run meanwhile; and where
it may not list Jobs, ask again and again without a pause or a word. Here a request ends in time, and that fault is an error in the
log, once a minute.

In every Job the API key becomes a reference to the Secret, and the labels `cdk8s-prefect/...` of the agent's Job template are
added, also where a flow brings a template of its own; and one that says so if the agent keeps finished Jobs.
"""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Optional

# Seconds to connect and to read. An API server itself ends a request after a minute.
KUBERNETES_TIMEOUT = (10, 60)


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--signs", type=Path, required=True)
    parser.add_argument("--api-key-file", type=Path)
    parser.add_argument("--api-key-secret", metavar="NAME/KEY")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()

    # The directory outlives a container that is restarted, so what the last one left there is out of date.
    alive, polled = options.signs / "alive", options.signs / "polled"
    alive.touch()
    if polled.exists():
        polled.unlink()

    command = options.command
    if options.api_key_file:
        key = options.api_key_file.read_text().strip()
        if not key:
            sys.exit(f"{options.api_key_file} is empty: put the Prefect API key into the Secret that is mounted there")
        # Not by environment: Prefect would expand `$` in it, and read a key of digits as a number.
        command.append(f"--key={key}")

    # Kubernetes says SIGTERM; the agent finishes what it is submitting on SIGINT only.
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))

    leave_signs(alive, polled)
    ask_with_patience()
    mend_jobs(options.api_key_secret)
    from prefect.cli import cli

    cli(command, prog_name="prefect")


def leave_signs(alive: Path, polled: Path) -> None:
    from prefect.agent.kubernetes import KubernetesAgent
    from prefect.client import Client

    send, poll = Client._send_request, KubernetesAgent._get_ready_flow_runs

    def send_request(self, *args, **kwargs):
        # At each request, not at each poll: when the API limits its rate, the client sleeps for minutes within one poll.
        if threading.current_thread() is threading.main_thread():
            alive.touch()
        return send(self, *args, **kwargs)

    def get_ready_flow_runs(self, *args, **kwargs):
        runs = poll(self, *args, **kwargs)
        polled.touch()
        return runs

    Client._send_request = send_request
    KubernetesAgent._get_ready_flow_runs = get_ready_flow_runs


def ask_with_patience() -> None:
    from kubernetes.client import BatchV1Api
    from kubernetes.client.rest import ApiException, RESTClientObject

    request, list_jobs = RESTClientObject.request, BatchV1Api.list_namespaced_job

    def request_in_time(self, *args, **kwargs):
        kwargs["_request_timeout"] = kwargs.get("_request_timeout") or KUBERNETES_TIMEOUT
        return request(self, *args, **kwargs)

    def list_namespaced_job(self, *args, **kwargs):
        try:
            return list_jobs(self, *args, **kwargs)
        except ApiException as error:
            # The agent begins a list anew when its pages have expired. Any other fault it takes for one that is over at once.
            if error.status == 410:
                raise
            raise RuntimeError(f"Kubernetes does not list Jobs: {error.status} {error.reason}") from error

    RESTClientObject.request = request_in_time
    BatchV1Api.list_namespaced_job = list_namespaced_job


def mend_jobs(api_key_secret: Optional[str]) -> None:
    import yaml
    from prefect.agent.kubernetes import KubernetesAgent

    build = KubernetesAgent.generate_job_spec

    def generate_job_spec(self, flow_run):
        job = build(self, flow_run)
        if api_key_secret:
            name, key = api_key_secret.split("/")
            for entry in job["spec"]["template"]["spec"]["containers"][0]["env"]:
                if entry["name"] in ("PREFECT__CLOUD__API_KEY", "PREFECT__CLOUD__AUTH_TOKEN"):
                    del entry["value"]
                    entry["valueFrom"] = {"secretKeyRef": {"name": name, "key": key}}
        template = yaml.safe_load(Path(self.job_template_path).read_text())
        labels = {label: value for label, value in template["metadata"].get("labels", {}).items() if label.startswith("cdk8s-prefect/")}
        if not self.delete_finished_jobs:
            labels["cdk8s-prefect/finished-jobs"] = "keep"
        for label, value in labels.items():
            job["metadata"]["labels"].setdefault(label, value)
            job["spec"]["template"]["metadata"]["labels"].setdefault(label, value)
        return job

    KubernetesAgent.generate_job_spec = generate_job_spec


if __name__ == "__main__":
    main()
