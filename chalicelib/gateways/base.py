"""What the service expects of a gateway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..domain.messages import Outcome
from ..domain.reasons import Cause
from ..domain.sending_rules import Obstacle


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to. `cause` is None if it was accepted; neither it nor `words` holds text, phone
    number or secret.

    `words` are the gateway's own, if it says something about the account; `retry_after` is in seconds, if it asked for
    a pause.
    """

    outcome: Outcome
    cause: Cause | None = None
    http_status: int | None = None
    retry_after: float | None = None
    words: str = ""


class NotNow(Exception):
    """The message must not be sent after all."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle)
        self.obstacle = obstacle


LastLook = Callable[[], None]


def no_look() -> None:
    """A last look that finds nothing in the way."""


class Gateway(Protocol):
    """Takes one message at a time; called from several threads at once."""

    def send(self, gateway_id: int, phone_number: str, text: str, last_look: LastLook = no_look) -> Answer:
        """Hand a message over. Whatever happens is an Answer; a gateway raises nothing but what `last_look` raises.

        `gateway_id` is the same on every attempt of a message; `phone_number` is in E.164 form. `last_look` is called
        when all that takes time (token, name, connection, TLS) is done and the next thing is to send. It may wait for
        the message's turn, and raises NotNow if the message must not be sent any more: nothing is sent then.
        """
        ...

    def shown_request(self, gateway_id: int, phone_number: str, text: str) -> str:
        """The request that `send` makes, for people to read: without the token, and with the number masked."""
        ...
