"""Prints the words of Prefect's configuration and command line, and of dask-kubernetes' and its workers', as JSON."""

import inspect
import json
import re
from pathlib import Path

import click
import dask_kubernetes
import prefect
import yaml
from dask_kubernetes import KubeCluster
from distributed.cli import dask_scheduler, dask_worker
from prefect.cli import cli
from prefect.run_configs import KubernetesRun


def keys(settings):
    for key, value in settings.items():
        yield key
        if isinstance(value, dict):
            yield from keys(value)


def commands(command):
    yield command.name or ""
    for param in command.params:
        yield from [param.name, *param.opts]
    if isinstance(command, click.Group):
        for sub in command.commands.values():
            yield from commands(sub)


prefects = [
    *keys(prefect.config.to_dict()),
    *commands(cli),
    *inspect.signature(KubernetesRun).parameters,
    KubernetesRun.__name__,
]
config = yaml.safe_load((Path(dask_kubernetes.__file__).parent / "kubernetes.yaml").read_text())
dasks = [
    *keys(config),
    *inspect.signature(KubeCluster).parameters,
    *commands(dask_worker.main),
    *commands(dask_scheduler.main),
]


def words(names):
    return sorted({word for name in names for word in re.findall("[a-z0-9]+", name.lower())})


print(json.dumps({"prefect": words(prefects), "dask": words(dasks)}))
