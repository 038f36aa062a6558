"""The HTTP gateway: POST {base}/v1/send/{id} with a bearer token, success is 200 with {"code": 0}."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.exceptions import InvalidHeader, InvalidSchema, InvalidURL, MissingSchema
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProxyError

from ..config import Settings
from ..domain.clients import masked_phone
from ..domain.messages import Outcome
from .base import Answer
from .bounded import BoundedAdapter

MAX_ANSWER = 65_536  # bytes; a longer answer is none
_PATH = "/v1/send/"
_NEVER_SENT = (NewConnectionError, ConnectTimeoutError, ProxyError)
_UNSENDABLE = (InvalidHeader, InvalidSchema, InvalidURL, MissingSchema, UnicodeEncodeError)


class _Session(requests.Session):
    """Looks at no redirect: requests reads the whole body of one, and its target, also where it does not follow."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        del resp


class HttpGateway:
    """The gateway that the service was first written for, over one pool of kept connections."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.gateway_url.rstrip("/") + _PATH
        self._timeout = (settings.gateway_connect_timeout, settings.gateway_read_timeout)
        self._session = _Session()
        adapter = BoundedAdapter(pool_connections=1, pool_maxsize=settings.gateway_concurrency)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers["Authorization"] = f"Bearer {settings.gateway_token}"

    def send(self, gateway_id: int, phone_number: str, text: str) -> Answer:
        """Hand a message over; see the contract at the end of docs/architecture.md."""
        body: dict[str, int | str] = {"id": gateway_id, "phone": int(phone_number.removeprefix("+")), "text": text}
        try:
            with self._session.post(
                f"{self._url}{gateway_id}", json=body, timeout=self._timeout, allow_redirects=False, stream=True
            ) as response:
                return _judge(response, _read(response))
        except requests.ConnectionError as error:
            if _never_sent(error):
                return Answer(Outcome.FAILED, "no connection to the gateway")
            return Answer(Outcome.UNKNOWN, "the connection broke before an answer")
        except requests.Timeout:
            return Answer(Outcome.UNKNOWN, "no answer in time")
        except _UNSENDABLE as error:
            return Answer(Outcome.FAILED, f"the gateway's address or token is wrong: {type(error).__name__}")
        except (requests.RequestException, ValueError, OSError) as error:
            return Answer(Outcome.UNKNOWN, f"no usable answer: {type(error).__name__}")

    def shown_request(self, gateway_id: int, phone_number: str, text: str) -> str:
        """The request line, the header that matters and the body; nothing of the gateway's address but the path."""
        body = {"id": gateway_id, "phone": masked_phone(phone_number).removeprefix("+"), "text": text}
        content = json.dumps(body, ensure_ascii=False, indent=2)
        return f"POST {_PATH}{gateway_id}\nAuthorization: Bearer ***\nContent-Type: application/json\n\n{content}"


def _read(response: requests.Response) -> bytes | None:
    """The answer's body, None where it is too long."""
    content = b""
    for chunk in response.iter_content(8192):
        content += chunk
        if len(content) > MAX_ANSWER:
            return None
    return content


def _never_sent(error: requests.ConnectionError) -> bool:
    """Whether the connection failed before anything was sent over it."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    cause = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    return isinstance(cause, _NEVER_SENT)


def _judge(response: requests.Response, content: bytes | None) -> Answer:
    status = response.status_code
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
