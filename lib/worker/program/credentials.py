"""Reads the API key or auth string from its mounted Secret into the environment of this process, where Prefect looks for it, and notices
when the Secret changes. So it is in no Pod, and no other process of the container sees it.

usage: credentials.py FILE=VARIABLE PROGRAM [ARGUMENT ...]        runs a program with it
"""

import base64
import os
import re
import runpy
import sys
import threading
import time
from pathlib import Path
from typing import Callable, Optional

SECONDS = 10
# An auth string may have spaces inside.
USABLE = re.compile(rb"[!-~]([ -~]*[!-~])?")


def take(option: str) -> None:
    """FILE=VARIABLE: from the file into the environment variable."""
    file, _, variable = option.partition("=")
    try:
        value = Path(file).read_bytes()
    except OSError as error:
        sys.exit(f"The Secret of {variable} cannot be read: {error.strerror}")
    if not value:
        sys.exit(f"The Secret of {variable} is empty: put the API key or auth string into it")
    # The value itself is in no message.
    if not USABLE.fullmatch(value):
        sys.exit(
            f"The Secret of {variable} has a sign that no HTTP header can have, or white space around it, perhaps a newline at its end: "
            "put the value alone into it, as `kubectl create secret generic --from-literal` does"
        )
    os.environ[variable] = value.decode("ascii")


def header(option: str) -> Optional[str]:
    """The Authorization header of what the file has now, as Prefect's client writes it. None if no header can have it."""
    file, _, variable = option.partition("=")
    value = read(file)
    if not USABLE.fullmatch(value):
        return None
    return f"Bearer {value.decode()}" if variable == "PREFECT_API_KEY" else f"Basic {base64.b64encode(value).decode()}"


def watch(option: str, end: Callable[[], None]) -> None:
    """Calls `end` once the file has another value that can be used: Prefect reads its settings at the start alone."""
    file, _, variable = option.partition("=")
    taken = os.environ[variable].encode()

    def look() -> None:
        last = taken
        while True:
            time.sleep(SECONDS)
            value = read(file)
            if value not in (last, taken) and value:
                last = value
                if USABLE.fullmatch(value):
                    print(f"The Secret of {variable} has changed: ending, to be started with the new value", flush=True)
                    end()
                    return
                print(f"The Secret of {variable} has changed to a value that no HTTP header can have: the former one is kept", flush=True)

    threading.Thread(target=look, daemon=True, name="credentials").start()


def read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError:
        return b""  # whoever changes the Secret may not be done


if __name__ == "__main__":
    take(sys.argv[1])
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
