"""The kind `sandbox`: a gateway that accepts every message and sends none, for stages that must reach nobody."""

from __future__ import annotations

from ..config import Settings
from ..domain.messages import Outcome
from .base import Answer, LastLook, no_look


class SandboxGateway:
    """Accepts everything."""

    def __init__(self, settings: Settings) -> None:
        del settings

    def send(self, gateway_id: int, phone_number: str, text: str, last_look: LastLook = no_look) -> Answer:
        """Accept the message without looking at it."""
        del gateway_id, phone_number, text
        last_look()
        return Answer(Outcome.ACCEPTED)

    def shown_request(self, gateway_id: int, phone_number: str, text: str) -> str:
        """Nothing: there is no request."""
        del gateway_id, phone_number, text
        return ""
