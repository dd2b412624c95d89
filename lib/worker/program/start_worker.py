"""Starts the stock Prefect worker, and lets it end without losing a flow run.

Told to end (SIGTERM), the stock worker leaves what it is submitting: such a flow run stays Pending, is never taken up again, and holds its
slots. Here it takes no more runs, finishes those that it is submitting, and then ends. It removes its own record from the work pool, as
each pod has a name of its own and nobody else would.

`alive` is touched while Prefect's own check says that the worker polls; `polled` after each answer of the API to "what is ready to run?"
from a pool that is there. Prefect's check does not look at the answer.

usage: start_worker.py --signs DIRECTORY [--credentials FILE=VARIABLE] worker start [OPTION ...]
"""

import argparse
import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path

import credentials

# What Prefect keeps for itself, and this program needs: in another release it may be called otherwise, and a worker that loses runs at each
# rollout must not start.
METHODS = ["_submit_scheduled_flow_runs", "_submit_run"]
SUBMITTING = "_submitting_flow_run_ids"
FIELDS = [SUBMITTING, "_work_pool_name"]
SECONDS_BETWEEN_SIGNS = 10
SECONDS_BETWEEN_COMPLAINTS = 60


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

    told = [0.0]

    async def get_scheduled_flow_runs_for_work_pool(self, work_pool_name, *args, **kwargs):
        try:
            runs = await ask(self, work_pool_name, *args, **kwargs)
        except ObjectNotFound as error:
            # The stock worker takes it for "nothing to do".
            if time.monotonic() - told[0] > SECONDS_BETWEEN_COMPLAINTS:
                told[0] = time.monotonic()
                print(f"No flow run is taken: {what_is_missing(work_pool_name, error)}", file=sys.stderr, flush=True)
            raise
        signs.polled.touch()
        return runs

    PrefectClient.get_scheduled_flow_runs_for_work_pool = get_scheduled_flow_runs_for_work_pool


def finish_submissions(signs: Signs) -> None:
    from prefect.settings import get_current_settings
    from prefect_kubernetes.worker import KubernetesWorker

    absent = [name for name in METHODS if not callable(getattr(KubernetesWorker, name, None))]
    if absent:
        sys.exit(missing(absent))
    start, submit = KubernetesWorker.start, KubernetesWorker._submit_scheduled_flow_runs
    told_to_end = threading.Event()

    async def submit_scheduled_flow_runs(self, flow_run_response):
        # The other workers of the pool get them.
        return [] if told_to_end.is_set() else await submit(self, flow_run_response)

    async def start_until_told(self, *args, **kwargs):
        absent = [name for name in FIELDS if not hasattr(self, name)]
        if absent:
            sys.exit(missing(absent))
        signs.keep(self, get_current_settings().worker.query_seconds)
        loop, command = asyncio.get_running_loop(), asyncio.current_task()
        tasks = set()

        async def finish() -> None:
            told_to_end.set()
            count = len(getattr(self, SUBMITTING))
            print(f"Told to end: taking no more flow runs, finishing {count} submission(s)", flush=True)
            while getattr(self, SUBMITTING):
                await asyncio.sleep(0.1)
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
            if told_to_end.is_set():
                await remove_record(self)

    KubernetesWorker._submit_scheduled_flow_runs = submit_scheduled_flow_runs
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
            await client.request(
                "DELETE",
                "/work_pools/{work_pool_name}/workers/{name}",
                path_params={"work_pool_name": worker._work_pool_name, "name": worker.name},
            )
    except Exception as error:
        print(f"The record of this worker stays in the work pool, as OFFLINE: {type(error).__name__}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--signs", type=Path, required=True)
    parser.add_argument("--credentials", metavar="FILE=VARIABLE")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    signs = Signs(options.signs)
    if options.credentials:
        credentials.take(options.credentials)
        credentials.watch(options.credentials, lambda: os.kill(os.getpid(), signal.SIGTERM))

    leave_signs(signs)
    finish_submissions(signs)
    from prefect.cli import app

    sys.argv = ["prefect", *options.command]
    sys.exit(app())


if __name__ == "__main__":
    main()
