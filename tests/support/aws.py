"""DynamoDB and SQS inside the test's own process: MiniStack's handlers without a server or a socket.

moto, which serves the other tests, has no PartiQL with parameters. Every call passes `before` and `after`, so that a
test can let it fail, lose its answer, or stop the caller at exactly that point.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": "http://in-process.invalid",
    "AWS_EC2_METADATA_DISABLED": "true",
    "SERVICES": "dynamodb,sqs",
    "LOG_LEVEL": "WARNING",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of AWS, such as `dynamodb.Query`; `number` counts from 1 over the life of the fake."""

    number: int
    operation: str
    body: bytes


@dataclass
class InProcessAws:
    """Answers every botocore client of this process while `installed`."""

    before: Callable[[Call], None] = lambda call: None
    after: Callable[[Call], None] = lambda call: None
    queues_changed: Callable[[], None] = lambda: None
    calls: list[str] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Carry out one request as botocore's HTTP session would."""
        target = request.headers["X-Amz-Target"]
        target = target.decode() if isinstance(target, bytes) else target
        service = "sqs" if target.startswith("AmazonSQS") else "dynamodb"
        raw = request.body or b""
        body = raw.encode() if isinstance(raw, str) else raw
        call = Call(len(self.calls) + 1, f"{service}.{target.rpartition('.')[2]}", body)
        self.calls.append(call.operation)
        self.before(call)
        status, headers, content = self._handle(service, request, target, body)
        if service == "sqs":
            self.queues_changed()
        self.after(call)
        response = AWSResponse(request.url, status, headers, _Raw(content))
        return response

    def _handle(self, service: str, request: AWSPreparedRequest, target: str, body: bytes) -> tuple[int, Any, bytes]:
        from ministack.services import dynamodb, sqs

        handler = {"dynamodb": dynamodb, "sqs": sqs}[service].handle_request
        headers = {"x-amz-target": target, "host": "in-process.invalid"}
        answer = self._loop.run_until_complete(handler("POST", urlsplit(request.url).path, headers, body, {}))
        status, answer_headers, content = answer[:3]
        return status, answer_headers, content if isinstance(content, bytes) else content.encode()

    @contextmanager
    def installed(self) -> Iterator[InProcessAws]:
        """Answer all clients made meanwhile, from empty tables and queues."""
        from ministack.services import dynamodb, sqs

        dynamodb.reset()
        sqs.reset()
        with (
            mock.patch.dict(os.environ, ENVIRONMENT),
            mock.patch.object(URLLib3Session, "send", lambda session, request: self.send(request)),
        ):
            try:
                yield self
            finally:
                self._loop.close()


class _Raw(io.BytesIO):
    """What botocore wants to read an answer from."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.read()


def client(name: str) -> Any:
    """A botocore client of a service."""
    return botocore.session.get_session().create_client(name)
