"""Lets the sweeper ask Prefect through the real client, and answers with what came of it: one JSON object a line."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "lib" / "sweeper" / "program"))

from errors import Conflict, Unlike
from prefect_api import Prefect
from rules import Run

alive = Path(os.environ["ALIVE"])
prefect = Prefect(sys.argv[1] if len(sys.argv) > 1 else None, alive.touch)


def answer(question):
    [(method, argument)] = question.items()
    if method == "runs":
        return {run_id: run._asdict() for run_id, run in prefect.runs(set(argument)).items()}
    if method == "tasks":
        return {run_id: [task._asdict() for task in tasks] for run_id, tasks in prefect.tasks(set(argument)).items()}
    if method == "closely":
        run, tasks = prefect.closely(argument)
        return {"run": run and run._asdict(), "tasks": [task._asdict() for task in tasks]}
    if method == "set_run_at":
        return prefect.set_run(Run(argument["id"], "Running", False, argument["version"]), argument["state"], argument["message"])
    run, tasks = prefect.closely(argument["id"])
    if "version" in argument:
        run = run._replace(version=argument["version"])
    if method == "set_tasks":
        return prefect.set_tasks(tasks, argument["state"], argument["message"])
    return prefect.set_run(run, argument["state"], argument["message"])


for line in sys.stdin:
    try:
        print(json.dumps({"answer": answer(json.loads(line))}), flush=True)
    except (Conflict, Unlike) as refusal:
        print(json.dumps({"answer": {"refused": type(refusal).__name__, "why": str(refusal)}}), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
