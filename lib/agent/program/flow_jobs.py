"""Changes every Job, also one from a flow's own template.

The API key becomes a reference to the Secret. The Job gets the labels `cdk8s-prefect/...` of the agent's Job template, and another label if
the agent keeps finished Jobs. The names of flow and flow run become annotations, so that log shippers can add them. A flow whose run config
names a service account gets its token.
"""

from pathlib import Path
from typing import Dict, Optional


def mend_jobs(api_key_secret: Optional[str], token_for_named_accounts: bool) -> None:
    import yaml
    from prefect.agent.kubernetes import KubernetesAgent
    from prefect.run_configs import KubernetesRun

    build = KubernetesAgent.generate_job_spec

    def generate_job_spec(self, flow_run):
        job = build(self, flow_run)
        if api_key_secret:
            name, key = api_key_secret.split("/")
            for entry in job["spec"]["template"]["spec"]["containers"][0]["env"]:
                if entry["name"] in ("PREFECT__CLOUD__API_KEY", "PREFECT__CLOUD__AUTH_TOKEN"):
                    del entry["value"]
                    entry["valueFrom"] = {"secretKeyRef": {"name": name, "key": key}}
        labels = labels_of(self)
        if not self.delete_finished_jobs:
            labels["cdk8s-prefect/finished-jobs"] = "keep"
        for label, value in labels.items():
            job["metadata"]["labels"].setdefault(label, value)
            job["spec"]["template"]["metadata"]["labels"].setdefault(label, value)
        names = {"cdk8s-prefect/flow-name": flow_run.flow.get("name"), "cdk8s-prefect/flow-run-name": flow_run.get("name")}
        for annotation, name in names.items():
            if name:
                job["spec"]["template"]["metadata"].setdefault("annotations", {}).setdefault(annotation, name)
        run_config = self._get_run_config(flow_run, KubernetesRun)
        if token_for_named_accounts and run_config and run_config.service_account_name:
            if not (run_config.job_template or run_config.job_template_path):
                job["spec"]["template"]["spec"]["automountServiceAccountToken"] = True
        return job

    def labels_of(agent) -> Dict[str, str]:
        try:
            labels = yaml.safe_load(Path(agent.job_template_path).read_text())["metadata"].get("labels") or {}
            return {label: value for label, value in labels.items() if label.startswith("cdk8s-prefect/")}
        except Exception as error:
            # A flow with its own template still runs. A flow without one has already failed in `build`.
            agent.logger.error("The agent's Job template cannot be read, so its labels are missing: %s: %s", type(error).__name__, error)
            return {}

    KubernetesAgent.generate_job_spec = generate_job_spec
