# Three kinds of flow runs. Each has an agent that takes them by their label, and a Job template of its own.
from cdk8s import App, Chart, Duration, Size
from cdk8s_plus_27 import k8s
from cdk8s_prefect import (
    ContainerResources,
    Cpu,
    EnvValue,
    EvictionPolicy,
    FlowJobTemplate,
    PrefectAgent,
    PrefectApi,
    SecretKeyRef,
    TaintEffect,
    Toleration,
)

app = App()
api = PrefectApi.server(url="http://prefect-apollo.prefect-server:4200")
chart = Chart(app, "prefect", namespace="prefect")

# A pool of GPU nodes. A taint keeps other pods away from it.
PrefectAgent(
    chart,
    "Gpu",
    api=api,
    resource_name="prefect-gpu",
    labels=["gpu"],
    job_template=FlowJobTemplate(
        chart,
        "GpuJobs",
        resource_name="gpu-jobs",
        image="registry.example/flows-cuda:42",
        node_selector={"example.com/pool": "gpu"},
        tolerations=[Toleration(key="nvidia.com/gpu", effect=TaintEffect.NO_SCHEDULE)],
        resources=ContainerResources(
            cpu_request=Cpu.units(4),
            memory_request=Size.gibibytes(16),
            memory_limit=Size.gibibytes(16),
            extended_resources={"nvidia.com/gpu": 1},
        ),
        pod_spec={"runtimeClassName": "nvidia"},
    ),
)

# A team with its own namespace, image, service account and database. It cannot reach the Secrets of the agent.
team = Chart(app, "fraud", namespace="fraud")
k8s.KubeNamespace(
    team,
    "Namespace",
    metadata=k8s.ObjectMeta(name="fraud", labels={"pod-security.kubernetes.io/enforce": "restricted"}),
)
k8s.KubeServiceAccount(team, "Account", metadata=k8s.ObjectMeta(name="fraud-flows"))
chart.add_dependency(team)

PrefectAgent(
    chart,
    "Fraud",
    api=api,
    resource_name="prefect-fraud",
    labels=["fraud"],
    flow_namespace="fraud",
    job_template=FlowJobTemplate(
        chart,
        "FraudJobs",
        resource_name="fraud-jobs",
        flow_namespace="fraud",
        image="registry.example/fraud/flows:7",
        image_pull_secrets=["registry"],
        service_account_name="fraud-flows",
        env={"DATABASE_URL": EnvValue.from_secret(SecretKeyRef.of("database", "url"))},
        extra_pip_packages=["scikit-learn>=1.2,<2"],
        pip_index_url=SecretKeyRef.of("pip", "index-url"),
    ),
)

# Flows that run for hours and must not be moved. Autoscalers and drains wait for them, for at most a day.
PrefectAgent(
    chart,
    "Long",
    api=api,
    resource_name="prefect-long",
    labels=["long"],
    job_template=FlowJobTemplate(
        chart,
        "LongJobs",
        resource_name="long-jobs",
        on_eviction=EvictionPolicy.PROTECT,
        active_deadline=Duration.days(1),
        resources=ContainerResources(cpu_request=Cpu.units(1), memory_request=Size.gibibytes(4), memory_limit=Size.gibibytes(4)),
    ),
)

app.synth()
