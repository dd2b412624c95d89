"""Runs the program of a work pool once for each line of standard input. Lines and answers are JSON.

pool:     the file of the program; its exit code and what it wrote

Each run is a process of its own that has imported Prefect already: that import takes most of the time of the program.
"""

import io
import json
import os
import runpy
import sys
import tempfile

import prefect.main  # noqa: F401
import prefect_kubernetes.worker  # noqa: F401

PROGRAM = sys.argv[1]


def run(file: str, out: int, error: int) -> None:
    """In the child: as `python3 PROGRAM file`."""
    os.dup2(out, 1)
    os.dup2(error, 2)
    sys.stdout, sys.stderr = io.TextIOWrapper(os.fdopen(1, "wb")), io.TextIOWrapper(os.fdopen(2, "wb"), line_buffering=True)
    sys.argv = [PROGRAM, file]
    code = 0
    try:
        runpy.run_path(PROGRAM, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        os._exit(code)


def answer(pool: dict) -> dict:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        json.dump(pool, file)
        file.flush()
        child = os.fork()
        if child == 0:
            run(file.name, out.fileno(), error.fileno())
        _, status = os.waitpid(child, 0)
        for stream in (out, error):
            stream.seek(0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "out": out.read().decode().strip(),
            "error": error.read().decode().strip(),
        }


def main() -> None:
    for line in sys.stdin:
        print(json.dumps({"answer": answer(json.loads(line)["pool"])}), flush=True)


if __name__ == "__main__":
    main()
