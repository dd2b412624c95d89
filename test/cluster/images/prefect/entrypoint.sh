#!/usr/bin/env bash
# Does what the entrypoint.sh of prefecthq/prefect:1.4.1 does, the unquoted EXTRA_PIP_PACKAGES included: tests rely on it.
set -e

if [ -n "$EXTRA_PIP_PACKAGES" ]; then
  echo "+pip install $EXTRA_PIP_PACKAGES"
  pip install $EXTRA_PIP_PACKAGES
fi

if [ -z "$*" ]; then
  exec bash --login
else
  exec "$@"
fi
