"""Loaded into a flow run as it connects to its Dask cluster: SIGTERM then closes the cluster before it ends the flow run.

Python's own answer to SIGTERM leaves scheduler and workers running (dask/dask-kubernetes#343); SystemExit leaves each `with` in order.
"""

import signal
import sys
import threading

in_main_thread = threading.current_thread() is threading.main_thread()
# A flow that has a handler of its own keeps it.
if in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
