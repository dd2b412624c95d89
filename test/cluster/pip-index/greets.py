"""A flow that needs a package which no image has."""

import prefect
from prefect import Flow, task


@task
def greet():
    import local_greeting

    prefect.context.get("logger").info(local_greeting.GREETING)


with Flow("greets") as flow:
    greet()
