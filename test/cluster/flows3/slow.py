"""A flow that runs until it is ended."""

import time

from prefect import flow, get_run_logger


@flow
def slow():
    get_run_logger().info("it runs")
    while True:
        time.sleep(1)
