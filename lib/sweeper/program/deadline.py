"""A deadline for a whole request. The timeouts of HTTP clients only bound each read, and no DNS lookup."""

import signal
from contextlib import contextmanager
from typing import Any, Iterator

# The longest time of a request that is sent once, in seconds. It is shorter than the time for which a sweeper holds its Lease.
DEADLINE = 5


class Late(Exception):
    """The deadline has passed. The request may have been carried out or not. It is not sent again."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises `Late` in the body after this time, wherever the body waits. It works in the main thread only. Of nested deadlines, the
    innermost counts.
    """

    def end(*_: Any) -> None:
        raise Late(f"not over after {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    # The signal repeats, because the interrupted code may swallow one exception.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
