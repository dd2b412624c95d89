"""Flows that make Prefect use its API in every way it knows."""

import datetime
import time

import prefect
from prefect import Flow, Parameter, task


@task(task_run_name="greet {name}", cache_for=datetime.timedelta(hours=1))
def greet(name):
    print(f"Hello, {name}")


@task(log_stdout=True)
def square(n):
    print(f"squaring {n}")
    return n * n


@task(max_retries=1, retry_delay=datetime.timedelta(seconds=1))
def flaky():
    if prefect.context.task_run_count == 1:
        raise RuntimeError("the first attempt")


@task
def fail():
    raise RuntimeError("as it should")


@task
def wait():
    time.sleep(300)


with Flow("hello") as hello:
    greet(Parameter("name", default="you"))
    square.map([1, 2, 3])

with Flow("flaky") as retrying:
    flaky()

with Flow("failing") as failing:
    square(fail())

with Flow("endless") as endless:
    square(wait())
