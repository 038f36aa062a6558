"""Signatures of callbacks: whether the gateway itself made one, and when.

Anybody who knows the address of callbacks can call it, so this is a second protection besides the secret in the
address.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal
from urllib.parse import parse_qsl

from .base import Callback
from .receipts import content_of

Signature = Literal["twilio", "vonage", "smsc"]
_FRESH = 300  # seconds by which a signature may be older or younger than its callback, because clocks differ
# The accepted methods for Vonage's `sig`, by number of hexadecimal digits; MD5 and SHA-1 are not accepted.
_METHODS = {64: "sha256", 128: "sha512"}


def is_signed(kind: Signature, callback: Callback, key: str, now: datetime) -> bool:
    """Whether a callback has its gateway's signature with this key, and a recent one if it contains the time.

    It is compared with the time when the callback came, because that may have waited on the queue.
    """
    came_at = callback.received_at or now.timestamp()
    match kind:
        case "twilio":
            return _by_twilio(callback, key)
        case "vonage":
            return _by_vonage(callback, key, came_at)
        case "smsc":
            return _by_smsc(callback, key)


def _by_twilio(callback: Callback, key: str) -> bool:
    """HMAC-SHA1 over the address and the fields of the form in their order.

    https://www.twilio.com/docs/usage/security#validating-requests
    """
    fields = sorted(set(parse_qsl(callback.body, keep_blank_values=True)))
    text = callback.url + "".join(name + value for name, value in fields)
    made = b64encode(hmac.new(key.encode(), text.encode(), "sha1").digest())
    return _same(made.decode(), callback.signature)


def _by_vonage(callback: Callback, key: str, came_at: float) -> bool:
    """A token (JWT) in the header `Authorization`, else `sig` among the fields.

    https://developer.vonage.com/en/getting-started/concepts/webhooks#validating-signed-webhooks
    https://developer.vonage.com/en/getting-started/concepts/signing-messages
    """
    if callback.signature:
        return _has_token(callback, key, came_at)
    body = _fields_of(callback)
    query = dict(parse_qsl(callback.query))
    # It is not documented whether the fields of our own address are signed too.
    return any(_has_sig(fields, key, came_at) for fields in (body, {**query, **body}))


def _has_token(callback: Callback, key: str, came_at: float) -> bool:
    """A JWT (RFC 7515, 7519) of the one algorithm HS256, which is for this body and not old."""
    try:
        head, claims, signature = callback.signature.removeprefix("Bearer ").split(".")
        made = hmac.new(key.encode(), f"{head}.{claims}".encode(), "sha256").digest()
        if not hmac.compare_digest(made, _decoded(signature)) or json.loads(_decoded(head)).get("alg") != "HS256":
            return False
        said = json.loads(_decoded(claims))
        body = hashlib.sha256(callback.body.encode()).hexdigest()
        return _same(body, str(said["payload_hash"])) and _is_fresh(said["iat"], came_at) and _lasts(said, came_at)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def _lasts(said: Mapping[str, Any], came_at: float) -> bool:
    return "exp" not in said or came_at < float(said["exp"]) + _FRESH


def _has_sig(fields: Mapping[str, Any], key: str, came_at: float) -> bool:
    sig = str(fields.get("sig", "")).lower()
    if len(sig) not in _METHODS:
        return False
    # As Vonage does: separators of fields are replaced by underscores.
    values = {name: str(value).replace("&", "_").replace("=", "_") for name, value in fields.items() if name != "sig"}
    text = "".join(f"&{name}={values[name]}" for name in sorted(values))
    made = hmac.new(key.encode(), text.encode(), _METHODS[len(sig)]).hexdigest()
    return _same(made, sig) and _is_fresh(values.get("timestamp", ""), came_at)


def _by_smsc(callback: Callback, key: str) -> bool:
    """MD5 over some fields and the secret string of the account, which knows no other method.

    https://smsc.ru/api/http/miscellaneous/callback/
    """
    fields = {name: str(value) for name, value in content_of(callback).items()}
    signed = ("phone", "mes", "to") if "mes" in fields else ("id", "phone", "status")
    text = ":".join([*(fields.get(name, "") for name in signed), key])
    made = hashlib.md5(text.encode()).hexdigest()  # noqa: S324
    return _same(made, fields.get("md5", "").lower())


def _fields_of(callback: Callback) -> dict[str, Any]:
    """The fields of the body, or of the address if there is no body."""
    content = content_of(replace(callback, query="") if callback.body.strip() else callback)
    return content if isinstance(content, dict) else {}


def _is_fresh(told: object, came_at: float) -> bool:
    try:
        return abs(came_at - float(str(told))) <= _FRESH
    except ValueError:
        return False


def _same(made: str, told: str) -> bool:
    return hmac.compare_digest(made.encode(), told.encode("utf-8", "replace"))


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
