"""Requests to the API server of the cluster.

It uses `http.client`, because the Kubernetes client in Prefect 1 images repeats requests by itself. From release 34.1 on that client also
uses a proxy in spite of NO_PROXY. Here each request is sent once, and never through a proxy. `http.client` is in the images of Prefect 1
and of Prefect 3.
"""

import json
import os
import re
import ssl
import time
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple
from urllib.parse import urlencode

from deadline import within
from errors import Conflict, Unlike

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
JSON = "application/json"
# The longest time of a whole request, in seconds. The API server ends a request after a minute.
DEADLINE = 60
# The longest idle time of a connection that is used again, in seconds. A load balancer may have dropped an older one.
REST = 5


# The largest answer that is read, in bytes. As Python objects it takes several times as much.
LARGEST = 16 * 1024 * 1024
# The longest pause that the API server can ask for, in seconds.
LONGEST_PAUSE = 300


class Refused(Exception):
    """The API server refused the request."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


class Limited(Refused):
    """The API server rate-limits its clients (429) and asks for a pause of so many seconds."""

    def __init__(self, text: str, retry_after: float):
        super().__init__(429, text)
        self.retry_after = retry_after


class TooLarge(Exception):
    """The answer is larger than the sweeper reads."""


class ApiServer:
    """A client for one thread, because its requests share a connection."""

    def __init__(self, host: str, port: int, account: Path = ACCOUNT, tls: bool = True):
        self.address = (host, port)
        self.account = account
        self.tls = trust(account / "ca.crt") if tls else None
        self.connection = None  # type: Optional[HTTPConnection]
        self.used = 0.0

    @classmethod
    def of_cluster(cls) -> "ApiServer":
        return cls(os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"]))

    def call(self, method: str, path: str, body: Any = None, content: str = JSON, accept: str = JSON, **query: Any) -> Any:
        with within(DEADLINE):
            connection, response = self.send(method, path, body, content, accept, query)
            text = response.read(LARGEST + 1)
            if len(text) > LARGEST:
                connection.close()
                raise TooLarge(f"{method} {path}: the answer has more than {LARGEST} bytes")
            answer = json.loads(text)
            del text
        # A connection is kept only after a complete answer. Otherwise the next request could read the rest of this one.
        self.connection, self.used = connection, time.monotonic()
        return answer

    def watch(self, path: str, seconds: int, each: Callable[[str, Dict[str, Any]], None], **query: Any) -> None:
        """Calls `each` for every change of the objects during this time, starting with the changes since a `resourceVersion`."""
        query.update(watch=1, timeoutSeconds=seconds)
        with within(seconds + DEADLINE):
            for line in self.send("GET", path, None, JSON, JSON, query)[1]:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise refusal(f"watch {path}", event["object"].get("code", 500), line)
                each(event["type"], event["object"])

    def send(
        self, method: str, path: str, body: Any, content: str, accept: str, query: Dict[str, Any]
    ) -> Tuple[HTTPConnection, HTTPResponse]:
        connection, self.connection = self.connection, None
        if connection is None or time.monotonic() - self.used > REST:
            connection = self.connect()
        # The token is read each time, because Kubernetes renews it.
        headers = {"Accept": accept, "Authorization": "Bearer " + (self.account / "token").read_text().strip()}
        if body is not None:
            headers["Content-Type"] = content
        target = path + ("?" + urlencode(query) if query else "")
        connection.request(method, target, None if body is None else json.dumps(body).encode(), headers)
        response = connection.getresponse()
        if response.status >= 300:
            raise refusal(f"{method} {path}", response.status, response.read(LARGEST), response.getheader("Retry-After"))
        return connection, response

    def connect(self) -> HTTPConnection:
        if self.tls:
            return HTTPSConnection(*self.address, timeout=DEADLINE, context=self.tls)
        return HTTPConnection(*self.address, timeout=DEADLINE)


def trust(authority: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority))
    # Python 3.13 and newer ask for certificate extensions that many clusters lack.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    return context


def refusal(request: str, status: int, answer: bytes, retry_after: Optional[str] = None) -> Exception:
    try:
        said = json.loads(answer)
        why = str(said.get("object", said)["message"])[:500]
    except (ValueError, KeyError, TypeError, AttributeError):
        why = "no reason is given"
    text = f"{request}: {status}: {why}"
    if status == 429:
        seconds = float(retry_after) if re.match(r"\d+$", retry_after or "") else 0
        return Limited(text, min(seconds, LONGEST_PAUSE))
    return Conflict(text) if status in (404, 409) else Refused(status, text)


def version_of(item: Any) -> str:
    """The resourceVersion of an object or a list. A write without one would replace the object whatever has changed."""
    version = item["metadata"]["resourceVersion"]
    if not isinstance(version, str) or not version:
        raise Unlike("an answer of the API server has no resourceVersion")
    return version
