# Objects of cdk8s-plus-27 in one app with the constructs of this library, which take the names of the objects.
from cdk8s import ApiObjectMetadata, App, Chart, Size
from cdk8s_plus_27 import (
    ConfigMap,
    Namespace,
    PersistentVolumeAccessMode,
    PersistentVolumeClaim,
    Secret,
    ServiceAccount,
)
from cdk8s_prefect import (
    ConfigMapKeyRef,
    EnvValue,
    FlowJobTemplate,
    PrefectAgent,
    PrefectApi,
    SecretKeyRef,
    Volume,
)

app = App()

namespaces = Chart(app, "namespaces")
namespace = Namespace(
    namespaces,
    "Prefect",
    metadata=ApiObjectMetadata(name="prefect", labels={"pod-security.kubernetes.io/enforce": "restricted"}),
)

chart = Chart(app, "prefect", namespace=namespace.name)
chart.add_dependency(namespaces)

account = ServiceAccount(chart, "FlowAccount", metadata=ApiObjectMetadata(name="fraud-flows"))
settings = ConfigMap(chart, "Settings", data={"REGION": "eu-west-1", "model.toml": "threshold = 0.8\n"})
cache = PersistentVolumeClaim(
    chart,
    "Cache",
    access_modes=[PersistentVolumeAccessMode.READ_WRITE_MANY],
    storage=Size.gibibytes(50),
)
# An existing Secret. One with `string_data` would have its values in the manifests.
database = Secret.from_secret_name(chart, "Database", "fraud-database")

job_template = FlowJobTemplate(
    chart,
    "Jobs",
    service_account_name=account.name,
    env={
        "REGION": EnvValue.from_config_map(ConfigMapKeyRef.of(settings.name, "REGION")),
        "DATABASE_PASSWORD": EnvValue.from_secret(SecretKeyRef.of(database.name, "password")),
    },
    volumes={
        "settings": Volume.from_config_map(settings.name, mount_path="/etc/fraud", items={"model.toml": "model.toml"}),
        "cache": Volume.from_persistent_volume_claim(cache.name, mount_path="/cache"),
    },
)

PrefectAgent(
    chart,
    "Agent",
    api=PrefectApi.server(url="http://prefect-apollo.prefect-server:4200"),
    labels=["fraud"],
    job_template=job_template,
)

app.synth()
