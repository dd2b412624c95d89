from cdk8s import App, Chart, Size
from cdk8s_prefect import (
    BaseJobTemplate,
    ContainerResources,
    EgressRule,
    EnvValue,
    JobVariable,
    Prefect3Api,
    PrefectWorker,
    SecretKeyRef,
    WorkPool,
)

app = App()
chart = Chart(app, "worker", namespace="prefect")

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
    resources=ContainerResources(memory_request=Size.gibibytes(1), memory_limit=Size.gibibytes(1)),
    job_variables={"image": JobVariable.string(), "env": JobVariable.map()},
)
work_pool = WorkPool(chart, "Pool", name="k8s", base_job_template=base_job_template)

PrefectWorker(
    chart,
    "Worker",
    work_pool=work_pool,
    replicas=2,
    # What flow runs sign in with: a Secret in their namespace.
    flow_run_credentials=SecretKeyRef.of("prefect-flows", "auth-string"),
    env={"PREFECT_WORKER_QUERY_SECONDS": EnvValue.of("5")},
    egress=[EgressRule(cidr="10.0.0.0/8", ports=[443, 4200])],
)

app.synth()
