import os

from cdk8s import App, Chart
from cdk8s_prefect import PrefectAgent, PrefectApi, SecretKeyRef

app = App()
chart = Chart(app, "prefect", namespace="default")

PrefectAgent(
    chart,
    "Agent",
    api=PrefectApi.server(
        # The name of the Service in the Helm chart of Prefect Server.
        url=os.environ.get("PREFECT__CLOUD__API", "http://prefect-apollo.prefect-server:4200"),
        api_key=SecretKeyRef.of("prefect-api-key", "key"),
    ),
    labels=["kube"],
)

app.synth()
