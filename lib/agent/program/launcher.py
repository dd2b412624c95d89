"""Starts the stock Prefect agent with an API key from a file, and with the changes of the other modules here.

usage: launcher.py --signs DIRECTORY [--api-key-file FILE --api-key-secret NAME/KEY] [--sweeper true]
                   [--sweeper-of-image-pulls true] [--token-for-named-accounts] agent kubernetes start [OPTION ...]
"""

import argparse
import os
import signal
import sys
from pathlib import Path

import disrupted_runs
import failed_pods
import flow_jobs
import image_pulls
import kubernetes_client
import kubernetes_down
import prefect_client
import unfinished_runs


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--signs", type=Path, required=True)
    parser.add_argument("--api-key-file", type=Path)
    parser.add_argument("--api-key-secret", metavar="NAME/KEY")
    parser.add_argument("--sweeper", choices=["true", "false"], default="false")
    parser.add_argument("--sweeper-of-image-pulls", choices=["true", "false"], default="false")
    parser.add_argument("--token-for-named-accounts", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()

    # The directory outlives a restart of the container, so the files in it are out of date.
    alive, polled = options.signs / "alive", options.signs / "polled"
    alive.touch()
    if polled.exists():
        polled.unlink()

    command = options.command
    if options.api_key_file:
        try:
            key = prefect_client.read_key(options.api_key_file)
        except ValueError as error:
            sys.exit(str(error))
        # The key is not passed in the environment, because Prefect would expand `$` in it and read digits as a number.
        command.append(f"--key={key}")
        prefect_client.follow_key(options.api_key_file)

    signal.signal(signal.SIGTERM, end)

    prefect_client.leave_signs(alive, polled)
    prefect_client.wait_awake(alive)
    kubernetes_client.ask_with_patience()
    kubernetes_client.mind_no_proxy()
    kubernetes_down.wait_for_kubernetes(prefect_client.told_to_end)
    flow_jobs.mend_jobs(options.api_key_secret, options.token_for_named_accounts)
    if options.sweeper == "true":
        disrupted_runs.leave_disrupted_runs()
        unfinished_runs.keep_jobs()
    if options.sweeper_of_image_pulls == "true":
        image_pulls.leave_image_pulls()
    failed_pods.say_why()
    from prefect.cli import cli

    cli(command, prog_name="prefect")


def end(*_) -> None:
    """Kubernetes sends SIGTERM, but the agent finishes its submissions on SIGINT only."""
    prefect_client.told_to_end.set()
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
