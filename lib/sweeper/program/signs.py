"""Health and metrics of the sweeper. The metrics are written in the text format of Prometheus, whose client is not in the image."""

import os
import socket
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Iterable, Optional, Tuple

from rules import Rules

# The longest time without a pass, in seconds. A pass waits through the client's retries if Prefect is down or rate-limits.
PATIENCE = 15 * 60
# How many connections may be open at a time. A new one ends the oldest, so that a probe is always answered.
CONNECTIONS = 50
# How long a connection may be idle, in seconds.
IDLE = 10

RULES = [field.replace("_", "-") for field in Rules._fields]


class Signs:
    # All series exist from the start, because Prometheus sees no increase in a series that appears with its first event.
    METRICS = {
        "deleted": ("rule", "Objects that were deleted.", RULES),
        "runs_corrected": ("state", "Flow runs that got a state.", ["Cancelled", "Failed", "Scheduled"]),
        "errors": ("rule", "What failed: a rule, a pass, an event, the ledger, an object.", [*RULES, "event", "ledger", "object", "pass"]),
    }

    def __init__(self, namespaces: Iterable[str] = ()) -> None:
        self.counters = {
            name: Counter(dict.fromkeys(((namespace, value) for namespace in namespaces for value in values), 0))
            for name, (_, _, values) in self.METRICS.items()
        }
        self.passes = Counter(dict.fromkeys(namespaces, 0))
        self.seconds = Counter(dict.fromkeys(namespaces, 0))  # type: Counter
        self.started = time.time()
        self.last_pass = time.monotonic()
        self.last_success = dict.fromkeys(namespaces, 0.0)
        # Flow runs that the sweeper leaves alone because it cannot tell whether they live.
        self.unclear = dict.fromkeys(namespaces, 0)
        # 1 if another sweeper holds the Lease.
        self.held = dict.fromkeys(namespaces, 0)
        self.open = deque()  # type: Deque[socket.socket]

    def alive(self) -> None:
        """A pass that waits because Prefect rate-limits it is alive."""
        self.last_pass = time.monotonic()

    def count(self, metric: str, label: str, namespace: str) -> None:
        self.counters[metric][namespace, label] += 1

    def passed(self, namespace: str, seconds: float, succeeded: bool) -> None:
        self.passes[namespace] += 1
        self.seconds[namespace] += seconds
        self.last_pass = time.monotonic()
        if succeeded:
            self.last_success[namespace] = time.time()

    def answer(self, path: str) -> Optional[Tuple[bool, str]]:
        if path == "/metrics":
            return True, self.metrics()
        if path == "/healthz":
            return time.monotonic() - self.last_pass < PATIENCE, "passes\n"
        if path == "/readyz":
            return any(time.time() - when < PATIENCE for when in self.last_success.values()), "passes succeed\n"
        return None

    def metrics(self) -> str:
        lines = []
        for name, (label, text, _) in self.METRICS.items():
            lines += [f"# HELP flow_run_sweeper_{name}_total {text}", f"# TYPE flow_run_sweeper_{name}_total counter"]
            lines += [
                sample(f"flow_run_sweeper_{name}_total", namespace, str(n), (label, value))
                for (namespace, value), n in sorted(self.counters[name].items())
            ]
        lines += ["# HELP flow_run_sweeper_pass_seconds How long passes took.", "# TYPE flow_run_sweeper_pass_seconds summary"]
        for namespace, passes in sorted(self.passes.items()):
            lines += [sample("flow_run_sweeper_pass_seconds_sum", namespace, f"{self.seconds[namespace]:.3f}")]
            lines += [sample("flow_run_sweeper_pass_seconds_count", namespace, str(passes))]
        lines += ["# HELP process_start_time_seconds When the sweeper started.", "# TYPE process_start_time_seconds gauge"]
        lines += [f"process_start_time_seconds {self.started:.3f}"]
        gauge = "flow_run_sweeper_last_success_timestamp_seconds"
        lines += [f"# HELP {gauge} When a pass over a namespace last succeeded, 0 before.", f"# TYPE {gauge} gauge"]
        lines += [sample(gauge, namespace, f"{when:.3f}") for namespace, when in sorted(self.last_success.items())]
        gauge = "flow_run_sweeper_cannot_tell_runs"
        lines += [f"# HELP {gauge} Flow runs that may be lost, of which the sweeper cannot tell.", f"# TYPE {gauge} gauge"]
        lines += [sample(gauge, namespace, str(number)) for namespace, number in sorted(self.unclear.items())]
        gauge = "flow_run_sweeper_held_by_another"
        lines += [f"# HELP {gauge} Whether another sweeper holds the Lease of a namespace, so that this one does nothing there."]
        lines += [f"# TYPE {gauge} gauge"]
        lines += [sample(gauge, namespace, str(held)) for namespace, held in sorted(self.held.items())]
        return "\n".join([*lines, ""])

    def connections(self) -> int:
        return len(self.open)

    def serve(self, port: int) -> None:
        signs = self

        class Handler(BaseHTTPRequestHandler):
            timeout = IDLE

            def do_GET(self) -> None:
                good, text = signs.answer(self.path) or (None, "")
                self.send_response(404 if good is None else 200 if good else 503)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_) -> None:
                pass

        class Server(ThreadingHTTPServer):
            # The address family of the cluster.
            address_family = socket.AF_INET6 if ":" in os.environ.get("KUBERNETES_SERVICE_HOST", "") else socket.AF_INET
            daemon_threads = True
            request_queue_size = CONNECTIONS

            def process_request(self, request: Any, client_address: Any) -> None:
                signs.open.append(request)
                while signs.connections() > CONNECTIONS:
                    with suppress(OSError, IndexError):
                        signs.open.popleft().shutdown(socket.SHUT_RDWR)
                super().process_request(request, client_address)

            def close_request(self, request: Any) -> None:
                super().close_request(request)
                with suppress(ValueError):
                    signs.open.remove(request)

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        threading.Thread(target=Server(("", port), Handler).serve_forever, daemon=True).start()


def sample(name: str, namespace: str, value: str, *labels: Tuple[str, str]) -> str:
    # No double braces: `helm template` would evaluate them.
    said = [label + '="' + of + '"' for label, of in (("flow_namespace", namespace), *labels)]
    return name + "{" + ",".join(said) + "} " + value
