"""Writes the reason of a failed pod into the log of its flow run: one line, before the line of the agent itself.

The stock agent knows the exit code of the container, but no failed init container and no reason of the kubelet. It also writes the whole
termination message, which may be the end of a container log (`terminationMessagePolicy: FallbackToLogsOnError`). This module keeps one line
of it, without credentials. It keeps nothing if the flow was Running, because then Prefect has the log already, or must not have it.
"""

import re
import signal
import unicodedata
from typing import Iterator, Optional

LONGEST = 200

# `user:password@`, also without a scheme, which the kubelet may have cut off. It must not match the digest of an image.
PASSWORD = re.compile(r"[^\s/:@'\"=]*:(?!//)[^\s@]*@(?!sha256:)")
TOKEN = re.compile(r"://[^\s/?#@]*@")
# The query of a signed URL is a credential.
QUERY = re.compile(r"(://[^\s?#'\"]*)[?#][^\s'\"]*")
ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def last_line(message: Optional[str]) -> str:
    """The last line of a container log with text, without credentials and control characters."""
    for line in reversed(ESCAPE.sub("", message or "").splitlines()):
        line = "".join(c for c in line.replace("\t", " ") if c == " " or unicodedata.category(c)[0] not in "CZ").strip()
        if line:
            line = QUERY.sub(r"\1?***", TOKEN.sub("://***@", PASSWORD.sub("***@", line)))
            return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
    return ""


def say_why() -> None:
    from kubernetes.client import CoreV1Api
    from prefect.client import Client

    list_pods, get_state, write_logs = CoreV1Api.list_namespaced_pod, Client.get_flow_run_state, Client.write_run_logs
    # The flow run that the agent handles now: its state, and the reasons of its failed pods.
    states, reasons = {}, {}

    def get_flow_run_state(self, flow_run_id, *args, **kwargs):
        state = get_state(self, flow_run_id, *args, **kwargs)
        states.clear()
        reasons.clear()
        states[flow_run_id] = state
        return state

    def list_namespaced_pod(self, *args, **kwargs):
        pods = list_pods(self, *args, **kwargs)
        for pod in pods.items:
            run = (pod.metadata.labels or {}).get("prefect.io/flow_run_id")
            state = states.get(run)
            started = state is None or not (state.is_submitted() or state.is_scheduled())
            for status in statuses_of(pod):
                if status.state and status.state.terminated:
                    status.state.terminated.message = told(pod, status, started)
            if pod.status.phase == "Failed" and state is not None and not state.is_finished():
                reasons.setdefault(run, {})[pod.metadata.name] = why(pod, started)
        return pods

    def write_run_logs(self, logs):
        lines = []
        for log in logs:
            pod = re.match(r"Pod (\S+) failed\.", log.get("message") or "")
            reason = pod and log.get("name") == "k8s-infra" and reasons.get(log["flow_run_id"], {}).get(pod[1])
            lines += [{**log, "message": reason}, log] if reason else [log]
        return write_logs(self, lines)

    Client.get_flow_run_state = get_flow_run_state
    CoreV1Api.list_namespaced_pod = list_namespaced_pod
    Client.write_run_logs = write_run_logs


def statuses_of(pod) -> Iterator:
    yield from pod.status.init_container_statuses or []
    yield from pod.status.container_statuses or []


def told(pod, status, started: bool) -> Optional[str]:
    """The part of a termination message that is kept."""
    specs = [*(pod.spec.init_containers or []), *pod.spec.containers]
    spec = next((spec for spec in specs if spec.name == status.name), None)
    from_log = spec is None or spec.termination_message_policy == "FallbackToLogsOnError"
    if from_log and (started or not sends_logs(pod)):
        return None
    return last_line(status.state.terminated.message) or None


def sends_logs(pod) -> bool:
    env = [entry for container in pod.spec.containers for entry in container.env or []]
    return not any(entry.name == "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS" and entry.value == "false" for entry in env)


def why(pod, started: bool) -> str:
    main = pod.status.container_statuses or []
    begun = any(status.state and (status.state.running or status.state.terminated) for status in main)
    # A native sidecar is an init container too. It ends with its pod, so its end is no reason.
    kinds = [("container", main)] if begun else [("init container", pod.status.init_container_statuses or [])]
    ends = [end(kind, status) for kind, statuses in kinds for status in statuses if failed(status)]
    kubelet = ": ".join(filter(None, [pod.status.reason, last_line(pod.status.message)]))
    when = "failed" if started else "failed before Prefect started"
    return f"Pod {pod.metadata.name} {when}: " + ("; ".join(filter(None, [kubelet, *ends])) or "Kubernetes does not say why")


def failed(status) -> bool:
    return bool(status.state and status.state.terminated and status.state.terminated.exit_code)


def end(kind: str, status) -> str:
    terminated = status.state.terminated
    name = signal_name(terminated.signal or terminated.exit_code - 128)
    text = f"{kind} {status.name} ended with exit code {terminated.exit_code}"
    text += f" ({name})" if name else ""
    text += f", {terminated.reason}" if terminated.reason not in (None, "Error") else ""
    return text + (f": {terminated.message}" if terminated.message else "")


def signal_name(number: int) -> Optional[str]:
    try:
        return signal.Signals(number).name
    except ValueError:
        return None
