import os

from cdk8s import App, Chart
from cdk8s_prefect import PrefectAgent, PrefectApi, SecretKeyRef

app = App()
chart = Chart(app, "prefect", namespace="default")

PrefectAgent(
    chart,
    "Agent",
    api=PrefectApi.cloud(
        api_key=SecretKeyRef.of("prefect-api-key", "key"),
        url=os.environ.get("PREFECT__CLOUD__API"),
    ),
    labels=["kube"],
)

app.synth()
