"""The HTTP gateway: POST {base}/v1/send/{id} with a bearer token, success is 200 with {"code": 0}."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import certifi
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NewConnectionError,
    ProtocolError,
    TimeoutError,
)
from urllib3.util import parse_url

from ..config import Settings
from ..domain.clients import masked_phone
from ..domain.messages import Outcome
from .base import Answer
from .bounded import POOLS
from .public_only import PUBLIC_POOLS, NotPublic, obstacle
from .tokens import GatewayToken, NoToken

MAX_ANSWER = 65_536  # bytes; a longer answer is none
_PATH = "/v1/send/"


class HttpGateway:
    """The gateway that the service was first written for, over one pool of kept connections.

    Straight over urllib3: a session of requests takes twice the CPU time for each call. Outside local stages it is
    called by TLS only, at a host of the allow list, and at public addresses. `certificates` is a file of those that
    are trusted.
    """

    def __init__(self, settings: Settings, token: GatewayToken | None = None, certificates: str | None = None) -> None:
        self._timeout = (settings.gateway_connect_timeout, settings.gateway_read_timeout)
        self._token = token or GatewayToken(settings)
        self._obstacle = "" if settings.gateway_may_be_local else obstacle(settings)
        try:
            url = parse_url(settings.gateway_url.rstrip("/") + _PATH)
            self._path = url.path or _PATH
            self._pool = _pool(settings, url.scheme or "", url.host or "", url.port, certificates or certifi.where())
        except (LocationParseError, ValueError):
            self._obstacle = self._obstacle or "the gateway's address is none"

    def send(self, gateway_id: int, phone_number: str, text: str) -> Answer:
        """Hand a message over; see the contract at the end of docs/architecture.md."""
        if self._obstacle:
            return Answer(Outcome.FAILED, self._obstacle)
        began = time.monotonic()
        try:
            token = self._token.get()
        except NoToken as error:
            return Answer(Outcome.FAILED, str(error))
        if not (token.isascii() and token.isprintable()):
            return Answer(Outcome.FAILED, "the gateway's token is none that a header can hold")
        # Reading the token is a part of the call, which has to end in time.
        connect, read = self._timeout
        left = max(read / 2, read - (time.monotonic() - began))
        body: dict[str, int | str] = {"id": gateway_id, "phone": int(phone_number.removeprefix("+")), "text": text}
        answer = self._post(f"{self._path}{gateway_id}", json.dumps(body).encode(), token, Timeout(connect, left))
        if answer.http_status == 401:
            self._token.refuse(token)  # the next attempt goes out with a new one, if there is one
        return answer

    def _post(self, path: str, body: bytes, token: str, timeout: Timeout) -> Answer:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            response = self._pool.urlopen(
                "POST",
                path,
                body,
                headers,
                retries=False,
                redirect=False,
                timeout=timeout,
                preload_content=False,
            )
            try:
                return _judge(response, _read(response))
            finally:
                response.close()  # a connection that was read to the end is back in the pool already
        except NotPublic:
            return Answer(Outcome.FAILED, "the gateway's address is not public")
        except (NewConnectionError, ConnectTimeoutError):
            return Answer(Outcome.FAILED, "no connection to the gateway")
        except ProtocolError:
            return Answer(Outcome.UNKNOWN, "the connection broke before an answer")
        except TimeoutError:
            return Answer(Outcome.UNKNOWN, "no answer in time")
        except (HTTPError, ValueError, OSError) as error:
            return Answer(Outcome.UNKNOWN, f"no usable answer: {type(error).__name__}")

    def shown_request(self, gateway_id: int, phone_number: str, text: str) -> str:
        """The request line, the header that matters and the body; nothing of the gateway's address but the path."""
        body = {"id": gateway_id, "phone": masked_phone(phone_number).removeprefix("+"), "text": text}
        content = json.dumps(body, ensure_ascii=False, indent=2)
        return f"POST {_PATH}{gateway_id}\nAuthorization: Bearer ***\nContent-Type: application/json\n\n{content}"


def _pool(settings: Settings, scheme: str, host: str, port: int | None, certificates: str) -> HTTPConnectionPool:
    if not host or scheme not in POOLS:
        raise ValueError("no address")
    tls: dict[str, Any] = {"cert_reqs": "CERT_REQUIRED", "ca_certs": certificates} if scheme == "https" else {}
    pools = POOLS if settings.gateway_may_be_local else PUBLIC_POOLS
    return pools[scheme](host, port, maxsize=settings.gateway_concurrency, **tls)


def _read(response: BaseHTTPResponse) -> bytes | None:
    """The answer's body, None where it is too long."""
    content = b""
    for chunk in response.stream(8192):
        content += chunk
        if len(content) > MAX_ANSWER:
            return None
    return content


def _judge(response: BaseHTTPResponse, content: bytes | None) -> Answer:
    status = response.status
    if status == 200:
        return _judge_body(content)
    retry_after = parse_retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC))
    if status == 504 or 200 < status < 300:
        # The gateway's own proxy gave up waiting, or says "accepted": what is behind it may have taken the message.
        return Answer(Outcome.UNKNOWN, f"HTTP {status}", status, retry_after)
    if status in (401, 408, 425, 429) or status >= 500 or status < 400:
        # 401: the token was changed or has run out, which says nothing about the message.
        return Answer(Outcome.FAILED, f"HTTP {status}", status, retry_after)
    return Answer(Outcome.REFUSED, f"HTTP {status}", status)


def _judge_body(content: bytes | None) -> Answer:
    try:
        code = json.loads(content or b"")["code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Answer(Outcome.UNKNOWN, "HTTP 200 with an answer that makes no sense", 200)
    if code == 0 and not isinstance(code, bool):
        return Answer(Outcome.ACCEPTED, "", 200)
    shown = code if isinstance(code, int) and abs(code) < 10**9 else "?"
    return Answer(Outcome.FAILED, f"HTTP 200 with code {shown}", 200)


def parse_retry_after(text: str, now: datetime) -> float | None:
    """Seconds that a Retry-After header (RFC 9110 section 10.2.3: seconds or a date) asks for; None for nonsense."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= 9 else 1e9
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
