"""Registers the base job template of a Kubernetes work pool, and changes nothing else of the pool.

The exit code is 0 only if the pool has the template afterwards: created, updated or unchanged. Every other outcome is one line on standard
error and exit code 1. Examples are a pool of another type, a template with which every run crashes, deployments that a locked template
would refuse, and an API that does not answer. The program never pauses or resumes a pool, and never changes its concurrency limit,
description or queues.
"""

import argparse
import asyncio
import importlib.metadata
import json
import sys

TYPE = "kubernetes"
# Older releases create other Jobs and need other permissions.
OLDEST = {"prefect": "3.9", "prefect-kubernetes": "0.8"}
PAGE = 200  # the largest that the API takes
NAMED = 10


class Refused(Exception):
    """The reason of a refusal, as the end of a sentence."""


def check_releases() -> None:
    from packaging.version import Version

    for package, oldest in OLDEST.items():
        try:
            found = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise Refused(f"the image has no {package}: choose one of prefecthq/prefect that ends in -kubernetes") from None
        if Version(found) < Version(oldest):
            raise Refused(f"the image has {package} {found}: {oldest} or newer is needed")


async def check_template(template: dict) -> None:
    """Refuses templates that the API accepts although every run would crash or lose settings. It uses the worker's own check and adds what
    that overlooks.
    """
    from prefect.utilities.templating import find_placeholders
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration as Configuration

    configuration, variables = template.get("job_configuration"), template.get("variables")
    if not isinstance(configuration, dict) or not isinstance(variables, dict) or not configuration or not variables:
        raise Refused("the template needs job_configuration and variables: the API fills an empty one with its default")
    unknown = sorted(set(configuration) - set(Configuration.model_fields))
    if unknown:
        raise Refused(f"job_configuration has keys that no worker reads: {', '.join(unknown)}")
    if not isinstance(configuration.get("job_manifest"), dict):
        raise Refused("job_configuration has no job_manifest")
    properties = variables.get("properties", {})
    # The worker adds the job variable `env` to an object of environment variables without a placeholder.
    used = {placeholder.name for placeholder in find_placeholders(configuration)}
    used |= {"env"} if isinstance(configuration.get("env"), dict) else set()
    unused = sorted(set(properties) - used)
    if unused:
        raise Refused(f"job variables change nothing, since no placeholder names them: {', '.join(unused)}")
    nulls = sorted(name for name, schema in properties.items() if "default" in schema and not takes_null(schema))
    if nulls:
        raise Refused(f"the default null is not of the type of its job variable: {', '.join(nulls)}")
    try:
        await Configuration.from_template_and_values(template, {}, client=object())
    except Exception as error:
        raise Refused(f"no run could be made of the template: {one_line(error)}") from error


def takes_null(schema: dict) -> bool:
    from prefect.utilities.schema_tools import validate

    if schema["default"] is not None:
        return True
    return not validate({"value": None}, {"properties": {"value": schema}}, preprocess=False)


async def check_deployments(client, name: str, template: dict) -> None:
    """The API does not check existing deployments when a pool changes. If their variables are refused, their next run cannot be created."""
    from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
    from prefect.utilities.schema_tools import validate

    refused = []
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[name]))
    page = [None] * PAGE
    offset = 0
    while len(page) == PAGE:
        page = await client.read_deployments(work_pool_filter=pool, limit=PAGE, offset=offset)
        offset += PAGE
        for deployment in page:
            variables = deployment.job_variables or {}
            undeclared = set(variables) - set(template["variables"].get("properties", {}))
            errors = validate(
                {key: value for key, value in variables.items() if key not in undeclared},
                template["variables"],
                ignore_required=True,
                allow_none_with_default=True,
            )
            wrong = sorted(undeclared | {str(error.absolute_path[0]) for error in errors if error.absolute_path})
            if wrong:
                refused.append(f"{deployment.name} ({deployment.id}): {', '.join(wrong)}")
    if refused:
        more = f"; and {len(refused) - NAMED} more" if len(refused) > NAMED else ""
        raise Refused(
            f"{len(refused)} deployment(s) have job variables that the locked template refuses, so their next run could not be created: "
            f"{'; '.join(refused[:NAMED])}{more}. Change them, declare the variables, or register with lock: false"
        )


async def register(name: str, template: dict) -> str:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
    from prefect.settings import get_current_settings

    if not get_current_settings().api.url:
        raise Refused("PREFECT_API_URL is not set")  # the client would start a server of its own
    await check_template(template)
    async with get_client() as client:
        for _ in range(3):
            try:
                pool = await client.read_work_pool(name)
            except ObjectNotFound:
                try:
                    await client.create_work_pool(WorkPoolCreate(name=name, type=TYPE, base_job_template=template))
                    return "created"
                except ObjectAlreadyExists:
                    continue  # another program was faster
            if pool.type != TYPE:
                raise Refused(f"it is of type {pool.type}: choose another name, or delete it")
            paused = "; it is paused, so its runs wait" if pool.is_paused else ""
            if pool.base_job_template == template:
                return "unchanged" + paused
            if template["variables"].get("additionalProperties") is False:
                await check_deployments(client, name, template)
            try:
                await client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))
            except ObjectNotFound:
                continue  # another program has deleted it
            return "updated" + paused
    raise Refused("it is created and deleted by others again and again")


def one_line(error: BaseException) -> str:
    """The error in one line, without the refused values, which may be secrets."""
    if hasattr(error, "errors") and callable(error.errors):  # pydantic
        return "; ".join(" ".join(str(item.get("msg", "")).split()) for item in error.errors())
    response = getattr(error, "response", None)
    if response is not None:
        try:
            body = response.json()
            detail = body.get("detail") or body.get("exception_detail") or body.get("exception_message") or ""
        except Exception:
            detail = ""
        text = f"the API answers {response.status_code} {' '.join(str(detail).split())[:500]}".rstrip()
        return f"{text}: check the API key or auth string" if response.status_code in (401, 403) and not detail else text
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}".removesuffix(": ")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pool", help="a JSON file with the name and the base_job_template of the work pool")
    with open(parser.parse_args().pool, encoding="utf-8") as file:
        pool = json.load(file)
    name = pool["name"]
    try:
        check_releases()
        outcome = asyncio.run(register(name, pool["base_job_template"]))
    except Refused as refused:
        sys.exit(f"work pool {name}: not registered: {refused}")
    except Exception as error:
        sys.exit(f"work pool {name}: not registered: {one_line(error)}")
    print(f"work pool {name}: {outcome}")


if __name__ == "__main__":
    main()
