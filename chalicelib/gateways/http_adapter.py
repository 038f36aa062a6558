"""What gateways over HTTP share: token, connection, time limits, and what a failed call or a status means."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import certifi
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from ..config import Settings
from ..domain.deliveries import Receipt
from ..domain.messages import Outcome
from ..domain.reasons import Cause, Reason
from .addresses import NotPublic
from .base import EMPTY_ANSWER, Answer, Callback, Capabilities, LastLook, Outgoing, no_look
from .tokens import GatewayToken, NoToken
from .transport import Limits, NoAnswer, NotSent, Reply, Request, Transport

if TYPE_CHECKING:
    from ..domain.balances import Balance
    from ..domain.replies import Inbound

# Statuses that are about the account, not about a message: the key, the money, the address.
_ABOUT_THE_ACCOUNT = frozenset({401, 402, 403, 404, 405, 407, 421, 426, 511})
_THROTTLED = 429
_MAY_PASS = frozenset({408, 425})  # besides all statuses from 500 on
_MAX_WORDS = 100  # characters of the gateway's words


class HttpAdapter(ABC):
    """A gateway over kept HTTP connections. A subclass makes the request and reads the answer.

    It uses `Transport`, because a session of requests takes twice the CPU time for each call. Outside local stages it
    is called only over TLS, at a host of the allow list and at public addresses. `certificates` is a file of trusted
    certificates. `address` replaces GATEWAY_URL; if it is `trusted`, it may be anywhere.
    """

    def __init__(
        self,
        settings: Settings,
        token: GatewayToken | None = None,
        certificates: str | None = None,
        *,
        address: str = "",
        trusted: bool = False,
    ) -> None:
        self._token = token or GatewayToken(settings)
        self._recognises_ids = settings.gateway_recognises_ids
        self._receipts = settings.gateway_receipts
        address = address or settings.gateway_url
        anywhere = trusted or settings.gateway_may_be_local
        # Why this address may not be called, None if it may.
        self.obstacle = None if anywhere else obstacle(address, self.hosts(settings))
        try:
            url = parse_url(address.rstrip("/"))
            self._path = url.path or ""
            self._address = url
            self._limits = Limits(
                connect_timeout=settings.gateway_connect_timeout,
                read_timeout=settings.gateway_read_timeout,
                certificates=certificates or certifi.where(),
                public_only=not anywhere,
            )
            self._transport = Transport(url, self._limits, connections=settings.gateway_concurrency)
        except (LocationParseError, ValueError):
            self.obstacle = self.obstacle or Reason.GATEWAY_URL_INVALID

    def hosts(self, settings: Settings) -> frozenset[str]:
        """The hosts that may be called, outside local stages."""
        return settings.allowed_gateway_hosts

    @property
    def capabilities(self) -> Capabilities:
        """Only what GATEWAY_RECOGNISES_IDS says."""
        return Capabilities(recognises_ids=self._recognises_ids)

    @abstractmethod
    def request(self, message: Outgoing, token: str) -> Request:
        """The request for a message; `token` is printable ASCII. Raises NoToken if there are no credentials."""

    @abstractmethod
    def read(self, reply: Reply) -> Answer | None:
        """The answer as this gateway words it; None if the status is enough."""

    @abstractmethod
    def shown_request(self, message: Outgoing) -> str:
        """The request that `send` makes, for people to read: without the token, and with the number masked."""

    def look_up(self, message: Outgoing) -> Answer:
        """Unclear, because this gateway cannot be asked; see Gateway."""
        del message
        return Answer(Outcome.UNCLEAR)

    def balance(self) -> Balance | Cause:
        """Unknown, because this gateway does not tell it; see Gateway."""
        return Cause(Reason.ANSWER_NOT_DECLARED)

    @property
    def receipt_reply(self) -> str:
        """Any body will do; see Gateway."""
        return "OK"

    def read_receipts(self, callback: Callback, now: datetime) -> list[Receipt]:
        """None, because this gateway gives no receipts; see Gateway."""
        del callback, now
        return []

    @property
    def reply_answer(self) -> tuple[str, str]:
        """An empty answer; see Gateway."""
        return EMPTY_ANSWER

    def read_replies(self, callback: Callback, now: datetime) -> list[Inbound]:
        """None, because this gateway has no replies; see Gateway."""
        del callback, now
        return []

    def ask(self, request_with: Callable[[str], Request], *, within: float = float("inf")) -> Reply | Cause:
        """Make a request that sends no message. Returns the answer, or why there is none.

        `request_with` makes the request with the token. Connecting and answering may take `within` seconds each, or
        less if the gateway's limits are shorter. It uses a session of requests, because it is rare.
        """
        if self.obstacle:
            return Cause(self.obstacle)
        try:
            request = request_with(self._token.get())
        except NoToken as error:
            return error.cause
        from .session import exchange  # requests takes 50 ms to import, and most senders never need it

        limits = self._limits
        limits = replace(
            limits,
            connect_timeout=min(within, limits.connect_timeout),
            read_timeout=min(within, limits.read_timeout),
        )
        return exchange(self._address, replace(request, path=self._path + request.path), limits)

    def send(self, message: Outgoing, last_look: LastLook = no_look) -> Answer:
        """Send a message; see Gateway."""
        if self.obstacle:
            return Answer(Outcome.BLOCKED, Cause(self.obstacle))
        try:
            token = self._token.get()
            if not (token.isascii() and token.isprintable()):
                return Answer(Outcome.BLOCKED, Cause(Reason.TOKEN_INVALID))
            request = self.request(message, token)
        except NoToken as error:
            return Answer(Outcome.BLOCKED, error.cause)
        try:
            reply = self._transport.exchange(replace(request, path=self._path + request.path), last_look)
        except NotPublic:
            return Answer(Outcome.BLOCKED, Cause(Reason.GATEWAY_ADDRESS_PRIVATE))
        except NotSent as error:
            return Answer(Outcome.FAILED, error.cause)
        except NoAnswer as error:
            return Answer(Outcome.UNKNOWN, error.cause)
        if reply.status == 401:
            self._token.refuse(token)  # the next attempt uses a new token, if there is one
        private = [token, message.text]
        answer = self.read(reply) or answer_of_status(reply)
        return replace(answer, words=presentable(answer.words, private)) if answer.words else answer


def shown(line: str, headers: Mapping[str, str], body: Any) -> str:
    """A request for people to read, with its body as text or JSON values."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, indent=2)
    return "\n".join([line, *(f"{name}: {value}" for name, value in headers.items()), "", text])


