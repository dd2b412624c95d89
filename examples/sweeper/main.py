# Flow runs that may be evicted, a sweeper that schedules them again and deletes leftovers, and its alerts and dashboard. Needs the
# Prometheus Operator, and Grafana's sidecar that loads ConfigMaps with the label grafana_dashboard.
from pathlib import Path

from cdk8s import App, Chart, Duration
from cdk8s_plus_27 import k8s
from cdk8s_prefect import (
    DaskWorkerPolicy,
    EvictionPolicy,
    FlowJobTemplate,
    FlowRunSweeper,
    PrefectAgent,
    PrefectApi,
    SweeperMetrics,
    SweeperRule,
)

app = App()
api = PrefectApi.server(url="http://prefect-apollo.prefect-server:4200")
chart = Chart(app, "prefect", namespace="prefect")

PrefectAgent(
    chart,
    "Agent",
    api=api,
    job_template=FlowJobTemplate(
        chart,
        "Jobs",
        image="registry.example/flows:42",
        on_eviction=EvictionPolicy.RUN_AGAIN,
        dask=DaskWorkerPolicy(chart, "Dask"),
    ),
)

FlowRunSweeper(
    chart,
    "Sweeper",
    api=api,
    unstartable_jobs=SweeperRule(after=Duration.minutes(5)),
    metrics=SweeperMetrics(
        scraper_namespace="monitoring", service_monitor=True, prometheus_rule=True, labels={"release": "kube-prometheus"}
    ),
)

monitoring = Chart(app, "monitoring", namespace="monitoring")
k8s.KubeConfigMap(
    monitoring,
    "Dashboard",
    metadata=k8s.ObjectMeta(name="prefect-flow-run-sweeper", labels={"grafana_dashboard": "1"}),
    data={"prefect-flow-run-sweeper.json": Path(__file__).with_name("dashboard.json").read_text()},
)

app.synth()
