"""What the log says while something stays wrong: a line at once, and then at most one a minute."""

import sys
import time
from typing import Callable

SECONDS_BETWEEN = 60


def at_most_once_a_minute() -> Callable[[str], None]:
    # The clock may start with the node, so that its first minute is not a minute after zero.
    last = float("-inf")

    def complain(line: str) -> None:
        nonlocal last
        if time.monotonic() - last > SECONDS_BETWEEN:
            last = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    return complain
