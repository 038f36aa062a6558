"""The ledger read in pages, through its sparse indexes, counted, and removed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.client_ids import SHARDS, shard_of
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.messages import Message
from chalicelib.domain.reasons import Cause
from chalicelib.domain.statuses import MessageStatus
from chalicelib.storage.ledger import Written
from tests.factories import START, AttemptFactory, MailingFactory, MessageFactory
from tests.integration.storage.engines import Store

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_a_shard_is_read_in_pages(faulty: Store, limit: int) -> None:
    """Expects each row once, by client, and none of another mailing or shard."""
    mine = faulty.add_messages(60)
    faulty.add_messages(20)
    found: list[Message] = []
    for shard in SHARDS:
        after, pages = "", 0
        while after or not pages:
            page, after = faulty.ledger.page(mine[0].mailing_id, shard, after, limit)
            assert len(page) <= limit
            assert {shard_of(message.client_id) for message in page} <= {shard}
            found += page
            pages += 1
            assert pages < 100
    assert sorted(found, key=lambda row: row.client_id) == sorted(mine, key=lambda row: row.client_id)


def test_failed_and_unknown_messages_have_a_list_of_their_own(faulty: Store) -> None:
    """Over all shards of one mailing, without messages that were put back."""
    mailing_id = MailingFactory().mailing_id
    trouble = faulty.add_messages(4, mailing_id=mailing_id, status=MessageStatus.FAILED)
    trouble += faulty.add_messages(3, mailing_id=mailing_id, status=MessageStatus.UNKNOWN)
    faulty.add_messages(9, mailing_id=mailing_id, status=MessageStatus.SENT)
    faulty.add_messages(2, status=MessageStatus.FAILED)
    back = trouble.pop()
    faulty.ledger.update([(back, back.revised(START, status=MessageStatus.QUEUED))])
    found: list[Message] = []
    after, pages = "", 0
    while after or not pages:
        page, after = faulty.ledger.trouble_page(mailing_id, after, 2)
        found += page
        pages += 1
        assert pages < 25
    assert found == sorted(trouble, key=lambda row: (shard_of(row.client_id), row.client_id))


def test_parked_messages_come_when_they_are_due(faulty: Store) -> None:
    """Expects the earliest first, none before its time, and each page to go on where the last one ended."""
    mailing_id = MailingFactory().mailing_id
    parked = [
        message
        for seconds in (40, 10, 30, 20, 10)
        for message in faulty.add_messages(
            12, mailing_id=mailing_id, status=MessageStatus.WAITING, due_at=START + seconds * SECOND
        )
    ]
    faulty.add_messages(9, mailing_id=mailing_id)
    until = START + 30 * SECOND
    for shard in SHARDS:
        mine = [message for message in parked if shard_of(message.client_id) == shard]
        expected = sorted((row.due_at, row.client_id) for row in mine if row.due_at and row.due_at <= until)
        assert faulty.ledger.due(mailing_id, shard, until, "", 100) == (expected, "")
        found: list[tuple[datetime, str]] = []
        after, pages = "", 0
        while after or not pages:
            some, after = faulty.ledger.due(mailing_id, shard, until, after, 1)
            found += some
            pages += 1
            assert pages < 20
        assert sorted(found) == expected


def test_rows_that_are_counted_are_read_in_long_pages(faulty: Store) -> None:
    """Expects each row of one mailing once, over all shards."""
    mailing_id = MailingFactory().mailing_id
    attempts = (AttemptFactory(), AttemptFactory())
    sent = {"status": MessageStatus.SENT, "sent_at": START, "attempts": attempts}
    rows = faulty.add_messages(30, mailing_id=mailing_id, **sent)
    rows += faulty.add_messages(5, mailing_id=mailing_id, status=MessageStatus.FAILED, cause=Cause.http(500))
    faulty.add_messages(7, status=MessageStatus.SENT)
    found = [row for shard in SHARDS for row in faulty.ledger.long_page(mailing_id, shard, "")[0]]
    assert sorted(found, key=lambda row: row.client_id) == sorted(rows, key=lambda row: row.client_id)
    one = rows[0]
    following, end = faulty.ledger.long_page(mailing_id, shard_of(one.client_id), one.client_id)
    assert one.client_id not in {row.client_id for row in following}
    assert end == ""


# -- removing


def test_a_removed_ledger_is_gone(faulty: Store) -> None:
    """Shard by shard, until nothing is left, including what a batch leaves over; expects others to stay."""
    mine, others = faulty.add_messages(40), faulty.add_messages(5)
    held: list[int] = []

    def partly(operation: str, request: dict[str, Any]) -> Callable[[dict[str, Any]], None] | None:
        if operation != "dynamodb.BatchWriteItem" or held:
            return None
        ((table, writes),) = request["RequestItems"].items()
        rest, request["RequestItems"][table] = writes[1:], writes[:1]
        held.append(len(rest))
        return lambda answer: answer.update(UnprocessedItems={table: rest} if rest else {})

    faulty.aws.partly = partly
    for shard in SHARDS:
        for _ in range(3):
            if not faulty.ledger.delete_page(mine[0].mailing_id, shard):
                break
        else:
            raise AssertionError("there is always something left")
    assert held
    assert faulty.ledger.read((message.mailing_id, message.client_id) for message in mine) == {}
    assert [faulty.ledger.get(message.message_id) for message in others] == others


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError", "AccessDeniedException"])
def test_a_failing_engine_is_unavailable(faulty: Store, code: str) -> None:
    """Whatever was requested."""
    (message,) = faulty.add_messages()
    faulty.aws.refuse("dynamodb.", code)
    for ask in (
        lambda: faulty.ledger.insert([MessageFactory()]),
        lambda: faulty.ledger.get(message.message_id),
        lambda: faulty.ledger.page(message.mailing_id, "00", "", 10),
        lambda: faulty.ledger.trouble_page(message.mailing_id, "", 10),
        lambda: faulty.ledger.due(message.mailing_id, "00", START, "", 10),
        lambda: faulty.ledger.long_page(message.mailing_id, "00", ""),
        lambda: faulty.ledger.delete_page(message.mailing_id, "00"),
    ):
        with pytest.raises(Unavailable):
            ask()
    # Of a write that may have been made, that is all that can be said.
    written = faulty.ledger.update([(message, message.revised(START))]).written
    assert written in ([Written.BUSY], [Written.UNSURE])
