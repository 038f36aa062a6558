"""Values in receipts of all kinds of gateways, which may be anything that somebody sends."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from .base import Callback

_NUMBER = re.compile(r"\+?[1-9][0-9]{6,14}")
AMOUNT = re.compile(r"-?[0-9]{1,6}(\.[0-9]{1,8})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_MILLISECONDS = 10**11  # seconds since 1970 are below this, milliseconds above
_LATEST = 4102444800  # 2100
_FIELDS = 200
_MOST_PARTS = 99


def content_of(callback: Callback) -> Any:
    """The body as JSON or form fields, with the fields of the address; without a body only these.

    Raises ValueError if there is neither.
    """
    query = dict(parse_qsl(callback.query, max_num_fields=_FIELDS))
    if not callback.body.strip():
        return query
    if "json" in callback.media_type.lower() or callback.body.lstrip()[:1] in ("{", "["):
        content = json.loads(callback.body)
        return {**query, **content} if isinstance(content, dict) else content
    return query | dict(parse_qsl(callback.body, strict_parsing=True, max_num_fields=_FIELDS))


def moment_of(told: object, now: datetime) -> datetime:
    """When it happened: seconds or milliseconds since 1970, or ISO 8601 with an offset; now if it is none of these.

    A time older than a week, or later than now, is a wrong clock: then now is used too.
    """
    at = now
    try:
        if isinstance(told, str) and not told.isdigit():
            at = datetime.fromisoformat(told)
        elif isinstance(told, int | float | str) and not isinstance(told, bool):
            seconds = float(told) / (1000 if float(told) > _MILLISECONDS else 1)
            at = datetime.fromtimestamp(min(seconds, _LATEST), UTC)
    except (ValueError, OverflowError, OSError):
        return now
    if at.tzinfo is None or not timedelta(0) <= now - at <= timedelta(days=7):
        return now
    return at.astimezone(UTC)


def number_of(told: object) -> str:
    """A phone number in E.164 form, "" if there is none."""
    text = re.sub(r"[\s()-]", "", str(told)) if isinstance(told, int | str) else ""
    return f"+{text.removeprefix('+')}" if _NUMBER.fullmatch(text) else ""


def parts_of(told: object) -> int | None:
    """A number of SMS parts."""
    text = str(told) if isinstance(told, int | str) else ""
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text[:9]) <= _MOST_PARTS else None


def price_of(told: object, currency: object) -> str:
    """An amount of money with its currency, such as "0.00645 USD", "" if there is none."""
    text = f"{told:.8f}" if isinstance(told, float) else str(told if isinstance(told, int | str) else "")
    if not AMOUNT.fullmatch(text):
        return ""
    amount = f"{abs(float(text)):.8f}".rstrip("0").rstrip(".")
    return f"{amount} {currency}" if isinstance(currency, str) and _CURRENCY.fullmatch(currency) else amount
