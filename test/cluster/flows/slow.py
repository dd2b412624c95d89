"""A flow that takes its time: as many seconds as the parameter `seconds` says, or the variable SLOW_SECONDS of its pod."""

import os
import time

import prefect
from prefect import Flow, Parameter, task


@task
def wait(seconds):
    prefect.context.get("logger").info("waiting for %s seconds", seconds)
    time.sleep(seconds)


with Flow("slow") as flow:
    wait(Parameter("seconds", default=float(os.environ.get("SLOW_SECONDS", "60"))))
