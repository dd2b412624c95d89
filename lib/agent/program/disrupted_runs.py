"""Leaves disrupted flow runs with `RUN_AGAIN` to a sweeper.

The stock agent fails a flow run as soon as a pod of its Job has failed, also if its node was drained. It then deletes the Job, which is the
sweeper's evidence. This module hides such a Job from the agent: all its pods were disrupted or are terminating. A pod that failed by itself
stays visible.
"""


def leave_disrupted_runs() -> None:
    from kubernetes.client import BatchV1Api, CoreV1Api
    from kubernetes.client.rest import ApiException

    list_jobs = BatchV1Api.list_namespaced_job

    def list_namespaced_job(self, namespace, **kwargs):
        jobs = list_jobs(self, namespace=namespace, **kwargs)
        jobs.items = [job for job in jobs.items if not (is_to_run_again(job) and had_to_leave(self, namespace, job))]
        return jobs

    def had_to_leave(api, namespace, job):
        selector = "prefect.io/identifier={}".format(job.metadata.labels["prefect.io/identifier"])
        try:
            pods = CoreV1Api(api.api_client).list_namespaced_pod(namespace=namespace, label_selector=selector).items
        except ApiException as error:
            # Without the pause the agent would ask again at once (see kubernetes_client.py).
            raise RuntimeError(f"Kubernetes does not list pods: {error.status} {error.reason}") from error
        return not any(pod.status.phase == "Failed" and not is_disrupted(pod) for pod in pods)

    BatchV1Api.list_namespaced_job = list_namespaced_job


def is_to_run_again(job):
    return bool(job.status.failed) and job.metadata.labels.get("cdk8s-prefect/on-eviction") == "run-again"


def is_disrupted(pod):
    conditions = pod.status.conditions or []
    target = any(each.type == "DisruptionTarget" and each.status == "True" for each in conditions)
    return target or pod.metadata.deletion_timestamp is not None
