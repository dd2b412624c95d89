"""Loaded into a Dask scheduler: ends the scheduler and its workers after the flow run is gone.

A flow run that is killed closes nothing. The scheduler ends `CLIENT_TIMEOUT` seconds after the last client of the flow has disconnected. If
no client ever connects, it ends after `FIRST_CLIENT_TIMEOUT` seconds.
"""

import logging
import os
import re
from time import monotonic

from tornado.ioloop import PeriodicCallback

logger = logging.getLogger("distributed.scheduler")

# The client of a flow may have a name that begins with `worker`.
WORKERS_OWN = re.compile("Client-worker-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def dask_setup(scheduler) -> None:
    timeout = float(os.environ["CLIENT_TIMEOUT"])
    deadline = monotonic() + float(os.environ["FIRST_CLIENT_TIMEOUT"])

    def check() -> None:
        nonlocal deadline
        if any(map(is_of_a_flow, scheduler.clients)):
            deadline = monotonic() + timeout
        elif monotonic() > deadline:
            logger.info("Closing: the flow run has gone, no client has been connected for some time")
            callback.stop()
            scheduler.loop.add_callback(scheduler.close)

    callback = PeriodicCallback(check, 1000)
    scheduler.periodic_callbacks["flow-run-gone"] = callback
    callback.start()


def is_of_a_flow(client: str) -> bool:
    """Whether a client is one of a flow. Dask also has a client for fire-and-forget tasks, and one for each worker whose tasks use
    `get_client`.
    """
    return client != "fire-and-forget" and not WORKERS_OWN.fullmatch(client)
