"""Made-up clients, mailings, messages and users, as the domain and as the API's callers have them; all are valid.

Random values follow from `seed_factories`; numbers that must be unique are counted.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import factory
import factory.random
from factory.fuzzy import FuzzyChoice, FuzzyInteger, FuzzyText

from chalicelib.domain.clients import Client, operator_of
from chalicelib.domain.gateway_control import GatewayControl
from chalicelib.domain.mailings import Mailing, ShardProgress
from chalicelib.domain.messages import Attempt, Message, Outcome, message_id_for
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.segments import Segment
from chalicelib.domain.statuses import MailingStatus, MessageStatus
from chalicelib.domain.users import Role, Token, User
from chalicelib.gateways.base import Outgoing
from tests.support.client_ids import client_id_for

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # where the tests' clocks begin
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # what a ULID is written in


def seed_factories(seed: int) -> None:
    """Let the factories draw the same values again."""
    factory.random.reseed_random(seed)


# -- what the API takes


class ClientBodyFactory(factory.DictFactory):
    """The body that creates a client, with a unique number."""

    phone_number = factory.Sequence(lambda number: f"+7916{number:07d}")
    operator = "916"
    tag = "vip"
    timezone = "Europe/Moscow"


class MailingBodyFactory(factory.DictFactory):
    """The body that orders a mailing whose window is open for an hour from now on."""

    class Params:
        starts_in = timedelta(0)
        lasts = timedelta(hours=1)

    text = factory.Sequence(lambda number: f"Hello {number}")
    clients = factory.LazyFunction(lambda: {"tag": "vip"})
    start_time = factory.LazyAttribute(lambda made: (START + made.starts_in).isoformat())
    end_time = factory.LazyAttribute(lambda made: (START + made.starts_in + made.lasts).isoformat())


class UserBodyFactory(factory.DictFactory):
    """The body that creates an operator."""

    username = factory.Sequence(lambda number: f"user{number}")
    password = factory.Sequence(lambda number: f"a long password {number}")
    role = "operator"


# -- what the domain has


class ClientFactory(factory.Factory[Client]):
    """A client of the directory, with a unique number."""

    class Meta:
        model = Client

    class Params:
        tag = "vip"

    phone_number = factory.Sequence(lambda number: f"+79{10 + number % 90:02d}{number:07d}")
    client_id = factory.LazyAttribute(lambda made: client_id_for(made.phone_number))
    operator = factory.LazyAttribute(lambda made: operator_of(made.phone_number))
    tags = factory.LazyAttribute(lambda made: (made.tag,) if made.tag else ())
    timezone = FuzzyChoice(["UTC", "Europe/Moscow", "Asia/Vladivostok", "America/New_York"])
    opted_out = False
    created_at = START
    updated_at = factory.SelfAttribute("created_at")


class MailingFactory(factory.Factory[Mailing]):
    """A mailing to everybody that is scheduled for now and open for an hour."""

    class Meta:
        model = Mailing

    mailing_id = FuzzyText(length=26, chars=_CROCKFORD)
    text = factory.Sequence(lambda number: f"Hello {number}")
    segment = Segment()
    start_at = START
    end_at = factory.LazyAttribute(lambda made: made.start_at + timedelta(hours=1))
    status = MailingStatus.SCHEDULED
    revision = 1
    created_at = START
    updated_at = factory.SelfAttribute("created_at")
    created_by = "anna"


class ShardProgressFactory(factory.Factory[ShardProgress]):
    """A shard that has not been expanded yet."""

    class Meta:
        model = ShardProgress

    shard = "00"


class AttemptFactory(factory.Factory[Attempt]):
    """A call that the gateway accepted; `failed` and `unknown` make others."""

    class Meta:
        model = Attempt

    class Params:
        failed = factory.Trait(outcome=Outcome.FAILED, cause=Cause.http(503), http_status=503)
        refused = factory.Trait(outcome=Outcome.REFUSED, cause=Cause.http(400), http_status=400)
        unknown = factory.Trait(outcome=Outcome.UNKNOWN, cause=Cause(Reason.NO_ANSWER), http_status=None)

    at = START
    duration_ms = FuzzyInteger(1, 8000)
    outcome = Outcome.ACCEPTED
    http_status: Any = 200


class MessageFactory(factory.Factory[Message]):
    """A queued row of the ledger, with a mailing and a client of its own."""

    class Meta:
        model = Message

    class Params:
        client = factory.SubFactory(ClientFactory)

    mailing_id = FuzzyText(length=26, chars=_CROCKFORD)
    client_id = factory.LazyAttribute(lambda made: made.client.client_id)
    phone_number = factory.LazyAttribute(lambda made: made.client.phone_number)
    timezone = factory.LazyAttribute(lambda made: made.client.timezone)
    status = MessageStatus.QUEUED
    revision = 1
    created_at = START
    updated_at = factory.SelfAttribute("created_at")


class UserFactory(factory.Factory[User]):
    """An operator; nobody knows the password."""

    class Meta:
        model = User

    username = factory.Sequence(lambda number: f"user{number:04d}")
    role = Role.OPERATOR
    password_hash = "no hash at all"
    created_at = START
    updated_at = factory.SelfAttribute("created_at")
    tokens_since = factory.SelfAttribute("created_at")


class TokenFactory(factory.Factory[Token]):
    """An access token, good for a day."""

    class Meta:
        model = Token

    token_id = FuzzyText(length=8)
    token_hash = FuzzyText(length=64, chars="0123456789abcdef")
    username = factory.Sequence(lambda number: f"user{number:04d}")
    created_at = START
    expires_at = factory.LazyAttribute(lambda made: made.created_at + timedelta(days=1))
    name = "laptop"


class GatewayControlFactory(factory.Factory[GatewayControl]):
    """The control of a gateway as an operator has set it once: closed, 50 messages a second."""

    class Meta:
        model = GatewayControl

    rate = 50
    revision = 1
    changed_by = "anna"
    changed_at = START


def outgoing(gateway_id: int = 7, phone_number: str = "+79161234567", text: str = "Hello") -> Outgoing:
    """A message as a gateway gets it; `gateway_id` is the number by which the gateway knows it."""
    return Outgoing(message_id_for("01KHPKQZ4W3M8V0B5N7C2D9E6F", f"c{gateway_id}"), gateway_id, phone_number, text)
