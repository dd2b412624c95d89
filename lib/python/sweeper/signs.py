"""What a sweeper shows of itself: its health, and metrics in the text format of Prometheus, whose client the image lacks."""

import os
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Iterable, Optional, Tuple

from rules import Rules

# How long, in seconds, may pass without a pass: one waits out the client's retries when Prefect does not answer or limits its rate.
PATIENCE = 15 * 60


RULES = [field.replace("_", "-") for field in Rules._fields]


class Signs:
    # All are there from the start: Prometheus sees no increase in what appears with its first event.
    METRICS = {
        "deleted": ("rule", "Objects that were deleted.", RULES),
        "runs_corrected": ("state", "Flow runs that got a state.", ["Cancelled", "Failed", "Scheduled"]),
        "errors": ("rule", "What failed, by rule; or a pass, an event, or a full ledger.", [*RULES, "event", "ledger", "pass"]),
    }

    def __init__(self, namespaces: Iterable[str] = ()) -> None:
        self.counters = {name: Counter(dict.fromkeys(values, 0)) for name, (_, _, values) in self.METRICS.items()}
        self.passes = 0
        self.seconds = 0.0
        self.last_pass = time.monotonic()
        self.last_success = dict.fromkeys(namespaces, 0.0)

    def count(self, metric: str, label: str) -> None:
        self.counters[metric][label] += 1

    def passed(self, namespace: str, seconds: float, succeeded: bool) -> None:
        self.passes += 1
        self.seconds += seconds
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
            lines += [f'flow_run_sweeper_{name}_total{{{label}="{value}"}} {n}' for value, n in sorted(self.counters[name].items())]
        lines += ["# HELP flow_run_sweeper_pass_seconds How long passes took.", "# TYPE flow_run_sweeper_pass_seconds summary"]
        lines += [f"flow_run_sweeper_pass_seconds_sum {self.seconds:.3f}", f"flow_run_sweeper_pass_seconds_count {self.passes}"]
        gauge = "flow_run_sweeper_last_success_timestamp_seconds"
        lines += [f"# HELP {gauge} When a pass over a namespace last succeeded, 0 before.", f"# TYPE {gauge} gauge"]
        lines += [f'{gauge}{{flow_namespace="{namespace}"}} {when:.3f}' for namespace, when in sorted(self.last_success.items())]
        return "\n".join([*lines, ""])

    def serve(self, port: int) -> None:
        signs = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                good, text = signs.answer(self.path) or (None, "")
                self.send_response(404 if good is None else 200 if good else 503)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_) -> None:
                pass

        class Server(ThreadingHTTPServer):
            # As the cluster's own addresses are.
            address_family = socket.AF_INET6 if ":" in os.environ.get("KUBERNETES_SERVICE_HOST", "") else socket.AF_INET

        threading.Thread(target=Server(("", port), Handler).serve_forever, daemon=True).start()
