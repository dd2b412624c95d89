"""Asks the real Prefect. Each line of standard input is a question, each line of standard output its answer, both JSON.

install: what `prefect agent kubernetes install ARGS` prints, as parsed YAML
agent:   what an agent makes of the environment, files and arguments of its container
job:     the Jobs that an agent, started like that, makes of flow runs
facts:   what Prefect's own code says, for lists that the library has to repeat
requirements: which of some texts are requirements of Python packages
"""

import io
import json
import logging
import os
import re
import runpy
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

LIST_MODULES = """
import json, sys
import prefect.agent.kubernetes, prefect.cli
print(json.dumps([name for name in sys.modules if name.split(".")[0] not in ("prefect", "__main__")]))
"""


def import_all_but_prefect() -> None:
    """Prefect reads its configuration when it is imported, so each agent imports it anew; nothing else needs to be."""
    modules = subprocess.run([sys.executable, "-c", LIST_MODULES], check=True, capture_output=True, text=True).stdout
    for name in json.loads(modules.splitlines()[-1]):
        try:
            __import__(name)
        except ImportError:
            pass  # platform modules that import themselves only from their package


def forked(ask):
    return lambda question: in_child(lambda: ask(question))


def in_child(answer) -> object:
    """Runs `answer` in a fork, so that nothing of it stays."""
    assert "prefect" not in sys.modules, "ask another oracle: this one has imported Prefect"
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            result = {"answer": answer()}
        except BaseException:
            result = {"error": traceback.format_exc()}
        with os.fdopen(write, "w") as out:
            json.dump(result, out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as source:
        result = json.load(source)
    os.waitpid(child, 0)
    if "error" in result:
        raise RuntimeError(result["error"])
    return result["answer"]


def install(args: list) -> list:
    import yaml
    from click.testing import CliRunner
    from prefect.cli import cli

    result = CliRunner().invoke(cli, ["agent", "kubernetes", "install", *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return list(yaml.safe_load_all(result.output))


PATHS = ("--signs=", "--api-key-file=", "--job-template=")


class Started(Exception):
    """The agent is configured; what would follow is the network."""


def agent(container: dict) -> dict:
    return start_agent(container, report)


def job(question: dict) -> list:
    """Without `launcher`, the same agent without the program that we put before it."""

    def generate(self) -> list:
        from prefect.utilities.graphql import GraphQLResult

        return [self.generate_job_spec(GraphQLResult(run)) for run in question["runs"]]

    return start_agent(question["container"], generate, question["launcher"])


def start_agent(container: dict, ask, launcher: bool = True):
    """What `ask` says of the agent that is configured by a container's environment, files and arguments."""
    with tempfile.TemporaryDirectory() as root:
        for path, content in container["files"].items():
            file = Path(root + path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        Path(root, "tmp").mkdir()

        mounted = re.compile(f"(^|=)(?=({'|'.join(map(re.escape, container['mountPaths']))})(/|$))")

        def inside(value: str) -> str:
            return mounted.sub(lambda match: match[1] + root, value, count=1)

        # Exactly the container's environment, with what its image and Kubernetes bring.
        os.environ.clear()
        os.environ.update(
            {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
        )
        os.environ.update({name: inside(value) for name, value in container["env"].items()})
        python, program, *args = container["args"]
        assert python == "python3"
        sys.argv = [inside(program), *(inside(arg) if arg.startswith(PATHS) else arg for arg in args)]
        sys.stdout = io.StringIO()

        import kubernetes
        import prefect.agent.agent

        answers = []

        def start(self) -> None:
            answers.append(ask(self))
            raise Started

        kubernetes.config.load_incluster_config = in_cluster(root)
        prefect.agent.agent.Agent.start = start
        try:
            if launcher:
                # Where Python itself looks for a program's modules.
                sys.path.insert(0, str(Path(sys.argv[0]).parent))
                runpy.run_path(sys.argv[0], run_name="__main__")
            else:
                from prefect.cli import cli

                keys = [f"--key={text}" for path, text in container["files"].items() if path == "/etc/prefect/api-key/key"]
                cli([*sys.argv[sys.argv.index("agent") :], *keys])
        except Started:
            pass
        return answers[0]


def in_cluster(root: str):
    """The client's own way to find the API server, but for where the account's files are."""
    from kubernetes.config.incluster_config import InClusterConfigLoader

    account = Path(root, "account")
    account.mkdir()
    files = {name: account / name for name in ("token", "ca.crt")}
    for file in files.values():
        file.write_text("its content")
    return lambda: InClusterConfigLoader(str(files["token"]), str(files["ca.crt"])).load_and_set()


def report(self) -> dict:
    import prefect
    import urllib3

    manager = self.batch_client.api_client.rest_client.pool_manager
    pool = manager.connection_pool_kw
    # Prefect makes its context's configuration current while it starts an agent; requests read that one.
    config = prefect.context.config
    return {
        "name": self.name,
        "labels": self.labels,
        "flowEnvVars": dict(self.env_vars),
        "agentConfigId": self.agent_config_id,
        "agentAddress": self.agent_address,
        "namespace": self.namespace,
        "serviceAccountName": self.service_account_name,
        "imagePullSecrets": self.image_pull_secrets,
        "deleteFinishedJobs": self.delete_finished_jobs,
        "sendFlowRunLogs": self.log_to_cloud,
        "kubernetesKeepAlive": "socket_options" in pool,
        "kubernetesThroughProxy": isinstance(manager, urllib3.ProxyManager),
        "backend": config.backend,
        "url": config.cloud.api,
        "apiServer": self.client.api_server,
        "apiKey": self.client.api_key,
        "tenantId": self.client._tenant_id,
        "requestTimeout": config.cloud.request_timeout,
        "level": logging.getLevelName(self.logger.level),
        "flowLevel": config.logging.level,
        "logFormat": self.logger.handlers[0].formatter._fmt,
    }


def facts(_) -> dict:
    import kubernetes
    import prefect
    from prefect.agent.kubernetes import KubernetesAgent
    from prefect.cli.agent import kubernetes as kubernetes_cli
    from prefect.configuration import Config
    from prefect.utilities.graphql import GraphQLResult

    kubernetes.config.load_incluster_config = lambda: None
    prefect.config.cloud.tenant_id = prefect.context.config.cloud.tenant_id = "11111111-2222-3333-4444-555555555555"
    flow_run = {"id": "run", "flow": {"id": "flow", "core_version": "1.4.1", "storage": {"type": "Local"}}, "run_config": None}

    def job_env(env_vars: dict) -> dict:
        job = KubernetesAgent(env_vars=env_vars).generate_job_spec(GraphQLResult(flow_run))
        return {entry["name"]: entry["value"] for entry in job["spec"]["template"]["spec"]["containers"][0]["env"]}

    marked = job_env({name: "ours" for name in job_env({})})
    return {
        "configKeys": [key for key in dir(Config) if not key.startswith("_")],
        "forcedFlowEnv": sorted(name for name, value in marked.items() if value != "ours"),
        "installFlags": flags(kubernetes_cli.commands["install"]),
        "startFlags": flags(kubernetes_cli.commands["start"]),
    }


def flags(command) -> list:
    return sorted(max(parameter.opts, key=len) for parameter in command.params)


def requirements(texts: list) -> list:
    from packaging.requirements import InvalidRequirement, Requirement

    def accepted(text: str) -> bool:
        try:
            return bool(Requirement(text))
        except InvalidRequirement:
            return False

    return [accepted(text) for text in texts]


def main() -> None:
    import_all_but_prefect()
    # An agent's Prefect must not have been imported before, so only the other questions are answered in this process.
    questions = {"install": install, "facts": facts, "agent": forked(agent), "job": forked(job), "requirements": requirements}
    for line in sys.stdin:
        [(name, value)] = json.loads(line).items()
        try:
            result = {"answer": questions[name](value)}
        except Exception:
            result = {"error": traceback.format_exc()}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
