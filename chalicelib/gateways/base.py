"""What a gateway is to the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..domain.messages import Outcome


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to. `reason` is short and holds neither text, phone number nor secret.

    `retry_after` is in seconds, where the gateway asked for a pause.
    """

    outcome: Outcome
    reason: str = ""
    http_status: int | None = None
    retry_after: float | None = None


class Gateway(Protocol):
    """Takes one message at a time; called from several threads at once."""

    def send(self, gateway_id: int, phone_number: str, text: str) -> Answer:
        """Hand a message over. Whatever happens is an Answer; a gateway raises nothing.

        `gateway_id` is the same on every attempt of a message; `phone_number` is in E.164 form.
        """
        ...

    def shown_request(self, gateway_id: int, phone_number: str, text: str) -> str:
        """The request that `send` makes, for people to read: without the token, and with the number masked."""
        ...
