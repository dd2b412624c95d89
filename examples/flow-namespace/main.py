# An agent whose flow runs have a namespace of their own. Everyone who may create Jobs in a namespace can read its Secrets, so flows
# cannot reach the Secrets of the agent. The agent has a Role in the flow namespace and no permission in its own.
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
    api=PrefectApi.server(
        url="http://prefect-apollo.prefect-server:4200",
        api_key=SecretKeyRef.of("prefect-api-key", "key"),
    ),
    labels=["kube"],
    flow_namespace="flows",
    debug=DebugConfig(chart, "Debug", flow_level=LogLevel.DEBUG),
)

app.synth()
