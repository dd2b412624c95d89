"""Loaded into a Dask worker: sends the last log lines of its tasks before it ends.

Prefect sends the log of a worker every five seconds and when Python exits in order. The process of a worker does not exit in order: it is
the child of a nanny, and tini passes SIGTERM to both at once.
"""

import os
import signal
import sys
import threading


def dask_setup(_worker) -> None:
    in_main_thread = threading.current_thread() is threading.main_thread()
    # Without a nanny, Dask closes the worker on SIGTERM by itself.
    if in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)


def dask_teardown(_worker) -> None:
    send_log()


def end(*_) -> None:
    send_log()
    os._exit(128 + signal.SIGTERM)


def send_log() -> None:
    # A worker that has run no task has no log.
    logging = sys.modules.get("prefect.utilities.logging")
    if logging:
        logging.LOG_MANAGER.stop()
