from cdk8s import App, Chart, Duration, Size
from cdk8s_prefect import (
    BaseJobTemplate,
    ContainerResources,
    Cpu,
    EnvValue,
    EvictionPolicy,
    JobVariable,
    Prefect3Api,
    SecretKeyRef,
    WorkPool,
)

app = App()
chart = Chart(app, "prefect3", namespace="prefect")

api = Prefect3Api.server(
    url="http://prefect-server.prefect:4200/api",
    auth_string=SecretKeyRef.of("prefect-auth", "auth-string"),
)

base_job_template = BaseJobTemplate(
    chart,
    "Template",
    api=api,
    flow_namespace="flows",
    image="registry.example/flows:42",
    resources=ContainerResources(cpu_request=Cpu.millis(500), memory_request=Size.gibibytes(2), memory_limit=Size.gibibytes(2)),
    # What deployments may say. The rest is locked.
    job_variables={
        "image": JobVariable.string(pattern="^registry\\.example/"),
        "memory_limit": JobVariable.choice(["2Gi", "8Gi"], description="Memory of a flow run."),
        "env": JobVariable.map(),
        "team": JobVariable.choice(["fraud", "risk"], required=True),
    },
    env={"TEAM": EnvValue.of("{{ team }}")},
    node_selector={"example.com/team": "{{ team }}"},
    on_eviction=EvictionPolicy.RUN_AGAIN,
    ttl_after_finished=Duration.hours(2),
)

WorkPool(chart, "Pool", name="k8s", base_job_template=base_job_template)

app.synth()
