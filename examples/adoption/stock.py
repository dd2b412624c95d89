# Step 1 of adopting an existing install: the same objects as from `prefect agent kubernetes install --key KEY --api URL --rbac --label
# kube`. `kubectl diff` must be empty. Then the chart owns them, and nothing restarts.
import os

from cdk8s import App, Chart
from cdk8s_prefect import StockPrefectAgent

app = App()
chart = Chart(app, "prefect", namespace="default")

StockPrefectAgent(
    chart,
    "Agent",
    # In clear, as in the stock install. Read it from the environment, so that it is not in the repository.
    key=os.environ.get("PREFECT__CLOUD__API_KEY"),
    api="https://prefect.example.com",
    labels=["kube"],
    rbac=True,
)

app.synth()
