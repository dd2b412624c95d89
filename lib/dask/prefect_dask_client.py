"""Loaded into a flow run when it connects to its Dask cluster: SIGTERM then closes the cluster before it ends the flow run.

By default Python ends at once on SIGTERM, which leaves scheduler and workers running (dask/dask-kubernetes#343). SystemExit runs the exit
of each `with` block.
"""

import signal
import sys
import threading

in_main_thread = threading.current_thread() is threading.main_thread()
# A flow with its own handler keeps it.
if in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
