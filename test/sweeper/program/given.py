"""The parts of a situation, as the rules get them: each is what is usual, and a case replaces what matters to it."""

from rules import Entry, Job, Pod, Run, Task

# A run of which the sweeper knows the Job, in the third version of its state.
ENTRY = Entry("job", "job-uid", version=3, started=True)
RUNNING = Run("run", "Running", False, 3)
SUBMITTED = RUNNING._replace(state="Submitted")
CANCELLING = RUNNING._replace(state="Cancelling")
FINISHED = RUNNING._replace(state="Success", finished=True)

# It may create a pod.
JOB = Job("job", "job-uid", "run")
FAILED_JOB = JOB._replace(finished=True, failed="BackoffLimitExceeded")
# Somebody deletes it, and something holds that up.
DELETED_JOB = JOB._replace(deleted=True)
# Another Job of the same run.
OTHER_JOB = JOB._replace(name="other", uid="other-uid")

LIVING_POD = Pod("pod", "pod-uid", "run", "job-uid", started=True)
WAITING_POD = LIVING_POD._replace(started=False, progress="n", waiting="ContainerCreating")
FAILED_POD = LIVING_POD._replace(over=True, finished=True, failed="Error, exit code 1")
# The flow container has ended, and a sidecar has not.
ENDED_FLOW = FAILED_POD._replace(finished=False)

TASK = Task("task", "Running", 1)


def terminating(pod, grace=30.0):
    return pod._replace(terminating=grace)


def orphaned(pod):
    """It has the label of the run, and no Job owns it, as after `kubectl delete --cascade=orphan`."""
    return pod._replace(job_uid=None)
