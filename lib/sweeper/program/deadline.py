"""A deadline for a whole request. The timeouts of HTTP clients only bound each read, and no DNS lookup."""

import signal
import sys
from typing import Any

# The longest time of a request that is sent once, in seconds. It is shorter than the time for which a sweeper holds its Lease.
DEADLINE = 5


class Late(Exception):
    """The deadline has passed. The request may have been carried out or not. It is not sent again."""


class within:
    """Raises `Late` in the body after this time, wherever the body waits. It works in the main thread only. Of nested deadlines, the
    innermost counts.
    """

    innermost = None  # type: Optional[within]

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.frame = None  # type: Any
        self.outer = None  # type: Optional[within]

    def __enter__(self) -> None:
        self.frame = sys._getframe(1)
        self.outer, within.innermost = within.innermost, self
        # The handler stays for good. Without one, an alarm that is still on its way would end the process.
        signal.signal(signal.SIGALRM, ring)
        # The signal repeats, because the interrupted code may swallow one exception.
        signal.setitimer(signal.ITIMER_REAL, self.seconds, 0.1)

    def __exit__(self, *_: Any) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        within.innermost, self.frame = self.outer, None


def ring(_: int, frame: Any) -> None:
    late, codes, inside = within.innermost, set(), False
    while frame is not None:
        codes.add(frame.f_code)
        inside = inside or late is not None and frame is late.frame
        frame = frame.f_back
    if late is None or not inside:
        # An exception left the body before `__exit__` was reached. One more would hit code that expects none.
        signal.setitimer(signal.ITIMER_REAL, 0)
        within.innermost = None
    elif not codes & {within.__enter__.__code__, within.__exit__.__code__}:
        raise Late(f"not over after {late.seconds} s")
