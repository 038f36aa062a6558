"""The HTTP gateway: POST {base}/v1/send/{id} with a bearer token, success is 200 with {"code": 0}."""

from __future__ import annotations

import json
import time
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
from .public_only import NotPublic, PublicOnlyAdapter, obstacle
from .tokens import GatewayToken, NoToken

MAX_ANSWER = 65_536  # bytes; a longer answer is none
_PATH = "/v1/send/"
_NEVER_SENT = (NewConnectionError, ConnectTimeoutError, ProxyError)
_NEVER_MADE = (requests.ConnectTimeout, requests.exceptions.ProxyError)
_UNSENDABLE = (InvalidHeader, InvalidSchema, InvalidURL, MissingSchema, UnicodeEncodeError)


class _Session(requests.Session):
    """Looks at no redirect: requests reads the whole body of one, and its target, also where it does not follow."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        del resp


class HttpGateway:
    """The gateway that the service was first written for, over one pool of kept connections.

    Outside local stages it is called by TLS only, at a host of the allow list, and at public addresses.
    """

    def __init__(self, settings: Settings, token: GatewayToken | None = None) -> None:
        self._url = settings.gateway_url.rstrip("/") + _PATH
        self._timeout = (settings.gateway_connect_timeout, settings.gateway_read_timeout)
        self._token = token or GatewayToken(settings)
        self._obstacle = "" if settings.gateway_may_be_local else obstacle(settings)
        self._session = _Session()
        kind = BoundedAdapter if settings.gateway_may_be_local else PublicOnlyAdapter
        adapter = kind(pool_connections=1, pool_maxsize=settings.gateway_concurrency)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def send(self, gateway_id: int, phone_number: str, text: str) -> Answer:
        """Hand a message over; see the contract at the end of docs/architecture.md."""
        if self._obstacle:
            return Answer(Outcome.FAILED, self._obstacle)
        began = time.monotonic()
        try:
            token = self._token.get()
        except NoToken as error:
            return Answer(Outcome.FAILED, str(error))
        # Reading the token is a part of the call, which has to end in time.
        connect, read = self._timeout
        left = max(read / 2, read - (time.monotonic() - began))
        body: dict[str, int | str] = {"id": gateway_id, "phone": int(phone_number.removeprefix("+")), "text": text}
        answer = self._post(f"{self._url}{gateway_id}", body, token, (connect, left))
        if answer.http_status == 401:
            self._token.refuse(token)  # the next attempt goes out with a new one, if there is one
        return answer

    def _post(self, url: str, body: dict[str, int | str], token: str, timeout: tuple[float, float]) -> Answer:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            with self._session.post(
                url, json=body, headers=headers, timeout=timeout, allow_redirects=False, stream=True
            ) as response:
                return _judge(response, _read(response))
        except requests.ConnectionError as error:
            cause = _cause(error)
            if isinstance(cause, NotPublic):
                return Answer(Outcome.FAILED, "the gateway's address is not public")
            if isinstance(error, _NEVER_MADE) or isinstance(cause, _NEVER_SENT):
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


def _cause(error: requests.ConnectionError) -> object:
    """What urllib3 said, beneath what requests made of it."""
    cause = error.args[0] if error.args else None
    return cause.reason if isinstance(cause, MaxRetryError) else cause


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
