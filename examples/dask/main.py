# Flows with DaskExecutor and KubeCluster. Their clusters end with them, workers may run on spot instances, and only flow runs and Dask
# can connect to a scheduler. The code of the flows stays the same.
from cdk8s import App, Chart, Duration, Size
from cdk8s_prefect import (
    ContainerResources,
    Cpu,
    DaskPodOptions,
    DaskWorkerPolicy,
    EnvValue,
    FlowJobTemplate,
    PrefectAgent,
    PrefectApi,
    TaintEffect,
    Toleration,
)

app = App()
chart = Chart(app, "prefect", namespace="prefect")

dask = DaskWorkerPolicy(
    chart,
    "Dask",
    worker=DaskPodOptions(
        resources=ContainerResources(cpu_request=Cpu.units(2), memory_request=Size.gibibytes(8), memory_limit=Size.gibibytes(8)),
        node_selector={"example.com/lifecycle": "spot"},
        tolerations=[Toleration(key="spot", effect=TaintEffect.NO_SCHEDULE)],
        env={"OMP_NUM_THREADS": EnvValue.of("1")},
    ),
    # If its node is lost, the flow run fails.
    scheduler=DaskPodOptions(
        resources=ContainerResources(cpu_request=Cpu.millis(500), memory_request=Size.gibibytes(1), memory_limit=Size.gibibytes(1)),
        node_selector={"example.com/lifecycle": "on-demand"},
    ),
    threads=2,
    death_timeout=Duration.minutes(2),
)

PrefectAgent(
    chart,
    "Agent",
    api=PrefectApi.server(url="http://prefect-apollo.prefect-server:4200"),
    labels=["dask"],
    job_template=FlowJobTemplate(
        chart,
        "Jobs",
        dask=dask,
        # An image with dask-kubernetes, which prefecthq/prefect does not have.
        image="registry.example/flows-dask:42",
        node_selector={"example.com/lifecycle": "on-demand"},
        resources=ContainerResources(cpu_request=Cpu.millis(500), memory_request=Size.gibibytes(1), memory_limit=Size.gibibytes(1)),
    ),
)

app.synth()
