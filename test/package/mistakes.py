"""Makes mistakes in Python, and prints what the users of this library then see: a line of JSON each, [name, error]."""

import json

from cdk8s import App, Chart, Duration, Size
from cdk8s_prefect import (
    ContainerResources,
    EnvValue,
    EvictionPolicy,
    Fleet,
    FleetTeamProps,
    FlowJobTemplate,
    FlowRunSweeper,
    PrefectAgent,
    PrefectAgentOptions,
    PrefectApi,
    SecretKeyRef,
)

KEY = "pcu_1234567890abcdefghij1234567890abcdef"
api = PrefectApi.server(url="http://prefect-apollo.prefect-server:4200")


def chart():
    return Chart(App(), "chart", namespace="prefect")


def agent(**props):
    PrefectAgent(chart(), "Agent", api=api, **props)


def jobs(**props):
    FlowJobTemplate(chart(), "Jobs", **props)


def cloud():
    PrefectApi.cloud(url="https://api.prefect.cloud/api", api_key=SecretKeyRef.of("prefect-api-key", "key"))


def twice():
    both = chart()
    for name in ("A", "B"):
        PrefectAgent(both, name, api=api)


def fleet():
    wrong = PrefectAgentOptions(flow_namespace="F", request_timeout=Duration.millis(1))
    Fleet(teams={"fraud": FleetTeamProps(api=api, agent=wrong)}, folder="mistakes").synth()


class ByKeyword(Fleet):
    def _make_team(self, scope, name, *, api):
        return super()._make_team(scope, name, api=api)


def by_keyword():
    row = FleetTeamProps(api=api, namespace="team")
    fleet = ByKeyword(teams={"fraud": row}, folder="by-keyword")
    fleet.synth()
    with open(f"{fleet.outdir}/fraud/fraud.k8s.yaml") as file:
        raise Exception("namespace: team" in file.read())


def memory():
    jobs(resources=ContainerResources(memory_request=Size.gibibytes(4), memory_limit=Size.gibibytes(2)))


mistakes = {
    "value": lambda: agent(flow_namespace="Flows"),
    "duration": lambda: agent(request_timeout=Duration.millis(1)),
    "amount": memory,
    "field": lambda: jobs(pod_spec={"runtime_class_name": "nvidia"}),
    "list": lambda: FlowRunSweeper(chart(), "Sweeper", api=api, run_again_limit=0),
    "key": lambda: SecretKeyRef.of(KEY, "key"),
    "key name": lambda: SecretKeyRef.of("prefect-api-key", KEY),
    "env": lambda: jobs(env={"PREFECT__CLOUD__API": EnvValue.of(KEY)}),
    "cloud": cloud,
    "twice": twice,
    "fleet": fleet,
    "by keyword": by_keyword,
}
for name, make in mistakes.items():
    try:
        make()
        print(json.dumps([name, "nothing"]))
    except Exception as error:
        print(json.dumps([name, str(error)]))

app = App()
warned = Chart(app, "chart", namespace="prefect")
job_template = FlowJobTemplate(warned, "Jobs", on_eviction=EvictionPolicy.FAIL)
PrefectAgent(warned, "Agent", api=PrefectApi.server(url="http://localhost:4200"), job_template=job_template)
acknowledged = Chart(app, "acknowledged", namespace="other")
acknowledged.node.set_context("cdk8s-prefect:acknowledge", ["localhost"])
PrefectAgent(acknowledged, "Agent", api=PrefectApi.server(url="http://localhost:4200"))
app.synth()
