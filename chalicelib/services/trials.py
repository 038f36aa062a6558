"""Test messages: one message through the gateway outside of all mailings, with its request and answer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

from ..clock import SystemClock
from ..config import Settings
from ..domain.audit import Act, AuditAction, AuditObject, Change
from ..domain.clients import masked_phone
from ..domain.errors import Conflict, Invalid, TooManyRequests, Unavailable
from ..domain.faults import Fault
from ..domain.gateway_routes import shown
from ..domain.idempotency import KEY_FIELD, IdempotencyKey
from ..domain.messages import Outcome
from ..domain.reasons import Cause, Reason
from ..gateways.base import Answer, Outgoing
from ..observability import logger
from ..queues import TRIAL
from ..storage.audit import AuditLog
from ..storage.trials import TrialRepository
from .gateways import Gateways

MOST_A_MINUTE = 5  # test messages of all users
KEPT = timedelta(hours=24)  # the result of one, by the key of its request
_VALID_FOR = timedelta(minutes=5)
_CONNECT, _ANSWER = 2, 25  # seconds for a call of the sender's function; API Gateway waits for 29


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of a test message. `request` and `words` contain neither its number nor a secret."""

    message_id: str
    request: str
    outcome: Outcome
    duration_ms: int
    cause: Cause | None = None
    http_status: int | None = None
    words: str = ""
    reference: str = ""
    price: str = ""
    parts: int | None = None

    def stored(self) -> dict[str, Any]:
        """The trial as JSON."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {**values, "cause": str(self.cause or ""), "outcome": str(self.outcome)}

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Trial:
        """The trial that `stored` wrote."""
        return cls(**{**stored, "cause": Cause.parse(stored["cause"]), "outcome": Outcome(stored["outcome"])})


class Tester(Protocol):
    """Sends a test message."""

    def send(self, message_id: str, phone_number: str, text: str, gateway: str | None = None) -> Trial:
        """Send it through the gateway with this name, or the first one, and wait for the answer.

        Raises Unavailable if it could not be sent.
        """
        ...


class DirectTester:
    """Calls the gateway from this process, as the sender's function and `make run` can."""

    def __init__(self, gateways: Gateways, clock: SystemClock) -> None:
        self._gateways = gateways
        self._clock = clock

    def send(self, message_id: str, phone_number: str, text: str, gateway: str | None = None) -> Trial:
        """See Tester. Whatever happens is returned as a Trial."""
        line = self._gateways.named(gateway)
        started = self._clock.now()
        message = Outgoing.of(message_id, phone_number, text, started + _VALID_FOR)
        try:
            answer = line.gateway.send(message)
        except Exception as error:  # a broken adapter: finding it is what tests are for
            logger.exception("the gateway adapter failed", message_id=message_id)
            answer = Answer(Outcome.UNKNOWN, Cause(Reason.ADAPTER_FAILED, type(error).__name__))
        trial = Trial(
            message_id=message_id,
            request=line.gateway.shown_request(message),
            outcome=answer.outcome,
            duration_ms=(self._clock.now() - started) // timedelta(milliseconds=1),
            cause=answer.cause,
            http_status=answer.http_status,
            words=answer.words,
            reference=answer.reference,
            price=answer.price,
            parts=answer.parts,
        )
        why = trial.cause.logged if trial.cause else {}
        about = {"message_id": message_id, "outcome": str(trial.outcome), "duration_ms": trial.duration_ms}
        logger.info("test message", extra={**about, **why})
        return trial


class LambdaTester:
    """Has the sender's function call the gateway, because only it may read the token on AWS."""

    def __init__(self, function: str, make_client: Callable[[], Any]) -> None:
        self.function = function
        self._make_client = make_client
        self._client: Any = None

    def send(self, message_id: str, phone_number: str, text: str, gateway: str | None = None) -> Trial:
        """See Tester. If the function does not answer, it is not known whether the message was sent."""
        self._client = self._client or self._make_client()
        event = {TRIAL: {"message_id": message_id, "phone_number": phone_number, "text": text, "gateway": gateway}}
        unheard = Trial(
            message_id=message_id,
            request="",
            outcome=Outcome.UNKNOWN,
            duration_ms=0,
            cause=Cause(Reason.SENDER_STOPPED),
        )
        try:
            answer = self._client.invoke(FunctionName=self.function, Payload=json.dumps(event).encode())
            content = answer["Payload"].read()
        except (ClientError, ConnectTimeoutError, EndpointConnectionError) as error:
            raise Unavailable(f"the sender's function: {type(error).__name__}") from error
        except BotoCoreError as error:
            logger.warning("no answer from the sender's function", message_id=message_id, error=type(error).__name__)
            return unheard
        if answer.get("FunctionError"):
            logger.error("the sender's function failed", message_id=message_id)
            return unheard
        return Trial.of(json.loads(content))


def choose_tester(settings: Settings, gateways: Gateways, clock: SystemClock) -> Tester:
    """The tester to use: on AWS it has the sender's function send, elsewhere this process does."""
    if settings.function in ("", "sender"):
        return DirectTester(gateways, clock)
    return LambdaTester(f"{settings.resource_prefix}-sender", _lambda_client)


def _lambda_client() -> Any:
    # One try, because a repeated call would send the message twice.
    once = {"mode": "standard", "total_max_attempts": 1}
    config = Config(connect_timeout=_CONNECT, read_timeout=_ANSWER, retries=once)
    return botocore.session.get_session().create_client("lambda", config=config)


class TrialService:
    """Sends a few test messages a minute. They ignore paces and circuits, and are not in the ledger."""

    def __init__(self, trials: TrialRepository, tester: Tester, clock: SystemClock, audit: AuditLog) -> None:
        self._trials = trials
        self._tester = tester
        self._clock = clock
        self._audit = audit

    def send(self, phone_number: str, text: str, by: str, key: str | None = None, gateway: str | None = None) -> Trial:
        """Send a test message, even if sending is paused.

        A request repeated with the same key sends nothing and gets the same answer. Raises Invalid if the key was used
        for another message, Conflict if the first result is not known, TooManyRequests after MOST_A_MINUTE, and
        Unavailable if it could not be sent.
        """
        now = self._clock.now()
        request = IdempotencyKey.of(key, by, f"{phone_number}\n{gateway or ''}\n{text}") if key is not None else None
        if request and (earlier := self._trials.find(request, now)):
            if earlier.fingerprint != request.fingerprint:
                raise Invalid.of(KEY_FIELD, Fault.KEY_USED)
            if not earlier.result:
                raise Conflict(Fault.TRIAL_UNHEARD)
            return Trial.of(json.loads(earlier.result))
        if not self._trials.count(now, MOST_A_MINUTE):
            raise TooManyRequests(Fault.TOO_MANY_TRIALS, 60 - now.second)
        if request and not self._trials.begin(request, now, now + KEPT):
            raise Conflict(Fault.TRIAL_UNHEARD)  # at the same time
        try:
            trial = self._tester.send(f"test-{secrets.token_hex(8)}", phone_number, text, gateway)
        except Unavailable:
            if request:
                self._trials.forget(request, now)
            raise
        if request:
            self._trials.end(request, json.dumps(trial.stored()))
        name = shown(gateway or "")
        to = Change("phone_number", None, masked_phone(phone_number))
        self._audit.put(
            Act(action=AuditAction.SENT, object=AuditObject.GATEWAY, object_id=name, name=name, changes=(to,), count=1)
        )
        return trial
