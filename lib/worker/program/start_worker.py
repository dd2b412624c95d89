"""Starts the stock Prefect worker, and lets it end without losing a flow run.

Told to end (SIGTERM), it takes no more runs, finishes those that it is submitting (submissions.py), and then ends. It removes its own
record from the work pool, as each pod has a name of its own and nobody else would.

`alive` is touched while Prefect's own check says that the worker polls; `polled` after each answer of the API to "what is ready to run?"
from a pool that is there. Prefect's check does not look at the answer.

usage: start_worker.py --signs DIRECTORY --finish-within SECONDS [--credentials FILE=VARIABLE] worker start [OPTION ...]
"""

import argparse
import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path

import answers
import credentials
import job_creation
import submissions
from complaints import at_most_once_a_minute

SECONDS_BETWEEN_SIGNS = 10
SECONDS_TO_REMOVE_RECORD = 5


class Signs:
    def __init__(self, folder: Path):
        self.alive, self.polled = folder / "alive", folder / "polled"
        # The folder outlives a container that is restarted, so what the last one left there is out of date.
        self.alive.touch()
        if self.polled.exists():
            self.polled.unlink()

    def keep(self, worker, query_seconds: float) -> None:
        def look() -> None:
            while True:
                if worker.is_worker_still_polling(query_interval_seconds=query_seconds):
                    self.alive.touch()
                time.sleep(SECONDS_BETWEEN_SIGNS)

        threading.Thread(target=look, daemon=True, name="signs").start()


def leave_signs(signs: Signs) -> None:
    from prefect.client.orchestration import PrefectClient
    from prefect.exceptions import ObjectNotFound

    ask = PrefectClient.get_scheduled_flow_runs_for_work_pool
    complain = at_most_once_a_minute()

    async def get_scheduled_flow_runs_for_work_pool(self, work_pool_name, *args, **kwargs):
        try:
            runs = await ask(self, work_pool_name, *args, **kwargs)
        except ObjectNotFound as error:
            # The stock worker takes it for "nothing to do".
            complain(f"No flow run is taken: {what_is_missing(work_pool_name, error)}")
            raise
        signs.polled.touch()
        return runs

    PrefectClient.get_scheduled_flow_runs_for_work_pool = get_scheduled_flow_runs_for_work_pool


def finish_submissions(signs: Signs, seconds: float) -> None:
    from prefect.client import base as client
    from prefect.settings import get_current_settings
    from prefect.workers import base
    from prefect_kubernetes import worker as kubernetes_worker
    from prefect_kubernetes.worker import KubernetesWorker

    absent = [name for name in submissions.METHODS if not callable(getattr(KubernetesWorker, name, None))]
    used = [(base, submissions.LOOP), (base, submissions.SET_STATE), (kubernetes_worker, "BatchV1Api"), (client, "PrefectHttpxAsyncClient")]
    absent += [name for module, name in used if not hasattr(module, name)]
    if absent:
        sys.exit(missing(absent))
    start = KubernetesWorker.start
    of_worker = submissions.Submissions(seconds)
    of_worker.guard(KubernetesWorker, base)

    async def start_until_told(self, *args, **kwargs):
        absent = [name for name in submissions.FIELDS if not hasattr(self, name)]
        if absent:
            sys.exit(missing(absent))
        signs.keep(self, get_current_settings().worker.query_seconds)
        loop, command = asyncio.get_running_loop(), asyncio.current_task()
        tasks = set()

        async def finish() -> None:
            await of_worker.finish_when_told()
            # The command of Prefect ends in order on it, with exit code 0.
            command.cancel()

        def end() -> None:
            if not tasks:
                tasks.add(loop.create_task(finish()))

        # After Prefect's own handler, which would interrupt at once.
        loop.add_signal_handler(signal.SIGTERM, end)
        try:
            await start(self, *args, **kwargs)
        finally:
            if of_worker.closed:
                await remove_record(self)

    KubernetesWorker.start = start_until_told


def missing(names: list) -> str:
    from prefect import __version__

    return (
        f"Prefect {__version__} has no {', '.join(names)}, by which this worker finishes its submissions before it ends: "
        "use another image, or another release of cdk8s-prefect"
    )


def what_is_missing(pool: str, error) -> str:
    try:
        detail = error.http_exc.response.json()["detail"]
    except Exception:
        detail = "not found"
    return f"{detail}. Create the work queue, or delete the pod of a worker whose work pool {pool!r} is gone: its successor creates it"


async def remove_record(worker) -> None:
    from prefect.client.orchestration import get_client

    try:
        async with get_client() as client:
            request = client.request(
                "DELETE",
                "/work_pools/{work_pool_name}/workers/{name}",
                path_params={"work_pool_name": worker._work_pool_name, "name": worker.name},
            )
            await asyncio.wait_for(request, SECONDS_TO_REMOVE_RECORD)
    except Exception as error:
        print(f"The record of this worker stays in the work pool, as OFFLINE: {type(error).__name__}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--signs", type=Path, required=True)
    parser.add_argument("--finish-within", type=float, required=True, metavar="SECONDS")
    parser.add_argument("--credentials", metavar="FILE=VARIABLE")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    signs = Signs(options.signs)
    if options.credentials:
        credentials.take(options.credentials)
        credentials.watch(options.credentials, lambda: os.kill(os.getpid(), signal.SIGTERM))

    leave_signs(signs)
    finish_submissions(signs, options.finish_within)
    answers.outlast_bad_ones(options.credentials)
    job_creation.create_each_job_once()
    from prefect.cli import app

    sys.argv = ["prefect", *options.command]
    sys.exit(app())


if __name__ == "__main__":
    main()
