"""Signature Version 4 of a POST of JSON.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache

_ALGORITHM = "AWS4-HMAC-SHA256"


def authorization(key_id: str, secret: str, region: str, service: str, signed: Mapping[str, str], body: bytes) -> str:
    """The Authorization header of a POST to / with these headers, in their order; x-amz-date is the time of sending."""
    now, names = signed["x-amz-date"], ";".join(signed)
    canonical = "".join([f"{name}:{value}\n" for name, value in signed.items()])
    asked = f"POST\n/\n\n{canonical}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{now[:8]}/{region}/{service}/aws4_request"
    text = f"{_ALGORITHM}\n{now}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
    made = hmac.digest(_key(secret, now[:8], region, service), text.encode(), "sha256").hex()
    return f"{_ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={names}, Signature={made}"


@lru_cache(maxsize=4)
def _key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
