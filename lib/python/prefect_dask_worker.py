"""Loaded into a Dask worker: sends what its tasks have logged last, before it ends.

Prefect sends a worker's log every five seconds and when Python exits in order. The process in which a worker runs does not: it is the
child of another, and tini passes SIGTERM to both at once.
"""

import os
import signal
import sys
import threading


def dask_setup(_worker) -> None:
    in_main_thread = threading.current_thread() is threading.main_thread()
    # Without a nanny, Dask itself closes the worker on SIGTERM.
    if in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)


def dask_teardown(_worker) -> None:
    send_log()


def end(*_) -> None:
    send_log()
    os._exit(128 + signal.SIGTERM)


def send_log() -> None:
    # One that has run no task has no log.
    logging = sys.modules.get("prefect.utilities.logging")
    if logging:
        logging.LOG_MANAGER.stop()
