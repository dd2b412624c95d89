"""Asks Kubernetes whether the service account of this pod may do what the program in it does, and optionally Prefect's API whether it lets
us in. All that is missing is in one line on standard error; the exit code is then 1.

usage: check_access.py --namespace NAMESPACE [--api] [--credentials FILE=VARIABLE] "VERB RESOURCE[.GROUP][/SUBRESOURCE]" ...
"""

import argparse
import asyncio
import sys
from typing import Optional

import credentials


async def missing_rights(namespace: str, rights: list) -> Optional[list]:
    """None if Kubernetes does not let this service account ask."""
    from kubernetes_asyncio import client, config

    config.load_incluster_config()
    missing = []
    async with client.ApiClient() as api:
        authorization = client.AuthorizationV1Api(api)
        for right in rights:
            verb, what = right.split()
            what, _, subresource = what.partition("/")
            resource, _, group = what.partition(".")
            attributes = client.V1ResourceAttributes(
                namespace=namespace, verb=verb, group=group, resource=resource, subresource=subresource or None
            )
            spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
            try:
                review = await authorization.create_self_subject_access_review(
                    client.V1SelfSubjectAccessReview(spec=spec), _request_timeout=30
                )
            except client.ApiException as error:
                if error.status != 403:
                    raise
                # Everyone may ask this, unless a cluster has taken away the binding system:basic-user. Then nothing is known.
                return None
            if not review.status.allowed:
                missing.append(right)
    return missing


async def ask_prefect() -> None:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        await client.read_work_pools(limit=1)


def account() -> str:
    """From the token, without looking at its signature."""
    import base64
    import json

    try:
        with open("/var/run/secrets/kubernetes.io/serviceaccount/token") as file:
            payload = file.read().split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]
    except Exception:
        return "the service account of this pod"


def one_line(error: BaseException) -> str:
    """Without what was sent, which may hold secrets."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        hint = ": check the API key or auth string" if status in (401, 403) else ""
        return f"it answers {status}{hint}"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}".removesuffix(": ")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--api", action="store_true")
    parser.add_argument("--credentials", metavar="FILE=VARIABLE")
    parser.add_argument("rights", nargs="+")
    options = parser.parse_args()
    try:
        missing = asyncio.run(missing_rights(options.namespace, options.rights))
    except Exception as error:
        status, reason = getattr(error, "status", None), getattr(error, "reason", None)
        sys.exit(f"Kubernetes cannot be asked: {f'{status} {reason}' if status else one_line(error)}")
    if missing:
        sys.exit(f"{account()} may not {', '.join(missing)} in namespace {options.namespace}: bind the Role of the PrefectWorker to it")
    if options.api:
        if options.credentials:
            credentials.take(options.credentials)
        try:
            asyncio.run(ask_prefect())
        except Exception as error:
            sys.exit(f"Prefect's API cannot be asked: {one_line(error)}")
    if missing is None:
        print("not checked: Kubernetes does not let this service account ask for its permissions", flush=True)
    else:
        print(f"{account()} may {', '.join(options.rights)} in namespace {options.namespace}", flush=True)


if __name__ == "__main__":
    main()
