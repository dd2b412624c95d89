"""A flow's cluster: the scheduler with our preload, and a worker, as processes of their own. Its tasks use a client of the worker's.

Prints what became of the scheduler: while its flow is connected, and after that.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from distributed import Client, get_client

PRELOAD = Path(__file__).parents[2] / "lib" / "dask" / "prefect_dask_scheduler.py"


def of_a_worker(number: int) -> int:
    return get_client().submit(lambda: number + 1, pure=False).result()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "scheduler.json")
        run = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host=127.0.0.1", "--port=0", "--no-dashboard"]
        scheduler = subprocess.Popen([*run, f"--preload={PRELOAD}", f"--scheduler-file={file}"])
        while not file.exists():
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        run = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-dashboard", "--no-nanny", "--nthreads=2"]
        worker = subprocess.Popen([*run, f"--local-directory={folder}", "--death-timeout=60"])
        try:
            with Client(address) as client:
                result = client.submit(of_a_worker, 1).result()
                # Longer than its CLIENT_TIMEOUT: with a client of a worker's, and the flow's own.
                time.sleep(4)
                connected = scheduler.poll() is None
            try:
                ended = scheduler.wait(30)
            except subprocess.TimeoutExpired:
                ended = "still there"
            print(json.dumps({"result": result, "connected": connected, "ended": ended}))
        finally:
            for process in (scheduler, worker):
                process.kill()
                process.wait()


if __name__ == "__main__":
    main()
