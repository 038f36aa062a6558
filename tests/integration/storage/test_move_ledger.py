"""The ledger of an earlier version, with a row for each message, is moved into buckets, whatever fails on the way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.domain.buckets import Division
from chalicelib.domain.client_ids import shard_of
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import Attempt, Message
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.statuses import MailingStatus, MessageStatus
from chalicelib.storage.dynamodb import Item
from chalicelib.storage.moments import to_ms
from infra.move_ledger import move
from tests.factories import START, AttemptFactory, MailingFactory, MessageFactory
from tests.integration.storage.engines import SETTINGS, Store

SECOND = timedelta(seconds=1)
OLD_TABLE = f"{SETTINGS.resource_prefix}-messages"


def old_table(store: Store) -> None:
    """The table as the earlier version created it."""
    keys = [{"AttributeName": "ledger_key", "KeyType": "HASH"}, {"AttributeName": "client_id", "KeyType": "RANGE"}]
    store.dynamodb.create_table(
        TableName=OLD_TABLE,
        KeySchema=keys,
        AttributeDefinitions=[{"AttributeName": one["AttributeName"], "AttributeType": "S"} for one in keys],
        BillingMode="PAY_PER_REQUEST",
    )


def old_row(message: Message, **sentences: str) -> Item:
    """The row that the earlier version wrote for a message; `reason` as a sentence, if there is one."""
    ledger_key = f"{message.mailing_id}#{shard_of(message.client_id)}"
    row: Item = {
        "ledger_key": {"S": ledger_key},
        "client_id": {"S": message.client_id},
        "status": {"S": str(message.status)},
        "revision": {"N": str(message.revision)},
        "phone_number": {"S": message.phone_number},
        "timezone": {"S": message.timezone},
    }
    for name in ("created_at", "updated_at", "lease_until", "retry_at", "due_at", "sent_at"):
        if moment := getattr(message, name):
            row[name] = {"N": str(to_ms(moment))}
    for name in ("claim", "reason"):
        if text := sentences.get(name) or (message.claim if name == "claim" else str(message.cause or "")):
            row[name] = {"S": text}
    if message.hinted:
        row["hinted"] = {"BOOL": True}
    if message.forgiven:
        row["forgiven"] = {"N": str(message.forgiven)}
    if message.attempts:
        row["attempts"] = {"L": [old_attempt(attempt) for attempt in message.attempts]}
    return row


def old_attempt(attempt: Attempt) -> dict[str, Any]:
    value: dict[str, Any] = {
        "at": {"N": str(to_ms(attempt.at))},
        "ms": {"N": str(attempt.duration_ms)},
        "outcome": {"S": str(attempt.outcome)},
    }
    if attempt.cause:
        value["reason"] = {"S": str(attempt.cause)}
    if attempt.http_status:
        value["http"] = {"N": str(attempt.http_status)}
    return {"M": value}


def old_mailing(store: Store, *rows: Item) -> Mailing:
    """A running mailing with its rows, as the earlier version stored it."""
    mailing = MailingFactory(status=MailingStatus.RUNNING, launched_at=START)
    store.mailings.create(mailing)
    key = {"mailing_id": {"S": mailing.mailing_id}, "part": {"S": "META"}}
    store.dynamodb.update_item(TableName=SETTINGS.mailings_table, Key=key, UpdateExpression="REMOVE buckets")
    for row in rows:
        shard = row["ledger_key"]["S"].partition("#")[2]
        moved = row | {"ledger_key": {"S": f"{mailing.mailing_id}#{shard}"}}
        store.dynamodb.put_item(TableName=OLD_TABLE, Item=moved)
    return mailing


def test_messages_are_moved_as_they_were(faulty: Store) -> None:
    """Every field of every message, in as many buckets as they need."""
    old_table(faulty)
    attempts = (AttemptFactory(unknown=True), AttemptFactory(failed=True))
    some = MessageFactory.build_batch(400, status=MessageStatus.SENT, sent_at=START + SECOND, attempts=attempts[1:])
    waiting = MessageFactory(
        status=MessageStatus.WAITING,
        revision=7,
        due_at=START + 4 * SECOND,
        retry_at=START + 3 * SECOND,
        lease_until=START + 2 * SECOND,
        cause=Cause(Reason.RATE_LIMIT),
        attempts=attempts,
        claim="a",
        hinted=True,
        forgiven=2,
    )
    messages = [*some, waiting]
    mailing = old_mailing(faulty, *map(old_row, messages))
    said: list[str] = []
    assert move(SETTINGS, faulty.dynamodb, said.append) == 401
    assert len(said) == 1
    assert faulty.mailings.get(mailing.mailing_id).division == Division(16, 4)
    keys = [(mailing.mailing_id, message.client_id) for message in messages]
    assert faulty.ledger.read(keys) == {key: _of(mailing, message) for key, message in zip(keys, messages, strict=True)}
    assert move(SETTINGS, faulty.dynamodb, said.append) == 0


def _of(mailing: Mailing, message: Message) -> Message:
    fields = {name: getattr(message, name) for name in Message.__dataclass_fields__}
    return Message(**fields | {"mailing_id": mailing.mailing_id})


def test_a_ledger_that_is_not_moved_yet_is_left_alone(faulty: Store) -> None:
    """It must not look empty: the mailing would be ended without reaching anybody."""
    old_table(faulty)
    message = MessageFactory()
    mailing = old_mailing(faulty, old_row(message))
    with pytest.raises(Unavailable, match="move_ledger"):
        faulty.ledger.read([(mailing.mailing_id, message.client_id)])
    with pytest.raises(Unavailable, match="move_ledger"):
        faulty.ledger.page(mailing.mailing_id, "00", "", 10)
    with pytest.raises(Unavailable, match="move_ledger"):
        faulty.ledger.long_page(mailing.mailing_id, "00", "")


def test_an_interrupted_move_can_be_repeated(faulty: Store) -> None:
    """Expects what was already moved to be written again unchanged."""
    old_table(faulty)
    messages = MessageFactory.build_batch(40)
    mailing = old_mailing(faulty, *map(old_row, messages))
    faulty.aws.refuse("dynamodb.UpdateItem", "AccessDeniedException", times=1)
    with pytest.raises(ClientError):
        move(SETTINGS, faulty.dynamodb, print)
    assert move(SETTINGS, faulty.dynamodb, print) == 40
    rows = [faulty.ledger.get(f"{mailing.mailing_id}-{message.client_id}") for message in messages]
    assert rows == [_of(mailing, message) for message in messages]


def test_old_sentences_become_reasons(faulty: Store) -> None:
    """Whether a message is a dead letter depends on it."""
    old_table(faulty)
    failed, waiting = MessageFactory(status=MessageStatus.FAILED), MessageFactory(status=MessageStatus.WAITING)
    mailing = old_mailing(
        faulty,
        old_row(failed, reason="attempts used up (3), last: HTTP 503"),
        old_row(waiting, reason="outside the local window"),
    )
    move(SETTINGS, faulty.dynamodb, print)
    rows = faulty.ledger.read((mailing.mailing_id, one.client_id) for one in (failed, waiting))
    assert rows[mailing.mailing_id, failed.client_id].cause == Cause.used_up(3, Cause.http(503))
    assert rows[mailing.mailing_id, waiting.client_id].because(Reason.OUTSIDE_LOCAL_WINDOW)


def test_nothing_is_moved_without_an_old_table(faulty: Store) -> None:
    """As in a new installation."""
    assert move(SETTINGS, faulty.dynamodb, print) == 0
