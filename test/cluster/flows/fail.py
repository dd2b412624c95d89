"""A flow whose task fails."""

from prefect import Flow, task


@task
def fail():
    raise RuntimeError("this flow always fails")


with Flow("fail") as flow:
    fail()
