"""The external gateway on the virtual clock, with the adapter's time limits: it answers as the test says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chalicelib.domain.clients import masked_phone
from chalicelib.domain.deliveries import Receipt
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.replies import Inbound
from chalicelib.gateways.base import EMPTY_ANSWER, Answer, Callback, Capabilities, Outgoing
from chalicelib.gateways.http import receipts_in
from chalicelib.gateways.replies import replies_in
from tests.support.scheduler import VirtualClock

OK = Answer(Outcome.ACCEPTED)
NO_ANSWER = Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
TOO_MANY = Answer(Outcome.THROTTLED, Cause.http(429), 429)
NOT_KNOWN = Answer(Outcome.MISSING, Cause(Reason.NOT_AT_GATEWAY))
NO_CONNECTION = Answer(Outcome.FAILED, Cause(Reason.NO_CONNECTION))


@dataclass(frozen=True, slots=True)
class GatewayCall:
    """One call that reached the gateway: what the gateway did, and what its caller learned.

    `received` says that the person got a text message for it; a gateway that recognises ids sends none for a repeated
    call.
    """

    at: datetime
    gateway_id: int
    phone_number: str
    text: str
    outcome: Outcome
    answered: Outcome
    received: bool = False
    gateway: str = ""  # of several the one that was called


@dataclass
class ScriptedGateway:
    """Answers as the test says, and keeps its own log: clients got what it accepted.

    `script` returns, for an id and the number of its call, what the gateway does. `everybody` is the answer to all
    calls while it is set. The adapter gives up a call that takes longer than `read_limit` and does not know its
    outcome, while the gateway did what it did. Times are in seconds.
    """

    clock: VirtualClock
    name: str = ""
    script: Callable[[int, int], Answer] = lambda gateway_id, nth: OK
    latency: timedelta = timedelta(milliseconds=20)
    # What one call takes, if calls differ; `latency` if there is none.
    latencies: Callable[[], float] | None = None
    # What name, connection and handshake take before anything is sent; a new connection is not made for each call.
    connecting: Callable[[], float] = lambda: 0.0
    connect_limit: float = 0.2
    read_limit: float = 2.0
    recognises_ids: bool = False
    # What it says of itself, true or not.
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(recognises_ids=True))
    # What it says when it is asked about a message, if it does not tell the truth.
    asked: Callable[[int, int], Answer] | None = None
    questions: list[tuple[datetime, int]] = field(default_factory=list)
    everybody: Answer | None = None
    down: bool = False  # nobody can connect
    # Accepted calls in a second; the others get `over_capacity`.
    capacity: int | None = None
    over_capacity: Answer = TOO_MANY
    log: list[GatewayCall] = field(default_factory=list)
    # Ids that were called while another call for them was still going on: two senders at once.
    overlaps: list[int] = field(default_factory=list)
    # How often sending of each id was tried, with or without a connection.
    tried: Counter[int] = field(default_factory=Counter)
    _calls: Counter[int] = field(default_factory=Counter)
    _taken: Counter[datetime] = field(default_factory=Counter)
    _received: set[int] = field(default_factory=set)
    _ongoing: set[int] = field(default_factory=set)

    receipt_reply: str = ""

    def read_receipts(self, callback: Callback, now: datetime) -> list[Receipt]:
        """As those of the kind http."""
        return receipts_in(callback, now)

    reply_answer: tuple[str, str] = EMPTY_ANSWER

    def read_replies(self, callback: Callback, now: datetime) -> list[Inbound]:
        """As those of the kind http."""
        return replies_in(callback, now)

    def send(self, message: Outgoing, last_look: Callable[[], None] = lambda: None) -> Answer:
        """What the adapter answers; what `last_look` raises is the caller's."""
        self.tried[message.gateway_id] += 1
        if self.down:
            return NO_CONNECTION
        connecting = self.connecting()
        if connecting:
            self.clock.sleep(min(connecting, self.connect_limit))
            if connecting > self.connect_limit:
                return NO_CONNECTION
        last_look()
        if self.clock.scheduler:
            self.clock.scheduler.check()
        return self._hear(message.gateway_id, message.phone_number, message.text)

    def _hear(self, gateway_id: int, phone_number: str, text: str) -> Answer:
        self._calls[gateway_id] += 1
        answer = self._judge(gateway_id)
        latency = self.latencies() if self.latencies else self.latency.total_seconds()
        heard = answer if latency <= self.read_limit else NO_ANSWER
        received = answer.outcome is Outcome.ACCEPTED and not (self.recognises_ids and gateway_id in self._received)
        if received:
            self._received.add(gateway_id)
        now = self.clock.now()
        self.log.append(
            GatewayCall(now, gateway_id, phone_number, text, answer.outcome, heard.outcome, received, self.name)
        )
        if gateway_id in self._ongoing:
            self.overlaps.append(gateway_id)
        self._ongoing.add(gateway_id)
        try:
            self.clock.sleep(min(latency, self.read_limit))
        finally:
            self._ongoing.discard(gateway_id)
        return heard

    def _judge(self, gateway_id: int) -> Answer:
        if self.everybody:
            return self.everybody
        second = self.clock.now().replace(microsecond=0)
        if self.capacity is not None and self._taken[second] >= self.capacity:
            return self.over_capacity
        answer = self.script(gateway_id, self._calls[gateway_id])
        if answer.outcome is Outcome.ACCEPTED:
            self._taken[second] += 1
        return answer

    def look_up(self, message: Outgoing) -> Answer:
        """Whether a person got the message."""
        self.questions.append((self.clock.now(), message.gateway_id))
        nth = sum(gateway_id == message.gateway_id for _, gateway_id in self.questions)
        known = Answer(Outcome.FOUND) if message.gateway_id in self._received else NOT_KNOWN
        answer = self.asked(message.gateway_id, nth) if self.asked else known
        self.clock.sleep(self.latency.total_seconds())
        return answer

    def shown_request(self, message: Outgoing) -> str:
        return f"scripted {message.gateway_id} {masked_phone(message.phone_number)} {message.text}"

    def calls(self) -> Counter[int]:
        """How often each id was called."""
        return Counter(call.gateway_id for call in self.log)

    def accepted(self) -> Counter[int]:
        """How often each id was accepted."""
        return Counter(call.gateway_id for call in self.log if call.outcome is Outcome.ACCEPTED)

    def received(self) -> Counter[tuple[str, str]]:
        """How many text messages people got, by their number and the text."""
        return Counter((call.phone_number, call.text) for call in self.log if call.received)


def beside(first: ScriptedGateway, name: str) -> ScriptedGateway:
    """Another gateway that does as the first one does, unless it is told otherwise. They write into one log, so that
    who got a message twice can be seen; neither knows what the other has accepted.
    """
    return ScriptedGateway(
        first.clock,
        name,
        script=lambda gateway_id, nth: first.script(gateway_id, nth),
        latencies=lambda: first.latencies() if first.latencies else first.latency.total_seconds(),
        connecting=lambda: first.connecting(),
        connect_limit=first.connect_limit,
        read_limit=first.read_limit,
        recognises_ids=first.recognises_ids,
        capabilities=first.capabilities,
        questions=first.questions,
        log=first.log,
        overlaps=first.overlaps,
        tried=first.tried,
        _calls=first._calls,
        _ongoing=first._ongoing,
    )
