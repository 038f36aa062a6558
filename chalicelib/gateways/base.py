"""What the service expects of a gateway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from ..domain.clients import masked_phone
from ..domain.deliveries import Receipt
from ..domain.messages import Outcome, gateway_id_for
from ..domain.reasons import Cause
from ..domain.sending_rules import Obstacle

if TYPE_CHECKING:
    from ..domain.balances import Balance
    from ..domain.replies import Inbound


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a call.

    `cause` is None if it was accepted; `cause` and `words` contain no text, phone number or secret.

    `words` are the gateway's own, if it says something about the account. `retry_after` is in seconds, if it asked for
    a pause. `reference` (its id of the message), `price` and `parts` (SMS parts) are set if the gateway tells them.
    """

    outcome: Outcome
    cause: Cause | None = None
    http_status: int | None = None
    retry_after: float | None = None
    words: str = ""
    reference: str = ""
    price: str = ""
    parts: int | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as a gateway gets it.

    `message_id` and `gateway_id` are the same on every attempt: the first is a text of letters, digits and a hyphen,
    the second a positive number of 63 bits made from it. `phone_number` is in E.164 form. After `valid_until`, if it is
    set, the message must not be delivered. `receipt_url` is the address for receipts, "" if there is none.
    """

    message_id: str
    gateway_id: int
    phone_number: str
    text: str
    valid_until: datetime | None = None
    receipt_url: str = ""

    @classmethod
    def of(
        cls,
        message_id: str,
        phone_number: str,
        text: str,
        valid_until: datetime | None = None,
        receipt_url: str = "",
    ) -> Outgoing:
        """The message with this id."""
        return cls(
            message_id=message_id,
            gateway_id=gateway_id_for(message_id),
            phone_number=phone_number,
            text=text,
            valid_until=valid_until,
            receipt_url=receipt_url,
        )

    def masked(self) -> Outgoing:
        """The message as people may see it: most of its number and the secret in its address are hidden."""
        hidden = f"https://***?message_id={self.message_id}" if self.receipt_url else ""
        return replace(self, phone_number=masked_phone(self.phone_number), receipt_url=hidden)


@dataclass(frozen=True, slots=True)
class Callback:
    """A gateway's request with receipts or replies, as it came.

    `query` is the part after the question mark of its address, `media_type` the Content-Type of its body. `signature`
    is the gateway's, made for this `url`, if it signs. The url is only set (without its query) for a call to the
    receiver's own address. `received_at` is when it came, in seconds since 1970; 0 if that is not known.
    """

    gateway: str
    query: str
    media_type: str
    body: str
    url: str = ""
    signature: str = ""
    received_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a gateway can do.

    `recognises_ids`: a message with a known id is sent only once. `counts_parts`: its limits count SMS parts, not
    messages. `can_be_asked`: it can tell whether it has taken a message (`look_up`). `gives_receipts`: it reports later
    what became of a message (`read_receipts`). `has_one_address`: receipts and replies come to the same address.
    `tells_balance`: it tells how much money is left (`balance`). `reply_query`: what the address for replies needs
    after its question mark.
    """

    recognises_ids: bool = False
    counts_parts: bool = False
    can_be_asked: bool = False
    gives_receipts: bool = False
    has_one_address: bool = False
    tells_balance: bool = False
    reply_query: str = ""

    @property
    def tells_later(self) -> bool:
        """Whether it can be found out later if it has taken a message."""
        return self.can_be_asked or self.gives_receipts


EMPTY_ANSWER = "", "text/plain"  # the answer to a reply


class NotNow(Exception):
    """The message must not be sent after all."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle)
        self.obstacle = obstacle


LastLook = Callable[[], None]


def no_look() -> None:
    """A last look that allows everything."""


class Gateway(Protocol):
    """Sends one message at a time; called from several threads at once."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def receipt_reply(self) -> str:
        """The body that it expects as an answer to callbacks."""
        ...

    def send(self, message: Outgoing, last_look: LastLook = no_look) -> Answer:
        """Send a message. Whatever happens is returned as an Answer; only errors of `last_look` are raised.

        `last_look` is called when everything slow (token, name lookup, connection, TLS) is done, right before sending.
        It may wait for the message's turn, and raises NotNow if the message must not be sent any more; then nothing is
        sent.
        """
        ...

    def look_up(self, message: Outgoing) -> Answer:
        """Whether the gateway has a message that it may have taken: found, missing or unclear. Raises nothing.

        Called only if it `can_be_asked`.
        """
        ...

    def balance(self) -> Balance | Cause:
        """How much money is left, or why that is not known. Called only if it `tells_balance`."""
        ...

    def read_receipts(self, callback: Callback, now: datetime) -> list[Receipt]:
        """The receipts in a callback of the gateway; everything else is left out.

        Raises ValueError, KeyError or TypeError if it cannot be read at all.
        """
        ...

    @property
    def reply_answer(self) -> tuple[str, str]:
        """The body that it expects as an answer to replies, and its media type.

        Some gateways send the answer to the person who wrote, so it is empty.
        """
        ...

    def read_replies(self, callback: Callback, now: datetime) -> list[Inbound]:
        """The replies in a callback of the gateway. Raises as `read_receipts` does."""
        ...

    def shown_request(self, message: Outgoing) -> str:
        """The request that `send` makes, for people to read: without the token, and with the number masked."""
        ...
