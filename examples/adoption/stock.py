# Step 1 of adopting an existing install: the same objects that `prefect agent kubernetes install --key KEY --rbac --label kube`
# made, from code. `kubectl diff` must be empty; then the chart owns them and nothing was restarted.
import os

from cdk8s import App, Chart
from cdk8s_prefect import StockPrefectAgent

app = App()
chart = Chart(app, "prefect", namespace="default")

StockPrefectAgent(
    chart,
    "Agent",
    # In clear, as the install has it: read from the environment, so that at least the repository does not.
    key=os.environ.get("PREFECT__CLOUD__API_KEY"),
    labels=["kube"],
    rbac=True,
)

app.synth()
