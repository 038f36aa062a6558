"""Deliveries: what a gateway reports about a message after it accepted it, and what follows for the ledger.

A report comes as a receipt: early, twice, out of order or never. This module decides what it may change. A message that
was delivered stays delivered, whatever comes later.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from .reasons import Cause, Reason

if TYPE_CHECKING:
    from .messages import Message

# AWS sends the last receipt of a message within 72 hours (End User Messaging SMS, "Event types for SMS"), and so do the
# others.
NO_RECEIPT_AFTER = timedelta(hours=73)
# In the addresses that gateways call.
RECEIPTS_PATH = "/gateway/receipts"
REPLIES_PATH = "/gateway/replies"


class DeliveryStatus(StrEnum):
    """What is known about the way from the gateway to the phone.

    pending: the gateway has the message, and nothing more is known yet. delivered: it reached the phone. undelivered:
    it did not. no_receipt: no receipt came within 73 hours.
    """

    PENDING = "pending"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    NO_RECEIPT = "no_receipt"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the ledger keeps of a receipt: whether the message was `delivered`, or why not, and whether that is final.

    `at` is when that happened, according to the gateway. `parts` (SMS parts) and `price` (such as "0.00645 USD") are
    set if the gateway tells them.
    """

    delivered: bool
    at: datetime
    cause: Cause | None = None
    permanent: bool = False
    parts: int | None = None
    price: str = ""

    @property
    def status(self) -> DeliveryStatus:
        """Delivered or undelivered."""
        return DeliveryStatus.DELIVERED if self.delivered else DeliveryStatus.UNDELIVERED

    @property
    def rank(self) -> int:
        """Of two receipts the one with the higher rank counts; if they are equal, the first."""
        return 3 if self.delivered else 2 if self.permanent else 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a gateway reports about a message. `status` is pending, delivered or undelivered.

    `phone_number` is in E.164 form, "" if the gateway does not name it. The other fields are as in Delivery.
    """

    message_id: str
    status: DeliveryStatus
    at: datetime
    cause: Cause | None = None
    permanent: bool = False
    phone_number: str = ""
    parts: int | None = None
    price: str = ""

    @property
    def delivery(self) -> Delivery | None:
        """What the ledger keeps of it; None while it is pending."""
        if self.status is DeliveryStatus.PENDING:
            return None
        delivered = self.status is DeliveryStatus.DELIVERED
        cause = None if delivered else self.cause or Cause(Reason.NOT_DELIVERED)
        return Delivery(
            delivered=delivered,
            at=self.at,
            cause=cause,
            permanent=not delivered and self.permanent,
            parts=self.parts,
            price=self.price,
        )


def later(old: Delivery | None, new: Delivery | None) -> Delivery | None:
    """The one of the two that counts."""
    if old is None or new is None:
        return old or new
    return new if new.rank > old.rank else old


def delivery_status_of(message: Message, now: datetime) -> DeliveryStatus | None:
    """What is known about a message's way to the phone, None if no gateway has the message."""
    if message.delivery:
        return message.delivery.status
    if message.sent_at is None:
        return None
    return DeliveryStatus.NO_RECEIPT if now - message.sent_at >= NO_RECEIPT_AFTER else DeliveryStatus.PENDING


# -- counting: a receipt often comes after its mailing has ended, so these counters are not part of a recount

DELIVERY = "delivery"  # the first part of these counters' names
_SEPARATOR = "|"
_DELIVERED, _UNDELIVERED, _PARTS = (_SEPARATOR.join((DELIVERY, one)) for one in ("delivered", "undelivered", "parts"))
_WHY, _PRICE, _WITHIN = (_SEPARATOR.join((DELIVERY, one, "")) for one in ("why", "price", "within"))
_MICRO = 1_000_000
# Delivered messages are counted by how long that took: the upper bounds, in seconds.
WITHIN = (10, 60, 600, 3600, 86400)
_MORE = "more"


def is_of_delivery(counter: str) -> bool:
    """Whether a mailing's counter is about deliveries."""
    return counter.startswith(DELIVERY + _SEPARATOR)


def counted(message: Message) -> Counter[str]:
    """What a message adds to its mailing's counters: nothing unless it was sent and a receipt came."""
    delivery = message.delivery
    if delivery is None or message.sent_at is None:
        return Counter()
    names = [_DELIVERED if delivery.delivered else _UNDELIVERED]
    if delivery.delivered:
        took = max(0.0, (delivery.at - message.sent_at).total_seconds())
        names.append(_WITHIN + str(next((span for span in WITHIN if took <= span), _MORE)))
    else:
        how = "permanent" if delivery.permanent else "temporary"
        names.append(f"{_WHY}{how}{_SEPARATOR}{(delivery.cause or Cause(Reason.NOT_DELIVERED)).counted}")
    counters = Counter(names)
    if delivery.parts:
        counters[_PARTS] += delivery.parts
    amount, _, currency = delivery.price.partition(" ")
    if amount:
        counters[_PRICE + currency] += round(float(amount) * _MICRO)
    return counters


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What is known about the sent messages of a mailing. The four counts add up to `sent`.

    `why` counts undelivered messages by cause and by whether that is final. `within` counts delivered ones by the upper
    bound of the seconds that it took, None above the last bound. `prices` (sums by currency) and `parts` (SMS parts)
    are of those whose receipts told them.
    """

    sent: int
    by_status: dict[DeliveryStatus, int]
    why: dict[tuple[Cause, bool], int]
    within: dict[int | None, int]
    parts: int
    prices: dict[str, float]

    @property
    def any(self) -> bool:
        """Whether any receipt came."""
        return bool(self.by_status[DeliveryStatus.DELIVERED] or self.by_status[DeliveryStatus.UNDELIVERED])


def deliveries_of(counters: Counter[str], sent: int, last_sent_at: datetime | None, now: datetime) -> Deliveries:
    """The deliveries that counters tell. 73 hours after the last message was sent, no more receipts are expected."""
    delivered, undelivered = max(0, counters[_DELIVERED]), max(0, counters[_UNDELIVERED])
    rest = max(0, sent - delivered - undelivered)
    over = last_sent_at is not None and now - last_sent_at >= NO_RECEIPT_AFTER
    why: dict[tuple[Cause, bool], int] = {}
    within: dict[int | None, int] = {}
    prices: dict[str, float] = {}
    for name, count in counters.items():
        if count <= 0:
            continue
        if name.startswith(_WHY):
            how, _, cause = name.removeprefix(_WHY).partition(_SEPARATOR)
            why[Cause.parse(cause) or Cause(Reason.NOT_DELIVERED), how == "permanent"] = count
        elif name.startswith(_WITHIN):
            span = name.removeprefix(_WITHIN)
            within[None if span == _MORE else int(span)] = count
        elif name.startswith(_PRICE):
            prices[name.removeprefix(_PRICE)] = count / _MICRO
    by_status = {
        DeliveryStatus.DELIVERED: delivered,
        DeliveryStatus.UNDELIVERED: undelivered,
        DeliveryStatus.PENDING: 0 if over else rest,
        DeliveryStatus.NO_RECEIPT: rest if over else 0,
    }
    return Deliveries(
        sent=sent, by_status=by_status, why=why, within=within, parts=max(0, counters[_PARTS]), prices=prices
    )
