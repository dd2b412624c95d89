# Step 2 of adopting an existing install: the hardened agent under the same names, so that it replaces the stock one in place.
# Create the Secret with the API key first:
#   kubectl create secret generic prefect-api-key --namespace default --from-literal=key="$PREFECT__CLOUD__API_KEY"
from cdk8s import App, Chart
from cdk8s_prefect import PrefectAgent, PrefectApi, SecretKeyRef

app = App()
chart = Chart(app, "prefect", namespace="default")

PrefectAgent(
    chart,
    "Agent",
    api=PrefectApi.cloud(api_key=SecretKeyRef.of("prefect-api-key", "key"), url="https://prefect.example.com"),
    labels=["kube"],
)

app.synth()
