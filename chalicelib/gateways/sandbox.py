"""The kind `sandbox`: a gateway that accepts every message and sends none, for stages that must reach nobody."""

from __future__ import annotations

from ..config import Settings
from ..domain.messages import Outcome
from .base import Answer, LastLook, Outgoing, no_look


class SandboxGateway:
    """Accepts everything."""

    def __init__(self, settings: Settings) -> None:
        del settings

    def send(self, message: Outgoing, last_look: LastLook = no_look) -> Answer:
        """Accept the message without looking at it."""
        del message
        last_look()
        return Answer(Outcome.ACCEPTED)

    def shown_request(self, message: Outgoing) -> str:
        """Nothing: there is no request."""
        del message
        return ""
