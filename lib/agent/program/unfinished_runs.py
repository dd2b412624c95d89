"""Keeps the Job of a flow run that is not finished.

The stock agent deletes each Job that has failed or succeeded. It sets the run to Failed only if it finds a failed pod. If the pod is gone,
or if its process ended without a final state, the run stays Running and the Job was the only evidence. This module leaves such a Job to the
sweeper, which ends the run. The agent deletes the Job when the run is finished.
"""


def keep_jobs() -> None:
    from kubernetes.client import BatchV1Api
    from prefect.client import Client

    list_jobs, delete_job = BatchV1Api.list_namespaced_job, BatchV1Api.delete_namespaced_job
    get_state, set_state = Client.get_flow_run_state, Client.set_flow_run_state
    # The flow runs of the listed Jobs by name, and the state of the run that the agent handles now.
    runs, states = {}, {}

    def list_namespaced_job(self, *args, **kwargs):
        jobs = list_jobs(self, *args, **kwargs)
        runs.clear()
        # The sweeper looks at Jobs with this label only (see flow_jobs.py).
        stamped = [job.metadata for job in jobs.items if "cdk8s-prefect/job-template" in job.metadata.labels]
        runs.update((job.name, job.labels.get("prefect.io/flow_run_id")) for job in stamped)
        return jobs

    def get_flow_run_state(self, flow_run_id, *args, **kwargs):
        state = get_state(self, flow_run_id, *args, **kwargs)
        states.clear()
        states[flow_run_id] = state
        return state

    def set_flow_run_state(self, flow_run_id, *args, **kwargs):
        answer = set_state(self, flow_run_id, *args, **kwargs)
        # Other threads set the states of runs that they submit.
        if flow_run_id in states:
            states[flow_run_id] = answer
        return answer

    def delete_namespaced_job(self, name, *args, **kwargs):
        state = states.get(runs.get(name))
        if state is None or state.is_finished():
            return delete_job(self, name, *args, **kwargs)

    BatchV1Api.list_namespaced_job = list_namespaced_job
    BatchV1Api.delete_namespaced_job = delete_namespaced_job
    Client.get_flow_run_state = get_flow_run_state
    Client.set_flow_run_state = set_flow_run_state
