"""Lets the stock Prefect worker submit each flow run once, and to its end.

By itself it loses flow runs that it has set to Pending, which nobody takes up again: all that it is submitting when it is told to end,
or when one answer of Prefect's API ends it, and each one for which the API answers badly for a minute (answers.py). It starts two Jobs for
one flow run when the answer to the creation of the first is lost (job_creation.py), or when the flow run is started again while it waits
(submission.py).
"""

import asyncio
import sys
import time
from contextlib import contextmanager

import submission

# What Prefect keeps for itself, and these programs need: in another release it may be called otherwise, and a worker that loses runs
# must not start.
METHODS = [
    "_submit_scheduled_flow_runs",
    "_propose_pending_state",
    "_submit_run",
    "_submit_run_and_capture_errors",
    "_release_limit_slot",
]
LOOP = "critical_service_loop"
SET_STATE = "propose_state"
FIELDS = ["_submitting_flow_run_ids", "_cancelling_observer", "_work_pool_name"]


class Submissions:
    """Of one worker: what it is submitting, and whether it still takes other flow runs."""

    def __init__(self, seconds_to_finish: float):
        self.seconds_to_finish = seconds_to_finish
        self.under_way: list = []
        self.closed = False
        self.told_to_end = False

    def unfinished(self) -> int:
        # What is still Scheduled is for the other workers of the pool, and they need not wait for this one.
        return len({each for each in self.under_way if each.may_be_pending})

    async def finish_when_told(self) -> None:
        self.told_to_end = True
        await self.finish("Told to end")

    async def finish(self, reason: str) -> None:
        self.closed = True
        print(f"{reason}: taking no more flow runs, finishing {self.unfinished()} submission(s)", flush=True)
        deadline = time.monotonic() + self.seconds_to_finish
        while self.unfinished() and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        left = self.unfinished()
        if left:
            print(f"Ending, with {left} submission(s) unfinished: their flow runs may stay Pending", file=sys.stderr, flush=True)

    @contextmanager
    def counted(self, one: submission.Submission):
        self.under_way.append(one)
        try:
            yield
        finally:
            self.under_way.remove(one)

    def guard(self, worker_class, module) -> None:
        """Makes a worker take and submit flow runs as this class says. `module` is that of the worker's loops."""
        from prefect.exceptions import Pause

        loop, set_state = getattr(module, LOOP), getattr(module, SET_STATE)
        take, propose, submit, start = (getattr(worker_class, name) for name in METHODS[:4])

        async def take_flow_runs(worker, flow_run_response):
            return [] if self.closed else await take(worker, flow_run_response)

        async def submit_run(worker, flow_run):
            one = submission.Submission(worker, flow_run)
            submission.of_this_task.set(one)
            with self.counted(one):
                try:
                    await submit(worker, flow_run)
                except Exception:
                    # It would end the worker and its other submissions. This flow run is still Scheduled, so it is taken again.
                    worker.get_flow_run_logger(flow_run).exception(f"Flow run '{flow_run.id}' could not be submitted")
                    worker._submitting_flow_run_ids.discard(flow_run.id)
                    worker._release_limit_slot(flow_run.id)
                    if worker._cancelling_observer is not None:
                        worker._cancelling_observer.remove_in_flight_flow_run_id(flow_run.id)

        async def propose_pending(worker, flow_run):
            if self.closed:
                return False
            submission.of_this_task.get().may_be_pending = True
            return await propose(worker, flow_run)

        async def start_run(worker, flow_run, **kwargs):
            # It reports a failure after `_submit_run` has ended.
            with self.counted(submission.of_this_task.get()):
                return await start(worker, flow_run, **kwargs)

        async def set_state_and_note(*args, **kwargs):
            one = submission.of_this_task.get()
            try:
                state = await set_state(*args, **kwargs)
            except Pause as pause:
                # It is no Exception, so it would end the worker and its other submissions. Only what has run is paused, so a Job has it.
                raise one.drop() from pause
            if state.is_pending():
                one.states.add(state.id)
            return state

        async def loop_and_finish(workload, **kwargs):
            try:
                await loop(workload, **kwargs)
            except Exception as error:
                # A long outage, or a refusal such as 401, ends the worker.
                await self.finish(f"Ending, as Prefect's API cannot be asked ({type(error).__name__})")
                if not self.told_to_end:
                    raise

        setattr(module, LOOP, loop_and_finish)
        setattr(module, SET_STATE, set_state_and_note)
        worker_class._submit_scheduled_flow_runs = take_flow_runs
        worker_class._propose_pending_state = propose_pending
        worker_class._submit_run = submit_run
        worker_class._submit_run_and_capture_errors = start_run
