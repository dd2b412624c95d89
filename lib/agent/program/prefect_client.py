"""Changes the requests of the agent to Prefect.

The file `alive` is touched before each request of the polling loop, and the file `polled` after each answer to the request for ready flow
runs. The agent's own /api/health also answers while its loop hangs, so the probes use these files. If the API rate-limits the agent (HTTP
429), Prefect's client sleeps for up to 14 minutes before it retries. Here the agent stays alive for the probes meanwhile, and ends within a
second on SIGTERM. The API key is read from its file at each request, because the kubelet changes the file when the Secret changes.
"""

import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace

told_to_end = threading.Event()


def read_key(file: Path) -> str:
    """The API key. Flow runs get the key from the Secret unchanged, so it is not corrected here. No message contains it."""
    key = file.read_bytes()
    if not key:
        raise ValueError(f"{file} is empty: put the Prefect API key into the Secret that is mounted there")
    if not re.fullmatch(rb"[!-~]+", key):
        raise ValueError(
            f"{file} has white space, a byte order mark or another sign that no API key has, perhaps a newline at its end: "
            "put the key alone into the Secret, as `kubectl create secret generic --from-literal` does"
        )
    return key.decode("ascii")


def follow_key(file: Path) -> None:
    import prefect
    from prefect.client import Client

    request = Client._request

    def request_with_key(self, *args, **kwargs):
        try:
            key = read_key(file)
        except (OSError, ValueError) as error:
            # The Secret may be in the middle of a change. Until it is valid again, the last key is used.
            self.logger.error("The API key cannot be read anew: %s", error)
            return request(self, *args, **kwargs)
        if key != self.api_key:
            self.logger.info("The API key has changed: using the new one")
            self.api_key = key
            # Without a named tenant, the tenant of the key is used.
            if not prefect.context.config.cloud.get("tenant_id"):
                self.tenant_id = None
        return request(self, *args, **kwargs)

    Client._request = request_with_key


def leave_signs(alive: Path, polled: Path) -> None:
    from prefect.agent.kubernetes import KubernetesAgent
    from prefect.client import Client

    send, poll = Client._send_request, KubernetesAgent._get_ready_flow_runs

    def send_request(self, *args, **kwargs):
        # The file is touched at each request, because one poll sends several.
        if threading.current_thread() is threading.main_thread():
            alive.touch()
        return send(self, *args, **kwargs)

    def get_ready_flow_runs(self, *args, **kwargs):
        runs = poll(self, *args, **kwargs)
        polled.touch()
        return runs

    Client._send_request = send_request
    KubernetesAgent._get_ready_flow_runs = get_ready_flow_runs


def wait_awake(alive: Path) -> None:
    import prefect.client.client as client

    def sleep(seconds: float) -> None:
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            # KeyboardInterrupt passes every `except Exception` of the agent in each of its threads, and the agent's own handler ends on it.
            if told_to_end.is_set():
                raise SystemExit
            if threading.current_thread() is threading.main_thread():
                alive.touch()
            time.sleep(max(0.0, min(1.0, over - time.monotonic())))

    client.time = SimpleNamespace(**{**vars(time), "sleep": sleep})
