"""The kind `sandbox`: a gateway that sends nothing, for stages that must reach nobody.

It accepts every message, except those to a few test numbers that imitate other answers (docs/gateways.md). They are in
the range that Ofcom reserves for films and plays, so that they belong to nobody:
https://www.ofcom.org.uk/phones-and-broadband/phone-numbers/numbers-for-drama
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..config import Settings
from ..domain.deliveries import Receipt
from ..domain.messages import Outcome
from ..domain.reasons import Cause, Reason
from .base import EMPTY_ANSWER, Answer, Callback, Capabilities, LastLook, Outgoing, no_look

if TYPE_CHECKING:
    from ..domain.balances import Balance
    from ..domain.replies import Inbound

_PLAYING = "+447700900"
_KNOWN = 10_000  # messages whose calls are counted
REFUSED = Answer(Outcome.REFUSED, Cause.http(400), 400)
FAILED = Answer(Outcome.FAILED, Cause.http(500), 500)
THROTTLED = Answer(Outcome.THROTTLED, Cause.http(429), 429, retry_after=1.0)
BLOCKED = Answer(Outcome.BLOCKED, Cause.http(402), 402, words="There is no money in the account")
LOST = Answer(Outcome.UNKNOWN, Cause(Reason.CONNECTION_BROKEN))
# By the last three digits: the answer, and how often it comes before the message is accepted; None for always.
PLAYED: dict[str, tuple[Answer, int | None]] = {
    "001": (REFUSED, None),
    "002": (FAILED, 1),
    "003": (FAILED, None),
    "004": (LOST, 1),
    "005": (LOST, None),
    "006": (THROTTLED, 2),
    "007": (BLOCKED, 1),
}


def played(phone_number: str, nth: int) -> Answer | None:
    """The answer to the nth call for a number, counted from 1; None if it is accepted."""
    ending = phone_number.removeprefix(_PLAYING)
    if len(ending) != 3 or ending not in PLAYED:
        return None
    answer, times = PLAYED[ending]
    return answer if times is None or nth <= times else None


# The later receipt for these numbers; messages to all others are delivered.
RECEIPTS: dict[str, dict[str, Any] | None] = {
    "008": {"status": "undelivered", "reason": "phone_unreachable"},
    "009": {"status": "undelivered", "reason": "number_invalid", "permanent": True},
    "010": None,
}


def played_receipt(phone_number: str) -> dict[str, Any] | None:
    """The receipt for a message to a number, by the contract of the kind http; None if there is none."""
    ending = phone_number.removeprefix(_PLAYING)
    return RECEIPTS.get(ending if len(ending) == 3 else "", {"status": "delivered"})


# The replies from these numbers after a message was accepted.
REPLIES = {"011": "STOP", "012": "Thanks, I will come. Is there parking?"}


def played_reply(phone_number: str) -> str:
    """The reply from a number, "" if there is none."""
    ending = phone_number.removeprefix(_PLAYING)
    return REPLIES.get(ending, "") if ending != phone_number else ""


class SandboxGateway:
    """Accepts messages except to test numbers. It recognises ids and can be asked."""

    def __init__(self, settings: Settings, capabilities: Capabilities | None = None) -> None:
        del settings
        self.capabilities = capabilities or Capabilities(recognises_ids=True, can_be_asked=True)
        self.receipt_reply = ""
        self.reply_answer = EMPTY_ANSWER
        self._lock = Lock()
        self._calls: OrderedDict[int, int] = OrderedDict()

    def send(self, message: Outgoing, last_look: LastLook = no_look) -> Answer:
        """Answer as the number requires. Earlier calls are forgotten when the process ends."""
        last_look()
        if not message.phone_number.startswith(_PLAYING):
            return Answer(Outcome.ACCEPTED)
        with self._lock:
            nth = self._calls[message.gateway_id] = self._calls.pop(message.gateway_id, 0) + 1
            if len(self._calls) > _KNOWN:
                self._calls.popitem(last=False)
        return played(message.phone_number, nth) or Answer(Outcome.ACCEPTED)

    def look_up(self, message: Outgoing) -> Answer:
        """Found, except for test numbers whose messages get lost."""
        if played(message.phone_number, _KNOWN):
            return Answer(Outcome.MISSING, Cause(Reason.NOT_AT_GATEWAY))
        return Answer(Outcome.FOUND)

    def balance(self) -> Balance | Cause:
        """Some play money, if balances are switched on; see Gateway."""
        from ..domain.balances import Balance

        return Balance("100.00", "EUR")

    def read_receipts(self, callback: Callback, now: datetime) -> list[Receipt]:
        """None, because it sends nothing."""
        del callback, now
        return []

    def read_replies(self, callback: Callback, now: datetime) -> list[Inbound]:
        """Replies by the contract of the kind http, so that they can be tried by hand."""
        from .replies import replies_in  # imported here because only the receiver needs it

        return replies_in(callback, now)

    def shown_request(self, message: Outgoing) -> str:
        """Empty, because there is no request."""
        del message
        return ""
