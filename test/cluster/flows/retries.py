"""A flow whose task fails, to be run again in a quarter of an hour: until then no process of it is left."""

from datetime import timedelta

from prefect import Flow, task


@task(max_retries=1, retry_delay=timedelta(minutes=15))
def fail():
    raise RuntimeError("this task fails, and is to be run again")


with Flow("retries") as flow:
    fail()
