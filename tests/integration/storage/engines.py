"""Two engines for the repositories: moto, and MiniStack inside the process, which can be made to fail."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError
from moto import mock_aws

from chalicelib.aws_clients import aws_client
from chalicelib.clock import Backoff
from chalicelib.config import Settings
from chalicelib.domain.client_ids import ClientIds
from chalicelib.domain.messages import Message
from chalicelib.storage.clients import ClientRepository
from chalicelib.storage.gateway_control import GatewayControlRepository
from chalicelib.storage.leases import LeaseRepository
from chalicelib.storage.ledger import Ledger
from chalicelib.storage.mailings import MailingRepository
from chalicelib.storage.tables import Tables, bind
from chalicelib.storage.users import UserRepository
from chalicelib.storage.walks import WalkRepository
from infra.provision import provision
from tests.factories import MailingFactory, MessageFactory
from tests.support.aws import Call, InProcessAws
from tests.support.client_ids import CLIENT_IDS
from tests.support.clocks import CountingClock
from tests.support.kept_state import set_up

SETTINGS = Settings()


@dataclass
class FaultyAws(InProcessAws):
    """Also carries out calls in part: `partly` returns what is left of a request, and what the answer says about the
    rest."""

    partly: Callable[[str, dict[str, Any]], Callable[[dict[str, Any]], None] | None] = lambda operation, body: None

    def _handle(self, service: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        request = json.loads(body)
        change = self.partly(f"{service}.{target.partition('.')[2]}", request)
        if request.get("Statements") == []:
            status, answer = 200, {"Responses": []}  # all of them are held back
        else:
            status, answer = super()._handle(service, target, json.dumps(request).encode())
        if change and status == 200:
            change(answer)
        return status, answer

    def lose_answers(self, operation: str, times: int = 1) -> None:
        """Lose the next answers to an operation after it was carried out."""

        def after(call: Call) -> None:
            nonlocal times
            if call.operation == operation and times:
                times -= 1
                raise ConnectionClosedError(endpoint_url="http://in-process.invalid")

        self.after = after

    def refuse(self, operation: str, code: str, times: int = 10**6) -> None:
        """Answer the next calls of an operation with an error."""

        def before(call: Call) -> None:
            nonlocal times
            if call.operation.startswith(operation) and times:
                times -= 1
                name = call.operation.partition(".")[2]
                raise ClientError({"Error": {"Code": code, "Message": "-"}}, name)

        self.before = before


@dataclass
class Store:
    """Every repository, on empty tables."""

    tables: Tables
    dynamodb: Any
    clock: CountingClock = field(default_factory=CountingClock)
    in_process: FaultyAws | None = None
    client_ids: ClientIds | None = CLIENT_IDS

    def __post_init__(self) -> None:
        rng = random.Random(1)
        self.backoff_rng = rng
        backoff = Backoff(self.clock, rng)
        self.clients = ClientRepository(self.tables, self.dynamodb, backoff, rng, self.client_ids)
        self.users = UserRepository(self.tables, self.dynamodb, backoff)
        self.leases = LeaseRepository(self.tables)
        self.mailings = MailingRepository(self.tables, self.dynamodb, backoff)
        self.walks = WalkRepository(self.tables)
        self.control = GatewayControlRepository(self.tables, self.dynamodb, backoff)
        self.ledger = Ledger(self.tables, self.dynamodb, backoff)

    @property
    def aws(self) -> FaultyAws:
        """The engine, if it can be made to fail."""
        assert self.in_process is not None
        return self.in_process

    def another_ledger(self) -> Ledger:
        """The ledger of another sender: the same table, with nothing remembered."""
        return Ledger(self.tables, self.dynamodb, Backoff(self.clock, random.Random(2)))

    def add_messages(self, count: int = 1, **fields: Any) -> list[Message]:
        """Add so many rows of one mailing to the ledger."""
        fields.setdefault("mailing_id", MailingFactory().mailing_id)
        messages = MessageFactory.build_batch(count, **fields)
        assert self.ledger.insert(messages) == [True] * count
        return messages

    def calls_of(self, run: Callable[[], Any]) -> list[str]:
        """The calls of AWS that a function makes."""
        before = len(self.aws.calls)
        run()
        return self.aws.calls[before:]


@lru_cache(maxsize=2)
def _connections(engine: str) -> tuple[Any, Any, Tables]:
    """Clients and models, which take half a second to make, so once for each engine."""
    dynamodb = aws_client("dynamodb")
    return dynamodb, aws_client("sqs"), bind(SETTINGS, dynamodb)


@contextmanager
def on_moto() -> Iterator[Store]:
    with mock_aws():
        dynamodb, sqs, tables = _connections("moto")
        provision(SETTINGS, dynamodb, sqs)
        yield Store(tables, dynamodb)


@contextmanager
def in_process(client_ids: ClientIds | None = CLIENT_IDS) -> Iterator[Store]:
    aws = FaultyAws()
    with aws.installed():
        dynamodb, sqs, tables = _connections("in process")
        set_up("storage", lambda: provision(SETTINGS, dynamodb, sqs))
        aws.calls.clear()
        yield Store(tables, dynamodb, in_process=aws, client_ids=client_ids)
