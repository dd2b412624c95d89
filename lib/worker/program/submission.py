"""One submission of a flow run, and whether the flow run still waits for it.

While it waits for Prefect's API or for Kubernetes, somebody may end the flow run, or start it again: then another worker may have it.
"""

import itertools
from contextvars import ContextVar


class Dropped(Exception):
    def __init__(self):
        super().__init__("Dropped, as the flow run has ended or goes on without this submission")


class Submission:
    def __init__(self, worker, flow_run):
        self.worker, self.flow_run = worker, flow_run
        # Until it asks for Pending, another worker can take the flow run.
        self.may_be_pending = False
        # The ids of the states that it has set: Pending, and the names that follow.
        self.states: set = set()
        self.is_dropped = False

    def drop(self) -> Dropped:
        self.is_dropped = True
        return Dropped()

    async def drop_if_superseded(self) -> None:
        if self.is_dropped or await self.is_superseded():
            raise self.drop()

    async def is_superseded(self) -> bool:
        """Whether the flow run goes on from a state that this submission has not set. False if that is not known."""
        try:
            states = await self.worker.client.read_flow_run_states(self.flow_run.id)
            current = (await self.worker.client.read_flow_run(self.flow_run.id)).state_id
        except Exception:
            return False
        # They are in the order of the clocks of Prefect's servers, which may differ.
        if not states or states[-1].id != current or self.states.isdisjoint(state.id for state in states):
            return False
        # The pod of the flow run ends what is Cancelling.
        if states[-1].is_cancelling():
            return False
        # Anybody may set another name of Pending. So whoever has set the first one in a row has the flow run.
        in_a_row = list(itertools.takewhile(lambda state: state.is_pending(), reversed(states)))
        return not in_a_row or in_a_row[-1].id not in self.states


# The submission that the current task belongs to.
of_this_task: ContextVar = ContextVar("of_this_task", default=None)
