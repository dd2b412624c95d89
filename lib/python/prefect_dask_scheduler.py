"""Loaded into a Dask scheduler: ends it, and with it its workers, when its flow run has gone.

A flow run that is killed closes nothing. Its scheduler sees the client leave, and ends `CLIENT_TIMEOUT` seconds later; where no
client ever came, it waits for the first one for `FIRST_CLIENT_TIMEOUT` seconds.
"""

import logging
import os
from time import monotonic

from tornado.ioloop import PeriodicCallback

logger = logging.getLogger("distributed.scheduler")


def dask_setup(scheduler) -> None:
    timeout = float(os.environ["CLIENT_TIMEOUT"])
    deadline = monotonic() + float(os.environ["FIRST_CLIENT_TIMEOUT"])

    def check() -> None:
        nonlocal deadline
        # Dask counts tasks that nobody waits for as those of a client of this name.
        if set(scheduler.clients) - {"fire-and-forget"}:
            deadline = monotonic() + timeout
        elif monotonic() > deadline:
            logger.info("Closing: the flow run has gone, no client has been connected for some time")
            callback.stop()
            scheduler.loop.add_callback(scheduler.close)

    callback = PeriodicCallback(check, 1000)
    scheduler.periodic_callbacks["flow-run-gone"] = callback
    callback.start()
