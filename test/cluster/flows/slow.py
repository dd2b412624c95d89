"""A flow that takes its time: as many seconds as the parameter `seconds` says, by default longer than any test.

With the parameter `gate` it goes on after that until this URL answers 200.
"""

import time
from urllib.request import urlopen

import prefect
from prefect import Flow, Parameter, task


def is_open(gate):
    try:
        return urlopen(gate, timeout=5).status == 200
    except OSError:
        return False


@task
def wait(seconds, gate):
    prefect.context.get("logger").info("waiting for %s seconds", seconds)
    time.sleep(seconds)
    while gate and not is_open(gate):
        time.sleep(1)


with Flow("slow") as flow:
    wait(Parameter("seconds", default=7200), Parameter("gate", default=None))
