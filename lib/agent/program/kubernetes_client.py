"""Changes the requests of the agent to Kubernetes.

The stock agent waits forever on a connection that died without a reset, and submits no flow run meanwhile. If it is not allowed to list
Jobs, it repeats the request without a pause and without a log line. Here each request has a timeout, and a refused list is an error in the
log once a minute. From release 34.1 on the Kubernetes client reads the proxy from the environment. Several of these releases ignore
NO_PROXY (kubernetes-client/python#2460).
"""

import os

# The timeouts to connect and to read, in seconds. The API server ends a request after a minute.
TIMEOUT = (10, 60)


def ask_with_patience() -> None:
    from kubernetes.client import BatchV1Api
    from kubernetes.client.rest import ApiException, RESTClientObject

    request, list_jobs = RESTClientObject.request, BatchV1Api.list_namespaced_job

    def request_in_time(self, *args, **kwargs):
        kwargs["_request_timeout"] = kwargs.get("_request_timeout") or TIMEOUT
        return request(self, *args, **kwargs)

    def list_namespaced_job(self, *args, **kwargs):
        try:
            return list_jobs(self, *args, **kwargs)
        except ApiException as error:
            # The agent starts a list again at once after any error, as if its pages had expired. Only that error needs no pause.
            if error.status == 410:
                raise
            raise RuntimeError(f"Kubernetes does not list Jobs: {error.status} {error.reason}") from error

    RESTClientObject.request = request_in_time
    BatchV1Api.list_namespaced_job = list_namespaced_job


def mind_no_proxy() -> None:
    from kubernetes.client import Configuration

    init = Configuration.__init__

    def init_with_no_proxy(self, *args, **kwargs):
        init(self, *args, **kwargs)
        self.no_proxy = self.no_proxy or os.environ.get("no_proxy") or os.environ.get("NO_PROXY")

    Configuration.__init__ = init_with_no_proxy
