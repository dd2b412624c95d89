"""Lets the sweeper ask Prefect through the real client, and answers with what came of it: one JSON object a line."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "lib" / "python" / "sweeper"))

from clients import Conflict, Prefect, Unlike

prefect = Prefect(sys.argv[1] if len(sys.argv) > 1 else None)


def answer(question):
    [(method, argument)] = question.items()
    if method == "runs":
        return {run_id: run._asdict() for run_id, run in prefect.runs(set(argument)).items()}
    if method == "waiting":
        return sorted(prefect.waiting(set(argument)))
    if method == "closely":
        run, tasks = prefect.closely(argument)
        return {"run": run and run._asdict(), "tasks": tasks}
    run, tasks = prefect.closely(argument["id"])
    if "version" in argument:
        run = run._replace(version=argument["version"])
    if method == "set_task":
        return prefect.set_task(tasks[0], argument["state"], argument["message"])
    return prefect.set_run(run, argument["state"], argument["message"])


for line in sys.stdin:
    try:
        print(json.dumps({"answer": answer(json.loads(line))}), flush=True)
    except (Conflict, Unlike) as refusal:
        print(json.dumps({"answer": {"refused": type(refusal).__name__, "why": str(refusal)}}), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
