"""DynamoDB and SQS inside the test's own process: MiniStack's handlers without a server or a socket.

moto, which other tests use, has no PartiQL with parameters. Every call goes through `before` and `after`, so that a
test can make it fail, lose its answer, or stop the caller at exactly that point. Calls are intercepted below boto3 and
PynamoDB, but above botocore's serialising and signing, which take nearly all of their time.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from botocore.client import BaseClient

from chalicelib.aws_calls import ShortCalls
from infra.local import ministack_patches
from infra.local.quick_json import dumps, loads
from tests.support.botocore_retries import Retries

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
    # botocore's waits between retries, their random source, and the process that its tries are counted for.
    wait: Callable[[float], None] = lambda seconds: None
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    caller: Callable[[], str] = lambda: ""
    calls: list[str] = field(default_factory=list)
    _retries: dict[tuple[str, int], Retries] = field(default_factory=dict)

    def call(self, client: BaseClient, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one call as botocore does, with its retries."""
        key = self.caller(), id(client)
        if key not in self._retries:
            self._retries[key] = Retries(client.meta.config.retries["total_max_attempts"], self.rng.random)
        return self._retries[key].carry_out(
            client.meta.service_model.operation_model(operation),
            lambda: self._send(client, operation, request),
            self.wait,
        )

    def _send(self, client: BaseClient, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        model = client.meta.service_model
        body = dumps(request)
        call = Call(len(self.calls) + 1, f"{model.service_name}.{operation}", body)
        self.calls.append(call.operation)
        self.before(call)
        status, answer = self._handle(model.service_name, f"{model.metadata.get('targetPrefix')}.{operation}", body)
        if model.service_name == "sqs":
            self.queues_changed()
        self.after(call)
        answer["ResponseMetadata"] = {"HTTPStatusCode": status, "RetryAttempts": 0, "HTTPHeaders": {}, "RequestId": "-"}
        if status < 300:
            return answer
        code = answer.pop("__type").rpartition("#")[2]
        answer["Error"] = {"Code": code, "Message": answer.get("message") or answer.get("Message", "")}
        raise client.exceptions.from_code(code)(answer, operation)

    def _handle(self, service: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        from ministack.services import dynamodb, sqs

        if service == "sesv2":
            return 200, {"MessageId": "in-process"}
        handler = {"dynamodb": dynamodb, "sqs": sqs}[service].handle_request
        headers = {"x-amz-target": target, "host": "in-process.invalid"}
        status, _, content = self._answered(handler("POST", "/", headers, body, {}))[:3]
        return status, loads(content or b"{}")

    @staticmethod
    def _answered(handling: Coroutine[Any, Any, Any]) -> Any:
        """The answer of a handler. It needs no event loop, because it waits for nothing, except for a long poll."""
        try:
            handling.send(None)
        except StopIteration as ended:
            return ended.value
        raise AssertionError("a call waits in the emulator: give a poll no WaitTimeSeconds")

    @contextmanager
    def installed(self) -> Iterator[InProcessAws]:
        """Answer all clients made meanwhile, from empty tables and queues."""
        from ministack.services import dynamodb, sqs

        ministack_patches.install(reads=False, queues=False)  # as in `make run`: a third of the time
        dynamodb.reset()
        sqs.reset()
        with (
            mock.patch.dict(os.environ, ENVIRONMENT),
            mock.patch.object(BaseClient, "_make_api_call", lambda client, *call: self.call(client, *call)),
            mock.patch.object(ShortCalls, "call", lambda calls, *call: self.call(calls.client, *call)),
            nothing_reaped(),
        ):
            yield self


@contextmanager
def nothing_reaped() -> Iterator[None]:
    """Switch off MiniStack's reaper, which would remove items of tests, because they are expired by the machine's
    clock.
    """
    from ministack.services import dynamodb

    class Unreaped(type(dynamodb._ttl_settings)):
        def all_items(self) -> list[Any]:
            return []

    with mock.patch.object(dynamodb, "_ttl_settings", Unreaped()):
        yield
