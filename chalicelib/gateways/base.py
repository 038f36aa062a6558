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
    """What a call came to. `cause` is None if it was accepted; neither it nor `words` holds text, phone
    number or secret.

    `words` are the gateway's own, if it says something about the account; `retry_after` is in seconds, if it asked for
    a pause. `reference` is the gateway's name for the message, `price` what it takes for it, and `parts` how many SMS
    parts it made of it, as far as it says so.
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

    `message_id` and `gateway_id` are the same on every attempt: the one is text of letters, digits and a hyphen, the
    other the same as a positive number of 63 bits. `phone_number` is in E.164 form. After `valid_until`, if it is set,
    nobody wants the message any more. `receipt_url` is where the gateway may tell what became of it, "" for nowhere.
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
        """The message as people may see it: with most of its number hidden, and the secret of its address."""
        hidden = f"https://***?message_id={self.message_id}" if self.receipt_url else ""
        return replace(self, phone_number=masked_phone(self.phone_number), receipt_url=hidden)


@dataclass(frozen=True, slots=True)
class Callback:
    """A request in which a gateway tells what became of messages, as it came.

    `query` is what stands after the question mark of its address, `media_type` the Content-Type of its body.
    `signature` is the gateway's of the whole, made for this `url`, if it signs; without its query the url is only told
    of a call that came to the receiver's own address. `received_at` is when it came, in
    seconds since 1970; 0 if nobody noted it.
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
    """What a gateway says of itself.

    `recognises_ids`: a message with a known id is sent only once. `counts_parts`: its limits are of the SMS parts of
    texts, not of messages. `can_be_asked`: it can say whether it has taken a message, by `look_up`.
    `gives_receipts`: it says later what became of a message, by `read_receipts`. `has_one_address`: it tells receipts
    and replies at one address. `tells_balance`: it says what is left of the money, by `balance`.
    """

    recognises_ids: bool = False
    counts_parts: bool = False
    can_be_asked: bool = False
    gives_receipts: bool = False
    has_one_address: bool = False
    tells_balance: bool = False

    @property
    def tells_later(self) -> bool:
        """Whether it can be known later if it has taken a message."""
        return self.can_be_asked or self.gives_receipts


EMPTY_ANSWER = "", "text/plain"  # to whoever tells a reply


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

    @property
    def capabilities(self) -> Capabilities:
        """What it says of itself."""
        ...

    @property
    def receipt_reply(self) -> str:
        """The body that it wants its callbacks to be answered with."""
        ...

    def send(self, message: Outgoing, last_look: LastLook = no_look) -> Answer:
        """Hand a message over. Whatever happens is an Answer; a gateway raises nothing but what `last_look` raises.

        `last_look` is called when all that takes time (token, name, connection, TLS) is done and the next thing is to
        send. It may wait for the message's turn, and raises NotNow if the message must not be sent any more: nothing is
        sent then.
        """
        ...

    def look_up(self, message: Outgoing) -> Answer:
        """Whether the gateway has a message that it may have taken: found, missing or unclear. Raises nothing.

        Asked only if it `can_be_asked`.
        """
        ...

    def balance(self) -> Balance | Cause:
        """What is left of the money, or why nobody knows. Asked only if it `tells_balance`."""
        ...

    def read_receipts(self, callback: Callback, now: datetime) -> list[Receipt]:
        """The receipts in a callback of the gateway; anything else is left out.

        Raises ValueError, KeyError or TypeError if it cannot be read at all.
        """
        ...

    @property
    def reply_answer(self) -> tuple[str, str]:
        """The body that it wants to be answered with when it tells a reply, and its media type.

        Some send what they are answered to the person who wrote, so it says nothing.
        """
        ...

    def read_replies(self, callback: Callback, now: datetime) -> list[Inbound]:
        """What people wrote, in a callback of the gateway. Raises as `read_receipts` does."""
        ...

    def shown_request(self, message: Outgoing) -> str:
        """The request that `send` makes, for people to read: without the token, and with the number masked."""
        ...
