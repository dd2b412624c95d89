"""Repeats each request of a submission until Prefect's API answers it."""

import asyncio
import itertools
import json
from typing import Optional

import credentials
import submission
from complaints import at_most_once_a_minute

# A 500 may be a fault of the server with this one request.
TIMES_AFTER_500 = 10
LONGEST_PAUSE_SECONDS = 30


def outlast_bad_ones(option: Optional[str]) -> None:
    """Repeats a request as it is, with the id by which Prefect's API knows a transition that it has already made."""
    import httpx
    from prefect.client.base import PrefectHttpxAsyncClient

    send = PrefectHttpxAsyncClient.send
    complain = at_most_once_a_minute()

    async def send_until_answered(self, request, *args, **kwargs):
        of_submission = submission.of_this_task.get()
        # The client sends for its CSRF token while it sends.
        if of_submission is None or request.url.path.endswith("/csrf-token"):
            return await send(self, request, *args, **kwargs)
        count_of_500 = 0
        for attempt in itertools.count(1):
            if is_report_of_crash(request):
                await of_submission.drop_if_superseded()
            try:
                return await send(self, request, *args, **kwargs)
            except httpx.TransportError as error:
                answer = type(error).__name__
            except httpx.HTTPStatusError as error:
                answer = error.response.status_code
                count_of_500 += answer == 500
                if not is_bad(request, error.response, count_of_500):
                    raise
                # The key of this process may have been replaced.
                header = credentials.header(option) if answer == 401 and option else None
                if header:
                    request.headers["Authorization"] = self.headers["Authorization"] = header
            complain(f"A submission waits for Prefect's API: {answer} to {request.method} {request.url.path}")
            await asyncio.sleep(min(2**attempt, LONGEST_PAUSE_SECONDS))

    PrefectHttpxAsyncClient.send = send_until_answered


def is_bad(request, response, count_of_500: int) -> bool:
    """Whether it may be another answer the next time."""
    status = response.status_code
    if status == 500:
        # A flow run stays as it is until its state is set.
        return count_of_500 < TIMES_AFTER_500 or sets_state(request)
    return status in (401, 408, 429) or status > 500 or status == 404 and not is_of_prefect(response)


def is_of_prefect(response) -> bool:
    """Whether a 404 says that an object is not there, and not that a proxy has no route."""
    try:
        return not {"detail", "exception_message"}.isdisjoint(response.json())
    except (TypeError, ValueError):
        return False


def sets_state(request) -> bool:
    return request.url.path.endswith("/set_state")


def is_report_of_crash(request) -> bool:
    return sets_state(request) and json.loads(request.content)["state"]["type"] == "CRASHED"
