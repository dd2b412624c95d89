"""A flow that is paused until somebody resumes it."""

from prefect import Flow, task
from prefect.triggers import manual_only


@task(trigger=manual_only)
def approved():
    pass


with Flow("pauses") as flow:
    approved()
