"""The kind `sandbox`: a gateway that accepts every message and sends none, for stages that must reach nobody."""

from __future__ import annotations

from ..config import Settings
from ..domain.messages import Outcome
from .base import Answer, Capabilities, LastLook, Outgoing, no_look


class SandboxGateway:
    """Accepts everything."""

    def __init__(self, settings: Settings, capabilities: Capabilities | None = None) -> None:
        del settings
        self.capabilities = capabilities or Capabilities(recognises_ids=True)

    def send(self, message: Outgoing, last_look: LastLook = no_look) -> Answer:
        """Accept the message without looking at it."""
        del message
        last_look()
        return Answer(Outcome.ACCEPTED)

    def look_up(self, message: Outgoing) -> Answer:
        """It has taken every message."""
        del message
        return Answer(Outcome.FOUND)

    def shown_request(self, message: Outgoing) -> str:
        """Nothing: there is no request."""
        del message
        return ""
