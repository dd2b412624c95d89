"""Runs examples in Python, and the tests in them, with the names of rosetta/default.ts-fixture: a JSON file of [place, source], ..."""

import json
import sys
from pathlib import Path

import cdk8s
import cdk8s_prefect


def surroundings():
    app = cdk8s.App()
    api = cdk8s_prefect.PrefectApi.server(url="http://prefect-apollo.prefect-server:4200")

    def chart(app, name):
        return cdk8s.Chart(app, name, namespace="prefect")

    return {
        **vars(cdk8s),
        **vars(cdk8s_prefect),
        "app": app,
        "chart": chart(app, "chart"),
        "admin_chart": chart(app, "admin"),
        "api": api,
        "agent": cdk8s_prefect.PrefectAgent(chart(cdk8s.App(), "chart"), "Agent", api=api),
        "key": "key",
    }


for place, source in json.loads(Path(sys.argv[1]).read_text()):
    try:
        scope = surroundings()
        exec(compile(source, place, "exec"), scope)
        for name in [name for name in scope if name.startswith("test_")]:
            scope[name]()
        scope["app"].synth()
    except Exception as error:
        sys.exit(f"{place}: {error!r}\n{source}")
    print(place)
