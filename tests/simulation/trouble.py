"""What goes wrong in the simulation: with the cloud, its tables and queues, and with the gateway."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways import http
from chalicelib.gateways.base import Answer
from chalicelib.gateways.http_adapter import answer_of_status
from chalicelib.gateways.transport import Reply
from tests.support.aws import Call
from tests.support.capacity import Capacity
from tests.support.scheduler import Crash
from tests.support.simulation import Simulation

PEOPLE = "people"  # begins the name of a task that is none of the service's
MANY = 200  # messages on a queue, which are not repeated any more
READ_TIMEOUT = 10.0  # seconds that a client of DynamoDB waits for an answer (chalicelib/aws_clients.py)
# How likely each fault is at a call of AWS: no connection, no answer after it was carried out, the worker's end, a slow
# answer; and at a batch of hints that its messages come twice.
NO_FAULTS = {"error": 0.0, "lost": 0.0, "crash": 0.0, "slow": 0.0, "twice": 0.0}
# Seconds that a call of the gateway takes: quick, around the limit of 2 s, above it for everybody.
QUICK, NEAR_THE_LIMIT, BEYOND_IT = (0.005, 0.05), (1.0, 3.0), (2.5, 4.0)
HANG = Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
# The ledger of a new table scaled down to the simulation's mailings, to 20 writes a second a partition, or 5. What the
# other tables are asked for is less, but not in one transaction: a launch writes twenty items at one key.
SCARCE = {"plenty": None, "20": Capacity(4, 20, 60, 800, 800), "5": Capacity(4, 5, 15, 200, 200)}


def answer_to(status: int, retry_after: float | None = None) -> Answer:
    """What the service's own adapter makes of an HTTP status."""
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    reply = Reply(status, headers, b'{"code": 0}')
    return http._answer_of_body(reply.body) if status == 200 else answer_of_status(reply)


ANSWERS: dict[str, Answer] = {
    "ok": answer_to(200),
    "500": answer_to(500),
    "429": answer_to(429),
    "429 later": answer_to(429, 11),
    "refused": answer_to(400),
    "hang": HANG,
}
ACCOUNT = (401, 402, 403, 404)


@dataclass
class Trouble:
    """The faults that are on, drawn from a seed at each call."""

    simulation: Simulation
    rng: random.Random
    faults: dict[str, float] = field(default_factory=lambda: dict(NO_FAULTS))
    answers: dict[str, float] = field(default_factory=lambda: {"ok": 1.0})
    latency: tuple[float, float] = QUICK
    connecting: tuple[float, float] = (0.0, 0.0)
    aws_takes: float = 0.0  # seconds that a call of AWS takes at most while nothing is wrong

    def install(self) -> None:
        """Let the simulation's calls meet this trouble; the test's own do not."""
        self.simulation.aws.before, self.simulation.aws.after = self._before, self._after
        self.simulation.limits.spared = lambda: not self._in_worker()
        gateway = self.simulation.gateway
        gateway.script = self._answer
        gateway.latencies = lambda: self.rng.uniform(*self.latency)
        gateway.connecting = lambda: self.rng.uniform(*self.connecting)

    def heal(self) -> None:
        """Let everything work again."""
        self.faults, self.answers = dict(NO_FAULTS), {"ok": 1.0}
        self.latency, self.connecting = QUICK, (0.0, 0.0)
        self.tables(None, conflicts=False, unprocessed=0.0)
        for gateway in (self.simulation.gateway, self.simulation.other):
            if gateway:
                gateway.everybody = gateway.capacity = None
                gateway.down = False

    def tables(self, capacity: Capacity | None, *, conflicts: bool, unprocessed: float) -> None:
        """Let tables take so much, transactions get in each other's way, and batches of reads be left in part."""
        limits = self.simulation.limits
        if capacity:
            limits.limit(Capacity(4, 100, 300), messages=capacity)
        else:
            limits.limit(None)
        limits.unprocessed = unprocessed
        limits.transaction_takes = (lambda: self.rng.uniform(0.001, 0.02)) if conflicts else None

    # -- AWS

    def _in_worker(self) -> bool:
        task = self.simulation.scheduler.current
        return task is not None and not task.name.startswith(PEOPLE)

    def _strikes(self, fault: str) -> bool:
        return bool(self.faults[fault]) and self.rng.random() < self.faults[fault]

    def _before(self, call: Call) -> None:
        self.simulation.scheduler.io_point()
        if self._in_worker():
            if self.aws_takes:
                self.simulation.clock.sleep(self.rng.uniform(0, self.aws_takes))
            if self._strikes("crash"):
                raise Crash
            if self._strikes("error"):
                raise ConnectionClosedError(endpoint_url="fault")
            if self._strikes("slow"):
                self._wait_for_answer()

    def _wait_for_answer(self) -> None:
        """Mostly some tenths of a second; sometimes longer than the client waits."""
        takes = self.rng.expovariate(3.0) if self.rng.random() < 0.9 else 2 * READ_TIMEOUT
        self.simulation.clock.sleep(min(takes, READ_TIMEOUT))
        if takes > READ_TIMEOUT:
            raise ReadTimeoutError(endpoint_url="no answer")

    def _after(self, call: Call) -> None:
        if call.operation == "sqs.SendMessageBatch" and self._strikes("twice"):
            self.repeat("send")
            self.repeat("dispatch")
        if self._in_worker():
            if self._strikes("lost"):
                raise ConnectionClosedError(endpoint_url="answer lost")
            if self._strikes("crash"):
                raise Crash
        self.simulation.scheduler.io_point()

    # -- the gateway

    def _answer(self, gateway_id: int, nth: int) -> Answer:
        if self._strikes("crash"):
            raise Crash
        names, weights = list(self.answers), list(self.answers.values())
        return ANSWERS[self.rng.choices(names, weights)[0]]

    # -- queues

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """What is on the send queue or the dispatch queue."""
        return self.simulation.queue(f"{self.simulation.settings.resource_prefix}-{queue}")

    def lose(self, queue: str) -> None:
        """Let some messages disappear."""
        self.keep(queue, lambda: self.rng.random() < 0.7)

    def keep(self, queue: str, wanted: Callable[[], bool]) -> None:
        messages = self.messages(queue)
        messages[:] = [message for message in messages if wanted()]

    def repeat(self, queue: str) -> None:
        """Let some messages come twice, beside each other, where two workers meet."""
        messages = self.messages(queue)
        if len(messages) < MANY:
            messages[:] = [
                twin
                for message in messages
                for twin in (message, message | {"id": f"copy-{self.rng.random()}", "receipt_handle": None})
                if twin is message or self.rng.random() < 0.3
            ]

    def shuffle(self, queue: str) -> None:
        """Let messages come in another order."""
        self.rng.shuffle(self.messages(queue))

    def delay(self, queue: str) -> None:
        """Let some messages come later."""
        for message in self.messages(queue):
            message["visible_at"] += self.rng.choice((0, 0, 1, 30))
