"""AWS stubbed below botocore, and a stopwatch that stops meanwhile, to measure the service's own CPU time.

botocore's serialising, signing and parsing are at work; sockets and TLS are not.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.endpoint import Endpoint
from ministack.services import dynamodb, sqs

from tests.support.aws import ENVIRONMENT, Call, InProcessAws, nothing_reaped

_OPERATIONS = {"dynamodb": "dynamodb", "sqs": "sqs", "queue": "sqs"}


@dataclass
class Stopwatch:
    """CPU seconds of one thread, by the task at work, of which there may be several in turns."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    label: str = ""
    _since: float = 0.0

    @contextmanager
    def running_for(self, label: str) -> Iterator[None]:
        """Count the time from here on for a task; "" for none."""
        self._charge()
        before, self.label = self.label, label
        try:
            yield
        finally:
            self._charge()
            self.label = before

    def _charge(self) -> None:
        now = time.thread_time()
        if self.label:
            self.seconds[self.label] += now - self._since
        self._since = now


@dataclass
class StubbedAws(InProcessAws):  # type: ignore[misc]
    """The emulator's handlers in the place of the connection."""

    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    answering: float = 0.0  # CPU seconds of answers, by whichever thread
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def _answer(self, endpoint: Endpoint, request: AWSPreparedRequest) -> AWSResponse:
        with self.stopwatch.running_for(""):
            target = request.headers["X-Amz-Target"]
            target = target.decode() if isinstance(target, bytes) else target
            service = _OPERATIONS[endpoint._endpoint_prefix]
            call = Call(len(self.calls) + 1, f"{service}.{target.rpartition('.')[2]}", request.body)
            self.calls.append(call.operation)
            self.before(call)
            # Threads wait for each other here. Tasks that take turns in one thread do so before and after, not in here:
            # one that finds the lock taken would wait for ever.
            with self._turn:
                began = time.thread_time()
                status, answer = self._handle(service, target, request.body)
                response = AWSResponse(request.url, status, {}, None)
                response._content = json.dumps(answer).encode()
                self.answering += time.thread_time() - began
            if service == "sqs":
                self.queues_changed()
            self.after(call)
            return response

    @contextmanager
    def installed(self) -> Iterator[InProcessAws]:
        """Answer all clients of this process meanwhile, from empty tables and queues."""
        dynamodb.reset()
        sqs.reset()
        stubbed: Any = lambda endpoint, request: self._answer(endpoint, request)  # noqa: E731
        with mock.patch.dict(os.environ, ENVIRONMENT), mock.patch.object(Endpoint, "_send", stubbed), nothing_reaped():
            yield self
