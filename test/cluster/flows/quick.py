"""A flow that succeeds at once, and logs on both sides of the usual log level."""

import prefect
from prefect import Flow, task


@task
def greet():
    logger = prefect.context.get("logger")
    logger.info("a line at INFO")
    logger.debug("a line at DEBUG")


with Flow("quick") as flow:
    greet()
