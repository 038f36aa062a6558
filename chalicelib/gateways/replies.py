"""Replies as gateways report them: by the contract of the kind http, by a declaration, and by an SNS topic."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..domain.replies import Inbound, plain, reference_of
from .answers import first_at
from .base import Callback
from .declared_receipts import singles_of
from .receipts import content_of, moment_of, number_of

if TYPE_CHECKING:
    from .declaration_callbacks import Replying

_MOST = 1000  # replies in one callback
_RECIPIENT = re.compile(r"[\w +.-]{1,30}")


def replies_in(callback: Callback, now: datetime) -> list[Inbound]:
    """The replies in a callback of the kind http: one object, or a list of them under `replies`.

    Raises ValueError, KeyError or TypeError if it cannot be read.
    """
    content = content_of(callback)
    several = content.get("replies") if isinstance(content, dict) else content
    singles = (several if isinstance(several, list) else [content])[:_MOST]
    names = ("id", "phone", "text", "to", "at", "message_id")
    return _known([_inbound(callback.gateway, one, [one.get(name) for name in names], now) for one in singles])


def declared_replies(replying: Replying, callback: Callback, now: datetime) -> list[Inbound]:
    """The replies in a callback, read by a declaration. Raises ValueError if it cannot be read."""
    ways = (replying.id, replying.phone, replying.text, replying.to, replying.at, replying.message_id)
    return _known(
        [
            _inbound(callback.gateway, one, [first_at(one, way) for way in ways], now)
            for one in singles_of(replying, content_of(callback))
            if not replying.at_receipts or first_at(one, replying.text)  # else it is a receipt
        ]
    )


def reply_of_event(gateway: str, event: Mapping[str, Any], now: datetime) -> list[Inbound]:
    """The reply in a message of AWS two-way SMS. It has no time, and names the earlier message by AWS's id.

    https://docs.aws.amazon.com/sms-voice/latest/userguide/two-way-sms-payload.html
    """
    names = ("inboundMessageId", "originationNumber", "messageBody", "destinationNumber")
    return _known([_inbound(gateway, event, [*(event[name] for name in names), None, None], now)])


def _inbound(
    gateway: str,
    told: Any,
    values: Sequence[object],
    now: datetime,
) -> Inbound | None:
    """A reply, None if it has no valid phone number.

    `values` are the gateway's id, the writer's number, the text, the recipient, the time, and our id of the answered
    message.
    """
    reference, phone, text, to, at, message_id = values
    number = number_of(phone)
    if not number or not isinstance(text, str | int | float):
        return None
    recipient = str(to) if isinstance(to, str | int) else ""
    return Inbound(
        gateway=gateway,
        reference=reference_of(reference, json.dumps(told, sort_keys=True, default=str)),
        phone_number=number,
        text=plain(str(text)),
        to=recipient if _RECIPIENT.fullmatch(recipient) else "",
        at=moment_of(at, now),
        message_id=str(message_id) if isinstance(message_id, str) else "",
    )


def _known(found: list[Inbound | None]) -> list[Inbound]:
    return [one for one in found if one is not None]
