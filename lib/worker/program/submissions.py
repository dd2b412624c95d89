"""Lets the stock Prefect worker submit each flow run once, and to its end.

By itself it loses flow runs that it has set to Pending, which nobody takes up again: all that it is submitting when it is told to end,
or when one answer of Prefect's API ends it, and each one for which the API answers badly for a minute. It starts two Jobs for one flow run
when the answer to the creation of the first is lost.
"""

import asyncio
import functools
import itertools
import json
import random
import sys
import time
from contextvars import ContextVar
from typing import Optional

import credentials

# What Prefect keeps for itself, and this program needs: in another release it may be called otherwise, and a worker that loses runs
# must not start.
METHODS = [
    "_submit_scheduled_flow_runs",
    "_propose_pending_state",
    "_submit_run",
    "_submit_run_and_capture_errors",
    "_release_limit_slot",
]
LOOP = "critical_service_loop"
FIELDS = ["_submitting_flow_run_ids", "_cancelling_observer", "_work_pool_name"]

# Prefect's API is asked again until it answers. A 500 may be a fault of the server with this one request.
TIMES_AFTER_500 = 10
LONGEST_PAUSE_SECONDS = 30
SECONDS_BETWEEN_COMPLAINTS = 60
# So is Kubernetes, for so long in all.
KUBERNETES_SECONDS = 300
KUBERNETES_TIMEOUT_SECONDS = 60
KUBERNETES_PAUSE_SECONDS = 5
# Kubernetes' own letters for generated names, which make no words.
LETTERS = "bcdfghjklmnpqrstvwxz2456789"
LONGEST_JOB_NAME = 63

of_a_submission = ContextVar("of_a_submission", default=False)


class Submissions:
    """Of one worker: which flow runs it is submitting, and whether it still takes others."""

    def __init__(self, seconds_to_finish: float):
        self.seconds_to_finish = seconds_to_finish
        self.under_way: list = []
        self.closed = False
        self.told_to_end = False

    def unfinished(self, worker) -> int:
        return len({*self.under_way, *worker._submitting_flow_run_ids})

    async def finish_when_told(self, worker) -> None:
        self.told_to_end = True
        await self.finish(worker, "Told to end")

    async def finish(self, worker, reason: str) -> None:
        self.closed = True
        print(f"{reason}: taking no more flow runs, finishing {self.unfinished(worker)} submission(s)", flush=True)
        deadline = time.monotonic() + self.seconds_to_finish
        while self.unfinished(worker) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        left = self.unfinished(worker)
        if left:
            print(f"Ending, with {left} submission(s) unfinished: their flow runs may stay Pending", file=sys.stderr, flush=True)

    def guard(self, worker_class, module) -> None:
        """Makes a worker take and submit flow runs as this class says. `module` is where the worker's loops come from."""
        loop = getattr(module, LOOP)
        take, propose, submit, start = (getattr(worker_class, name) for name in METHODS[:4])

        def counted(method):
            @functools.wraps(method)
            async def run(worker, flow_run, **kwargs):
                self.under_way.append(flow_run.id)
                try:
                    return await method(worker, flow_run, **kwargs)
                finally:
                    self.under_way.remove(flow_run.id)

            return run

        async def take_flow_runs(worker, flow_run_response):
            # The other workers of the pool get them.
            return [] if self.closed else await take(worker, flow_run_response)

        async def propose_pending(worker, flow_run):
            # What is still Scheduled is left to them too.
            return False if self.closed else await propose(worker, flow_run)

        async def submit_run(worker, flow_run):
            of_a_submission.set(True)
            try:
                await submit(worker, flow_run)
            except Exception:
                # It would end the worker and its other submissions. This flow run is still Scheduled, so it is taken again.
                worker.get_flow_run_logger(flow_run).exception(f"Flow run '{flow_run.id}' could not be submitted")
                worker._submitting_flow_run_ids.discard(flow_run.id)
                worker._release_limit_slot(flow_run.id)
                if worker._cancelling_observer is not None:
                    worker._cancelling_observer.remove_in_flight_flow_run_id(flow_run.id)

        async def loop_and_finish(workload, **kwargs):
            try:
                await loop(workload, **kwargs)
            except Exception as error:
                # A long outage, or a refusal such as 401, ends the worker.
                await self.finish(workload.__self__, f"Ending, as Prefect's API cannot be asked ({type(error).__name__})")
                if not self.told_to_end:
                    raise

        setattr(module, LOOP, loop_and_finish)
        worker_class._submit_scheduled_flow_runs = take_flow_runs
        worker_class._propose_pending_state = propose_pending
        worker_class._submit_run = counted(submit_run)
        # It reports a failure after `_submit_run` has ended.
        worker_class._submit_run_and_capture_errors = counted(start)


