"""The requests of a sweeper to Prefect, through the client in Prefect's image."""

import json
import time
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from deadline import DEADLINE, within
from errors import Conflict, Unlike
from rules import WAITING, Run, Task

# The number of flow runs in one answer, which bounds its memory.
PREFECT_PAGE = 100


class Prefect:
    # The fields of a flow run, and of its task runs that are not finished.
    RUN = {"id", "state", "version", "heartbeat"}
    TASK_RUNS = {
        "task_runs(where: {state: {_in: " + json.dumps(("Running", "Submitted") + WAITING) + "}})": {
            "id": True,
            "state": True,
            "version": True,
            "task": {"max_retries": True},
        }
    }

    def __init__(self, api_key: Optional[str] = None, alive: Callable[[], None] = lambda: None) -> None:
        from prefect.client import Client
        from prefect.engine import state

        wait_alive(alive)

        self.client = Client(api_key=api_key)
        self.once = once(Client)(api_key=api_key)
        self.states = {name: kind for name, kind in vars(state).items() if isinstance(kind, type) and issubclass(kind, state.State)}
        self.final = {name for name, kind in self.states.items() if issubclass(kind, state.Finished)}

    def runs(self, ids: Set[str]) -> Dict[str, Run]:
        """The flow runs that Prefect knows. The request is sent even without ids, because a pass needs an answer of Prefect."""
        rows = self.ask(ids, dict.fromkeys(self.RUN, True))
        return {row["id"]: self.run(row) for row in rows}

    def tasks(self, ids: Set[str]) -> Dict[str, List[Task]]:
        """The running and waiting task runs of flow runs."""
        return {row["id"]: list(map(task_of, rows_of(row["task_runs"]))) for row in self.ask(ids, {"id": True, **self.TASK_RUNS})}

    def closely(self, run_id: str) -> Tuple[Optional[Run], List[Task]]:
        """A flow run and its running and waiting task runs. The request is sent once, so that the answer is not an old one."""
        with within(DEADLINE):
            rows = self.ask({run_id}, dict(dict.fromkeys(self.RUN, True), **self.TASK_RUNS), self.once)
        return (self.run(rows[0]), list(map(task_of, rows_of(rows[0]["task_runs"])))) if rows else (None, [])

    def ask(self, ids: Set[str], fields: Any, client: Any = None, **where: Any) -> List[Dict[str, Any]]:
        query = {"query($where: flow_run_bool_exp)": {"flow_run(where: $where)": fields}}
        found = []  # type: List[Dict[str, Any]]
        wanted = sorted(ids)
        for start in range(0, len(wanted) or 1, PREFECT_PAGE):
            page = wanted[start : start + PREFECT_PAGE]
            variables = {"where": dict(where, id={"_in": page})}
            answer = (client or self.client).graphql(query, variables=variables, retry_on_api_error=client is None)
            rows = rows_of(answer.to_dict()["data"]["flow_run"])
            if not {row["id"] for row in rows} <= set(page) or len(rows) > len(page):
                raise Unlike(f"asked about {len(page)} flow runs, Prefect answered about others")
            found += rows
        return found

    def run(self, row: Dict[str, Any]) -> Run:
        if row["state"] not in self.states or not isinstance(row["version"], int) or not isinstance(row["heartbeat"], (str, type(None))):
            raise Unlike("Prefect answered that flow run {id} is {state} in version {version}".format(**row))
        return Run(row["id"], row["state"], row["state"] in self.final, row["version"], row["heartbeat"])

    def set_run(self, run: Run, state: str, message: str) -> None:
        self.set_states("flow", [(run.id, run.version)], state, message)

    def set_tasks(self, tasks: List[Task], state: str, message: str) -> None:
        """Sets the states of all these task runs with one request."""
        self.set_states("task", [(task.id, task.version) for task in tasks], state, message)

    def set_states(self, kind: str, runs: List[Tuple[str, int]], state: str, message: str) -> None:
        from prefect.exceptions import VersionLockMismatchSignal

        mutation = {f"mutation($input: set_{kind}_run_states_input!)": {f"set_{kind}_run_states(input: $input)": {"states": {"id"}}}}
        serialized = self.states[state](message=message).serialize()
        states = [{f"{kind}_run_id": run_id, "version": version, "state": serialized} for run_id, version in runs]
        try:
            with within(DEADLINE):
                self.once.graphql(mutation, variables={"input": {"states": states}}, retry_on_api_error=False)
        except VersionLockMismatchSignal as mismatch:
            raise Conflict("the run has changed") from mismatch


def wait_alive(alive: Callable[[], None]) -> None:
    """Calls `alive` each second while Prefect's client waits because it is rate-limited (HTTP 429)."""
    import prefect.client.client as client

    def sleep(seconds: float) -> None:
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            alive()
            time.sleep(max(0.0, min(1.0, over - time.monotonic())))

    client.time = SimpleNamespace(**{**vars(time), "sleep": sleep})


def once(client: type) -> type:
    """Prefect's client without its repeated requests: no retry after a connection fault or an API error, no redirect, no wait after HTTP
    429.
    """
    from requests.adapters import HTTPAdapter

    class Once(client):  # type: ignore
        def _send_request(self, session: Any, method: str, url: str, params: Any = None, headers: Any = None) -> Any:
            for scheme in ("https://", "http://"):
                session.mount(scheme, HTTPAdapter(max_retries=0))
            response = session.post(url, json=params, headers=headers, timeout=DEADLINE, allow_redirects=False)
            response.raise_for_status()
            return response

    return Once


def rows_of(answer: Any) -> List[Dict[str, Any]]:
    """The rows of a table. Anything else is no empty table, which would say that nothing is there."""
    if not isinstance(answer, list):
        raise Unlike(f"Prefect answered with {type(answer).__name__} in place of a list")
    return answer


def task_of(row: Dict[str, Any]) -> Task:
    return Task(row["id"], row["state"], row["version"], may_retry=bool((row["task"] or {}).get("max_retries")))
