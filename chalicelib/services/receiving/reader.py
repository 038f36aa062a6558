"""Reading the receipt queue: finds the receipts and replies in a message, in the form of each gateway."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ...clock import SystemClock
from ...domain.deliveries import DeliveryStatus, Receipt
from ...domain.errors import Malformed
from ...domain.faults import Fault
from ...domain.reasons import Cause
from ...gateways import eum_events
from ...gateways.base import Callback, Gateway
from ...gateways.replies import reply_of_event
from ...observability import logger
from .links import ReceiptLinks
from .received import ReadItem, ReceiptItem


class Reader:
    """Reads callbacks of gateways, events of AWS, and receipts that were put back on the queue."""

    def __init__(
        self, gateways: Mapping[str, Gateway], links: ReceiptLinks, clock: SystemClock, of_topic: str = ""
    ) -> None:
        """`of_topic` is the gateway whose SNS topic sends to the queue."""
        self._of_topic = of_topic
        self._gateways = gateways
        self._links = links
        self._clock = clock

    def read(self, item: ReceiptItem) -> ReadItem:
        """What an item contains; empty if it cannot be read."""
        try:
            return self._read(item.body)
        except (Malformed, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            logger.warning("unreadable message on the receipt queue", item=item.item, error=type(error).__name__)
            return ReadItem()

    def _read(self, body: str) -> ReadItem:
        values = json.loads(body)
        if "again" in values:
            return ReadItem([(_receipt(values["again"]), int(values["seen"]))])
        now = self._clock.now()
        if "callback" in values:
            callback = Callback(**values["callback"])
            return self._told(callback, self._links.url(callback.gateway), now, reply=False)
        if "reply" in values:
            callback = Callback(**values["reply"])
            return self._told(callback, self._links.reply_url(callback.gateway), now, reply=True)
        if values.get("Type") == "Notification":  # a topic that does not deliver raw messages
            values = json.loads(values["Message"])
        if "inboundMessageId" in values:
            return ReadItem(replies=reply_of_event(self._of_topic, values, now))
        return ReadItem(_seen_first(eum_events.receipts_of(values, now), now))

    def _told(self, callback: Callback, url: str, now: datetime, *, reply: bool) -> ReadItem:
        """What a callback contains.

        It came to `url`, unless it names another address: that of the receiver's function.
        """
        gateway = self._gateways[callback.gateway]
        callback = replace(callback, url=_with_query(callback.url or url, callback))
        one_address = gateway.capabilities.has_one_address
        replies = gateway.read_replies(callback, now) if reply or one_address else []
        if replies or (reply and not one_address):
            return ReadItem(replies=replies)
        return ReadItem(_seen_first(gateway.read_receipts(callback, now), now))


def _seen_first(receipts: list[Receipt], now: datetime) -> list[tuple[Receipt, int]]:
    """Receipts that come for the first time. Times in the future, by a gateway's wrong clock, become now."""
    return [(one if one.at <= now else replace(one, at=now), 0) for one in receipts]


def _with_query(url: str, callback: Callback) -> str:
    return f"{url}?{callback.query}" if callback.query else url


def again(receipt: Receipt, seen: int) -> str:
    """A receipt to put back on the queue, because it came too early; `seen` says how often."""
    values = {
        "message_id": receipt.message_id,
        "status": receipt.status,
        "at": receipt.at.isoformat(),
        "cause": str(receipt.cause or ""),
        "permanent": receipt.permanent,
        "phone_number": receipt.phone_number,
        "parts": receipt.parts,
        "price": receipt.price,
    }
    return json.dumps({"again": values, "seen": seen}, separators=(",", ":"))


def _receipt(values: dict[str, Any]) -> Receipt:
    if not isinstance(values["message_id"], str):
        raise Malformed(Fault.NOT_A_RECEIPT, what="the message's id is no text")
    at, status, cause = (
        datetime.fromisoformat(values["at"]),
        DeliveryStatus(values["status"]),
        Cause.parse(values["cause"]),
    )
    return Receipt(**values | {"at": at, "status": status, "cause": cause})
