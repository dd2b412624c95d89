"""Leaves images that cannot be pulled to a sweeper.

The stock agent fails a flow run at its first failed pull, even if the registry is only down for a minute. The kubelet retries the pull, and
the rule `unstartableJobs` of the sweeper sets the run to Failed if that does not help. This module hides such a pull from the agent.
"""


def leave_image_pulls() -> None:
    from kubernetes.client import CoreV1Api

    list_pods = CoreV1Api.list_namespaced_pod

    def list_namespaced_pod(self, *args, **kwargs):
        pods = list_pods(self, *args, **kwargs)
        for pod in pods.items:
            # The sweeper looks at Jobs with this label only (see flow_jobs.py).
            if "cdk8s-prefect/job-template" not in (pod.metadata.labels or {}):
                continue
            for status in pod.status.container_statuses or []:
                waiting = status.state and status.state.waiting
                if waiting and waiting.reason in ("ErrImagePull", "ImagePullBackOff"):
                    waiting.reason += ", left to the sweeper"
        return pods

    CoreV1Api.list_namespaced_pod = list_namespaced_pod
