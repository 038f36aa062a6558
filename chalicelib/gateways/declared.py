"""The kind `declared`: a gateway whose requests and answers are described by a declaration."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_plus, urlencode

from urllib3.util import parse_url

from ..config import Settings
from ..domain.balances import Balance
from ..domain.deliveries import Receipt
from ..domain.errors import Invalid
from ..domain.messages import Outcome
from ..domain.reasons import Cause, Reason
from .answers import first_at, json_of
from .base import Answer, Callback, Capabilities, Outgoing
from .declaration import OUTCOMES, Asking, Auth, Declaration, Rule
from .declared_receipts import receipts_of
from .http_adapter import HttpAdapter, retry_after_of, shown
from .placeholders import PLACEHOLDER, Values, fill, fill_tree
from .receipts import AMOUNT, content_of, parts_of
from .signatures import Signature, is_signed
from .tokens import GatewayToken
from .transport import Reply, Request

if TYPE_CHECKING:
    from ..domain.replies import Inbound

_READY_MADE = Path(__file__).parent / "declarations"
_REFERENCE = re.compile(r"[!-~]{1,100}")
_HIDDEN = "***"
_BALANCE_WITHIN = 1.5  # seconds to connect, and as many to answer; somebody waits for a page
_NOBODY = Outgoing.of("", "", "")  # asking for the balance is about no message


def ready_made() -> list[str]:
    """The names of the declarations that come with the service."""
    return sorted(file.stem for file in _READY_MADE.glob("*.json"))


@lru_cache(maxsize=8)
def read_declaration(told: str) -> Declaration:
    """The declaration with this name, or in this JSON. Raises ValueError or Invalid if there is none or it is wrong."""
    if told.lstrip().startswith("{"):
        return Declaration.parse(told)
    if told not in ready_made():
        raise ValueError(f"must be JSON, or one of {', '.join(ready_made())}: {told[:40]!r}")
    return Declaration.parse((_READY_MADE / f"{told}.json").read_text("utf-8"))


class DeclaredGateway(HttpAdapter):
    """A gateway over HTTP, described by a declaration.

    Raises ValueError, with the variable's name, if the declaration is wrong, or the address is not known.
    """

    def __init__(
        self,
        settings: Settings,
        token: GatewayToken | None = None,
        certificates: str | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        try:
            self._declaration = read_declaration(settings.gateway_declaration)
        except (ValueError, Invalid) as error:
            raise ValueError(f"GATEWAY_DECLARATION: {error}") from error
        self._account = settings.gateway_account
        self._sender = settings.gateway_sender
        self._now = now
        address = settings.gateway_url or self._declaration.url
        if not address:
            raise ValueError(f"GATEWAY_URL: must be set, because {self._declaration.name} has no address of its own")
        super().__init__(settings, token, certificates, address=address)

    def hosts(self, settings: Settings) -> frozenset[str]:
        """The hosts in the list, and the host of a declaration that comes with the service."""
        known = settings.gateway_declaration in ready_made() and self._declaration.url
        return settings.allowed_gateway_hosts | ({str(parse_url(known).host)} if known else set())

    @property
    def capabilities(self) -> Capabilities:
        """What the declaration says."""
        said = self._declaration.capabilities
        return Capabilities(
            recognises_ids=said.recognises_ids or self._recognises_ids,
            counts_parts=said.counts == "parts",
            can_be_asked=self._declaration.look_up is not None,
            gives_receipts=self._receipts and self._declaration.receipts is not None,
            tells_balance=self._declaration.balance is not None,
            has_one_address=bool(self._declaration.replies and self._declaration.replies.at_receipts),
            reply_query=urlencode(self._declaration.replies.query) if self._declaration.replies else "",
        )

    def request(self, message: Outgoing, token: str) -> Request:
        """The declaration's request, with the values of a message."""
        return self._filled(self._declaration.request, message, token)

    def _filled(self, asked: Asking, message: Outgoing, token: str) -> Request:
        values = self._values(message, token)
        query = {name: fill(template, values) for name, template in asked.query.items()}
        headers = {name: fill(template, values) for name, template in asked.headers.items()}
        body = b""
        if asked.form is not None:
            body = urlencode(fill_tree(asked.form, values)).encode()
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        elif asked.json_body is not None:
            body = json.dumps(fill_tree(asked.json_body, values)).encode()
            headers.setdefault("Content-Type", "application/json")
        if self._declaration.auth:
            _sign(self._declaration.auth, values, headers, query)
        path = PLACEHOLDER.sub(lambda found: quote(str(values.get(found[1])), safe=""), asked.path)
        return Request(f"{path}?{urlencode(query)}" if query else path, body, headers, asked.method)

    def look_up(self, message: Outgoing) -> Answer:
        """Ask as the declaration says; see Gateway."""
        asked = self._declaration.look_up
        if asked is None:
            return super().look_up(message)
        reply = self.ask(lambda token: self._filled(asked.request, message, token))
        if isinstance(reply, Cause):
            return Answer(Outcome.UNCLEAR, reply)
        rule, _ = asked.answer.first(asked.answer.rules, reply.status, asked.answer.content_of(reply.body))
        if rule is None or reply.body is None:
            return Answer(Outcome.UNCLEAR, Cause(Reason.ANSWER_NOT_DECLARED, str(reply.status)), reply.status)
        if rule.outcome == "missing":
            return Answer(Outcome.MISSING, Cause(Reason.NOT_AT_GATEWAY), reply.status)
        return Answer(Outcome.FOUND, None, reply.status)

    def balance(self) -> Balance | Cause:
        """Ask as the declaration says; see Gateway."""
        told = self._declaration.balance
        if told is None:
            return super().balance()
        reply = self.ask(lambda token: self._filled(told.request, _NOBODY, token), within=_BALANCE_WITHIN)
        if isinstance(reply, Cause):
            return reply
        found = told.read(json_of(reply.body)) if reply.status == 200 else Balance()
        return found if found.amount else Cause(Reason.ANSWER_NOT_DECLARED, str(reply.status))

    @property
    def receipt_reply(self) -> str:
        """As the declaration says."""
        return (self._declaration.receipts and self._declaration.receipts.reply) or super().receipt_reply

    def read_receipts(self, callback: Callback, now: datetime) -> list[Receipt]:
        """What the declaration makes of a callback. One with a wrong signature has none."""
        receiving = self._declaration.receipts
        if receiving is None:
            return []
        if not self._may_be_believed(receiving.signature, callback, now):
            return []
        return receipts_of(receiving, content_of(callback), now)

    def _may_be_believed(self, signature: Signature | None, callback: Callback, now: datetime) -> bool:
        """Whether a callback is signed correctly, if its gateway signs and there is a key.

        Twilio's key is the token.
        """
        if signature is None:
            return True
        key = self._token.get() if signature == "twilio" else self._token.signature()
        return is_signed(signature, callback, key, now) if key else signature != "twilio"

    @property
    def reply_answer(self) -> tuple[str, str]:
        """As the declaration says."""
        body = self._declaration.replies.answer if self._declaration.replies else ""
        return body, "text/xml" if body.startswith("<") else "text/plain"

    def read_replies(self, callback: Callback, now: datetime) -> list[Inbound]:
        """What the declaration makes of a callback. One with a wrong signature has none."""
        replying = self._declaration.replies
        if replying is None or not self._may_be_believed(replying.signature, callback, now):
            return []
        from .replies import declared_replies  # imported here because only the receiver needs it

        return declared_replies(replying, callback, now)

    def read(self, reply: Reply) -> Answer:
        """The answer by the first rule that matches; unknown if none does."""
        answer = self._declaration.answer
        content = answer.content_of(reply.body)
        rule, code = answer.first(answer.rules, reply.status, content) if reply.body is not None else (None, "")
        retry_after = retry_after_of(reply)
        if rule is None:
            cause = Cause(Reason.ANSWER_NOT_DECLARED, str(reply.status))
            return Answer(Outcome.UNKNOWN, cause, reply.status, retry_after)
        outcome = OUTCOMES[rule.outcome]
        said = str(first_at(content, answer.words)) if outcome is Outcome.BLOCKED else ""
        return Answer(
            outcome=outcome,
            cause=_cause(rule, code, reply.status),
            http_status=reply.status,
            retry_after=retry_after,
            words=said,
            reference=_matching(_REFERENCE, first_at(content, answer.reference)),
            price=_matching(AMOUNT, first_at(content, answer.price)),
            parts=parts_of(first_at(content, answer.parts)),
        )

    def shown_request(self, message: Outgoing) -> str:
        """The request line, the headers and the body."""
        request = self.request(message.masked(), _HIDDEN)
        signed = {"Authorization"} if self._declaration.auth else set()
        headers = {name: _HIDDEN if name in signed else value for name, value in request.headers.items()}
        return shown(f"{request.method} {unquote_plus(request.path)}", headers, _readable(request))

    def _values(self, message: Outgoing, token: str) -> Values:
        now, bounds = self._now(), self._declaration.validity
        left = message.valid_until - now if message.valid_until else timedelta(seconds=bounds.most)
        validity = min(max(left, timedelta(seconds=bounds.least)), timedelta(seconds=bounds.most))
        return Values(
            message=message, token=token, account=self._account, sender=self._sender, now=now, validity=validity
        )


def _sign(auth: Auth, values: Values, headers: dict[str, str], query: dict[str, str]) -> None:
    match auth.kind:
        case "bearer":
            headers["Authorization"] = f"Bearer {values.token}"
        case "basic":
            pair = f"{fill(auth.username, values)}:{values.token}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        case "header":
            headers[str(auth.name)] = fill(auth.value, values)
        case "query":
            query[str(auth.name)] = fill(auth.value, values)


def _cause(rule: Rule, code: str, status: int) -> Cause | None:
    if rule.outcome == "accepted":
        return None
    if rule.outcome == "opted_out":
        return Cause(Reason.OPTED_OUT_AT_GATEWAY)
    return Cause(Reason.GATEWAY_ANSWER, code) if code else Cause.http(status)


def _matching(pattern: re.Pattern[str], value: str | int | float) -> str:
    return str(value) if pattern.fullmatch(str(value)) else ""


def _readable(request: Request) -> Any:
    text = request.body.decode()
    if request.headers.get("Content-Type") == "application/json":
        return json.loads(text)
    return "\n".join(unquote_plus(pair) for pair in text.split("&"))
