"""Keeps flow runs while Kubernetes is down.

The stock agent sets a flow run to Failed if its Job cannot be created, also if the API server only restarts. Here it repeats the request
until the API server answers. The name of the Job stays the same, so a request that succeeded without an answer creates no second Job.
Meanwhile the agent submits no other flow run: these stay Scheduled. The flow run is left alone if somebody changes its state, as Prefect's
Lazarus does after 10 minutes.
"""

import threading

# The API server asks for another try (429), or it or a load balancer before it is down.
DOWN = (429, 502, 503, 504)
# The time between two requests, in seconds.
PAUSE = 5
# The storage may be down, or only a webhook that one Job calls (500). Or there was a conflict (409).
BROKEN = (409, 500)
# How often a request with such answers is sent.
TRIES = 12


def wait_for_kubernetes(told_to_end: threading.Event) -> None:
    from kubernetes.client import BatchV1Api
    from prefect.agent.kubernetes import KubernetesAgent
    from urllib3.exceptions import HTTPError

    create_job, list_jobs = BatchV1Api.create_namespaced_job, BatchV1Api.list_namespaced_job
    deploy, mark = KubernetesAgent.deploy_flow, KubernetesAgent._mark_flow_as_submitted
    # The agent and the flow run of this thread.
    submitted = threading.local()
    answers = threading.Event()
    answers.set()

    def mark_flow_as_submitted(self, flow_run):
        if not answers.is_set():
            while not told_to_end.is_set() and not answers.wait(1):
                pass
            if told_to_end.is_set():
                raise SystemExit
            # Somebody may have cancelled it meanwhile.
            check_unchanged(self, flow_run, flow_run.version)
        mark(self, flow_run)

    def deploy_flow(self, flow_run):
        submitted.agent, submitted.flow_run = self, flow_run
        return deploy(self, flow_run)

    def create_namespaced_job(self, *args, **kwargs):
        try:
            return create_patiently(lambda: create_job(self, *args, **kwargs), submitted.agent, submitted.flow_run)
        finally:
            # The next flow run finds out whether Kubernetes answers.
            answers.set()

    def list_namespaced_job(self, *args, **kwargs):
        jobs = list_jobs(self, *args, **kwargs)
        # Kubernetes answers the agent, so perhaps it only refuses the Job that is tried now, such as by a webhook.
        answers.set()
        return jobs

    def create_patiently(create, agent, flow_run):
        errors, was_down, told = 0, False, False
        while True:
            try:
                return create()
            except Exception as error:
                status = getattr(error, "status", None)
                down = isinstance(error, HTTPError) or status in DOWN
                was_down = was_down or down
                # An API server that has just started may refuse anyone: it does not know the accounts and Roles yet.
                if is_there(error) or not was_down and status not in BROKEN:
                    raise
                why = f"{status} {error.reason}" if status else type(error).__name__
                errors = 0 if down else errors + 1
                if errors == TRIES:
                    # The agent would take every 409 for a Job that is there.
                    raise RuntimeError(str(error)) from error
            if down:
                answers.clear()
            agent.logger.error("Kubernetes does not take the Job of flow run %s, trying again: %s", flow_run.id, why)
            if told_to_end.wait(PAUSE):
                raise SystemExit
            # The agent has set the state once, unless the flow run was Running and waited for a retry.
            check_unchanged(agent, flow_run, flow_run.version + (flow_run.state == "Scheduled"))
            if not told:
                tell(agent, flow_run, f"Kubernetes does not take the Job, the agent tries again: {why}")
                told = True

    def check_unchanged(agent, flow_run, version):
        if version_of(agent, flow_run) > version:
            # The agent sets no state after an error with these words.
            raise RuntimeError("State update failed: somebody else has changed the flow run")

    def version_of(agent, flow_run):
        from prefect.utilities.graphql import with_args

        query = {"query": {with_args("flow_run", {"where": {"id": {"_eq": flow_run.id}}}): {"version"}}}
        while True:
            try:
                # A flow run that somebody has deleted is changed too.
                return next((run.version for run in agent.client.graphql(query).data.flow_run), float("inf"))
            except Exception as error:
                # Prefect is down too. Without its answer, no Job is created.
                agent.logger.error("The state of flow run %s is not known: %s", flow_run.id, error)
            if told_to_end.wait(PAUSE):
                raise SystemExit

    def tell(agent, flow_run, message):
        try:
            agent._safe_write_run_log(flow_run, message, "WARNING")
        except Exception as error:
            # The method is not as safe as its name.
            agent.logger.error("The log of flow run %s is not written: %s", flow_run.id, error)

    BatchV1Api.create_namespaced_job = create_namespaced_job
    BatchV1Api.list_namespaced_job = list_namespaced_job
    KubernetesAgent.deploy_flow = deploy_flow
    KubernetesAgent._mark_flow_as_submitted = mark_flow_as_submitted


def is_there(error) -> bool:
    """Whether there is a Job of this name. A conflict is also the answer if another Job uses the same quota at this moment."""
    return getattr(error, "status", None) == 409 and "AlreadyExists" in str(error.body)
