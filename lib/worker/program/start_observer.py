"""Runs the observer of prefect-kubernetes as one process of its own, which ends with exit code 1 when Kubernetes refuses it.

Inside a worker it would end silently, and no crashed flow run would be noticed until somebody restarts the worker.

usage: start_observer.py --namespace NAMESPACE [--credentials FILE=VARIABLE]
Environment: POD_IP, the address for the probes.
"""

import argparse
import os
import signal
import sys

import credentials

PORT = 8080


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--credentials", metavar="FILE=VARIABLE")
    options = parser.parse_args()
    if options.credentials:
        credentials.take(options.credentials)
        credentials.watch(options.credentials, lambda: os.kill(os.getpid(), signal.SIGTERM))

    import kopf
    import prefect_kubernetes.observer  # noqa: F401 - its handlers are what kopf runs
    from prefect.logging.configuration import setup_logging

    setup_logging()
    address = os.environ["POD_IP"]
    address = f"[{address}]" if ":" in address else address
    try:
        kopf.run(standalone=True, namespaces=[options.namespace], liveness_endpoint=f"http://{address}:{PORT}/healthz")
    except Exception as error:
        status = getattr(error, "status", None)
        sys.exit(f"The observer ends: {f'Kubernetes answers {status}: ' if status else ''}{' '.join(str(error).split())[:500]}")


if __name__ == "__main__":
    main()
