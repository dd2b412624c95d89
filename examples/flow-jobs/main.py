# Three kinds of flow runs, each with an agent that takes them by their label and a template of its own for their Jobs.
# The Secret prefect-api-key with the key `key` must be in each namespace: Jobs refer to it, and never contain the key.
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
api = PrefectApi.cloud(api_key=SecretKeyRef.of("prefect-api-key", "key"))
chart = Chart(app, "prefect", namespace="prefect")

# A pool of GPU nodes, which a taint keeps free of everything else.
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

# A team's own namespace, with its image, its account and its database. The agent's Secrets stay out of its reach.
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

# Flows that run for hours and must not be moved: autoscalers and drains wait for them, for a day at most.
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
