"""Asks Kubernetes for the Job of a submission until it answers, and makes one Job of all attempts."""

import asyncio
import json
import random
import time
from typing import Optional

import submission
from complaints import at_most_once_a_minute

SECONDS = 300
TIMEOUT_SECONDS = 60
PAUSE_SECONDS = 5
# Kubernetes' own letters for generated names, which make no words.
LETTERS = "bcdfghjklmnpqrstvwxz2456789"
LONGEST_NAME = 63


def create_each_job_once() -> None:
    """With one name for all attempts of the worker to create a Job: Kubernetes refuses a second Job of that name."""
    from aiohttp import ClientConnectorError, ClientError
    from kubernetes_asyncio.client import ApiException, V1Job, V1ObjectMeta
    from prefect_kubernetes import worker

    complain = at_most_once_a_minute()

    class BatchV1Api(worker.BatchV1Api):
        # The worker makes one for each Job, and each has one name and one time.
        chosen: Optional[str] = None
        until = 0.0
        may_be_there = False

        async def create_namespaced_job(self, namespace, body, **kwargs):
            metadata = body["metadata"]
            if "name" not in metadata:
                ending = "".join(random.choices(LETTERS, k=10))
                self.chosen = metadata["name"] = metadata["generateName"][: LONGEST_NAME - len(ending)] + ending
                self.until = time.monotonic() + SECONDS
            of_submission = submission.of_this_task.get()
            while True:
                # A Job that may be there sets states too.
                if not self.may_be_there:
                    await of_submission.drop_if_superseded()
                try:
                    return await super().create_namespaced_job(namespace, body, _request_timeout=TIMEOUT_SECONDS, **kwargs)
                except (ApiException, ClientError, asyncio.TimeoutError) as error:
                    status = getattr(error, "status", None) or 0
                    if self.chosen is not None and status == 409 and already_exists(error):
                        return V1Job(metadata=V1ObjectMeta(name=self.chosen, namespace=namespace))
                    is_refused = 0 < status < 500
                    self.may_be_there |= not is_refused and not isinstance(error, ClientConnectorError)
                    if is_refused and status != 429 or time.monotonic() > self.until:
                        raise
                    complain(
                        f"A submission waits for Kubernetes: {status or type(error).__name__} to the creation of Job {metadata['name']}"
                    )
                await asyncio.sleep(PAUSE_SECONDS)

    worker.BatchV1Api = BatchV1Api


def already_exists(error) -> bool:
    # There are other conflicts, for example of a resource quota.
    try:
        return json.loads(error.body)["reason"] == "AlreadyExists"
    except (KeyError, TypeError, ValueError):
        return False
