"""Errors that stop a pass or an action."""


class Unlike(Exception):
    """The answer does not have the form of answers of Prefect or Kubernetes."""


class Conflict(Exception):
    """Another client has changed the object."""


class Held(Exception):
    """Another sweeper may be at work in the namespace: an earlier pod of this one, or another sweeper (`by_another`)."""

    def __init__(self, why: str, by_another: bool):
        super().__init__(why)
        self.by_another = by_another
