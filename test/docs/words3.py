"""Prints the words of Prefect 3: its settings, its API's objects, and the job variables of its Kubernetes worker, as JSON."""

import json
import re

from prefect.client.schemas import actions, objects
from prefect.settings import Settings
from prefect_kubernetes.worker import KubernetesWorker
from pydantic import BaseModel


def settings(model):
    for name, field in model.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings(field.annotation)


def fields(module):
    for item in vars(module).values():
        if isinstance(item, type) and issubclass(item, BaseModel):
            yield from [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", item.__name__), *item.model_fields]


template = KubernetesWorker.get_default_base_job_template()
names = [
    *settings(Settings),
    *fields(objects),
    *fields(actions),
    *template,
    *template["job_configuration"],
    *template["variables"]["properties"],
]
print(json.dumps(sorted({word for name in names for word in re.findall("[a-z0-9]+", name.lower())})))