def obstacle(address: str, hosts: frozenset[str]) -> Reason | None:
    """Why a gateway's address may not be called, None if it may. Uses the same parser as the connection."""
    try:
        url = parse_url(address)
    except LocationParseError:
        return Reason.GATEWAY_URL_INVALID
    if url.scheme != "https":
        return Reason.GATEWAY_URL_NOT_HTTPS
    if (url.host or "").lower().strip("[]").rstrip(".") not in hosts:
        return Reason.GATEWAY_HOST_NOT_ALLOWED
    return None


def answer_of_status(reply: Reply) -> Answer:
    """The answer by its status (RFC 9110) alone, with the words as they came."""
    status = reply.status
    retry_after = retry_after_of(reply)
    cause = Cause.http(status)
    if status == 504 or 200 <= status < 300:
        # The gateway's proxy gave up waiting, or says "accepted": the gateway may have taken the message.
        return Answer(Outcome.UNKNOWN, cause, status, retry_after)
    if status in _ABOUT_THE_ACCOUNT or status < 400:
        return Answer(
            outcome=Outcome.BLOCKED,
            cause=cause,
            http_status=status,
            retry_after=retry_after,
            words=words_of(reply.body),
        )
    if status == _THROTTLED:
        return Answer(Outcome.THROTTLED, cause, status, retry_after)
    if status in _MAY_PASS or status >= 500:
        return Answer(Outcome.FAILED, cause, status, retry_after)
    return Answer(Outcome.REFUSED, cause, status)


def words_of(body: bytes | None) -> str:
    """The gateway's words in an answer, "" if there are none."""
    try:
        found = json.loads(body or b"")
    except (ValueError, RecursionError):
        return ""
    said = found if isinstance(found, dict) else {}
    return next((said[key] for key in ("message", "error", "detail", "title") if isinstance(said.get(key), str)), "")


def presentable(words: str, private: list[str]) -> str:
    """A gateway's words, short enough to be shown; "" if they contain private values."""
    if any(secret and (secret in words or words in secret) for secret in private):
        return ""
    words = "".join(character if character.isprintable() else " " for character in words)
    words = re.sub(r"[0-9][0-9 ()-]{2,}[0-9]", "…", words)  # it may be a phone number
    words = re.sub(r"\S{25,}", "…", words)  # it may be a key
    return words.strip()[:_MAX_WORDS]


def retry_after_of(reply: Reply) -> float | None:
    """Seconds that an answer asks to wait."""
    return parse_retry_after(reply.headers.get("retry-after", ""), datetime.now(UTC))


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
