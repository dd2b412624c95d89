# An agent whose flow runs have a namespace of their own: whoever may create Jobs in a namespace can read its Secrets, so the
# agent's stay out of reach of the flows. The agent's account gets its Role there, and nothing in its own namespace.
from cdk8s import App, Chart
from cdk8s_plus_27 import k8s
from cdk8s_prefect import DebugConfig, LogLevel, PrefectAgent, PrefectApi, SecretKeyRef

app = App()

namespaces = Chart(app, "namespaces")
k8s.KubeNamespace(
    namespaces,
    "Prefect",
    metadata=k8s.ObjectMeta(name="prefect", labels={"pod-security.kubernetes.io/enforce": "restricted"}),
)
k8s.KubeNamespace(
    namespaces,
    "Flows",
    metadata=k8s.ObjectMeta(name="flows", labels={"pod-security.kubernetes.io/enforce": "baseline"}),
)

chart = Chart(app, "prefect", namespace="prefect")
chart.add_dependency(namespaces)

PrefectAgent(
    chart,
    "Agent",
    api=PrefectApi.cloud(api_key=SecretKeyRef.of("prefect-api-key", "key")),
    labels=["kube"],
    flow_namespace="flows",
    debug=DebugConfig(chart, "Debug", flow_level=LogLevel.DEBUG),
)

app.synth()
