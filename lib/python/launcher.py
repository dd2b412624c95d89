"""Starts the stock Prefect agent with an API key from a file, leaves signs of life for the pod's probes, and mends its Jobs.

usage: launcher.py --signs DIRECTORY [--api-key-file FILE --api-key-secret NAME/KEY] agent kubernetes start [OPTION ...]

`alive` in DIRECTORY is touched before each request that the polling loop sends, `polled` after each answer to "what is
ready to run?". The agent's own /api/health answers even when its loop is stuck, so it proves neither.

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