def outlast_bad_answers(option: Optional[str]) -> None:
    """Repeats each request of a submission as it is, with the id by which Prefect's API knows a transition that it has already made."""
    import httpx
    from prefect.client.base import PrefectHttpxAsyncClient

    send = PrefectHttpxAsyncClient.send
    told = [float("-inf")]

    def complain(request, answer: str) -> None:
        if time.monotonic() - told[0] > SECONDS_BETWEEN_COMPLAINTS:
            told[0] = time.monotonic()
            line = f"A submission waits for Prefect's API: {answer} to {request.method} {request.url.path}"
            print(line, file=sys.stderr, flush=True)

    def is_bad(request, response, count_of_500: int) -> bool:
        status = response.status_code
        if status == 500:
            # The flow run stays Pending if its end is not reported.
            return count_of_500 < TIMES_AFTER_500 or request.url.path.endswith("/set_state")
        return status in (401, 408, 429) or status > 500 or status == 404 and not is_of_prefect(response)

    async def send_until_answered(self, request, *args, **kwargs):
        # The client sends for its CSRF token while it sends.
        if not of_a_submission.get() or request.url.path.endswith("/csrf-token"):
            return await send(self, request, *args, **kwargs)
        count_of_500 = 0
        for attempt in itertools.count(1):
            try:
                return await send(self, request, *args, **kwargs)
            except httpx.TransportError as error:
                complain(request, type(error).__name__)
            except httpx.HTTPStatusError as error:
                status = error.response.status_code
                count_of_500 += status == 500
                if not is_bad(request, error.response, count_of_500):
                    raise
                complain(request, str(status))
                # The key of this process may have been replaced.
                header = credentials.header(option) if status == 401 and option else None
                if header:
                    request.headers["Authorization"] = self.headers["Authorization"] = header
            await asyncio.sleep(min(2**attempt, LONGEST_PAUSE_SECONDS))

    PrefectHttpxAsyncClient.send = send_until_answered


def is_of_prefect(response) -> bool:
    """Whether a 404 says that an object is not there, and not that a proxy has no route."""
    try:
        return not {"detail", "exception_message"}.isdisjoint(response.json())
    except (TypeError, ValueError):
        return False


def create_each_job_once() -> None:
    """With one name for all attempts of the worker to create a Job: Kubernetes refuses a second Job of that name."""
    from aiohttp import ClientError
    from kubernetes_asyncio.client import ApiException, V1Job, V1ObjectMeta
    from prefect_kubernetes import worker

    class BatchV1Api(worker.BatchV1Api):
        # The worker makes one for each Job, and each has one name and one time.
        chosen: Optional[str] = None
        until = 0.0

        async def create_namespaced_job(self, namespace, body, **kwargs):
            metadata = body["metadata"]
            if "name" not in metadata:
                ending = "".join(random.choices(LETTERS, k=10))
                self.chosen = metadata["name"] = metadata["generateName"][: LONGEST_JOB_NAME - len(ending)] + ending
                self.until = time.monotonic() + KUBERNETES_SECONDS
            while True:
                try:
                    return await super().create_namespaced_job(namespace, body, _request_timeout=KUBERNETES_TIMEOUT_SECONDS, **kwargs)
                except (ApiException, ClientError, asyncio.TimeoutError) as error:
                    status = getattr(error, "status", None) or 0
                    if self.chosen is not None and status == 409 and already_exists(error):
                        return V1Job(metadata=V1ObjectMeta(name=self.chosen, namespace=namespace))
                    if 0 < status < 500 and status != 429 or time.monotonic() > self.until:
                        raise
                await asyncio.sleep(KUBERNETES_PAUSE_SECONDS)

    worker.BatchV1Api = BatchV1Api


def already_exists(error) -> bool:
    # There are other conflicts, for example of a resource quota.
    try:
        return json.loads(error.body)["reason"] == "AlreadyExists"
    except (KeyError, TypeError, ValueError):
        return False
