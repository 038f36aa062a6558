"""Messages that share a bucket: changing one neither hinders nor changes another, and costs as little as can be."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.clock import Backoff
from chalicelib.domain.buckets import buckets_for
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import Message
from chalicelib.domain.statuses import MessageStatus
from chalicelib.storage.bucket_rows import Bucket, bucket_of_item
from chalicelib.storage.ledger import Ledger, Written
from tests.factories import START, AttemptFactory, MailingFactory, MessageFactory
from tests.integration.storage.engines import SETTINGS, Store
from tests.support.aws import Call

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
EXECUTE = "dynamodb.BatchExecuteStatement"


def claimed(message: Message, by: str) -> tuple[Message, Message]:
    return message, message.revised(START, status=MessageStatus.SENDING, claim=by, lease_until=START + 45 * SECOND)


def neighbours(store: Store, count: int, **fields: Any) -> list[Message]:
    """So many messages in one bucket."""
    mailing = MailingFactory(launched_at=START)
    store.mailings.create(mailing)
    found: list[Message] = []
    while len(found) < count:
        message = MessageFactory(mailing_id=mailing.mailing_id, **fields)
        if message.client_id[0] == "a":
            found.append(message)
    assert store.ledger.insert(found) == [True] * count
    return found


def another(store: Store, retain: timedelta = timedelta(0)) -> Ledger:
    """The ledger as another process has it."""
    return Ledger(store.tables, store.dynamodb, Backoff(store.clock, store.backoff_rng), retain)


def items(store: Store) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = store.dynamodb.scan(TableName=SETTINGS.ledger_table)["Items"]
    return found


def buckets(store: Store) -> list[Bucket]:
    return [bucket_of_item(item) for item in items(store)]


def statements(store: Store) -> list[int]:
    """How many statements each batch has, from now on."""
    sizes: list[int] = []

    def note(call: Call) -> None:
        if call.operation == EXECUTE:
            sizes.append(len(json.loads(call.body)["Statements"]))

    store.aws.before = note
    return sizes


def test_neighbours_are_written_together(faulty: Store) -> None:
    """One write for all to add them, one to claim them, one to record what came of them; nothing is read for it."""
    sizes = statements(faulty)
    messages = neighbours(faulty, 10)
    claims = [claimed(message, "a") for message in messages]
    calls = faulty.calls_of(lambda: faulty.ledger.update(claims))
    sent = [(new, new.revised(START + SECOND, status=MessageStatus.SENT, sent_at=START + SECOND)) for _, new in claims]
    calls += faulty.calls_of(lambda: faulty.ledger.update(sent))
    assert sizes == [1, 1, 1]
    assert calls == [EXECUTE, EXECUTE]
    assert [faulty.ledger.get(new.message_id) for _, new in sent] == [new for _, new in sent]


def test_a_dozen_sent_messages_cost_a_unit(faulty: Store) -> None:
    """An item of up to 1 KB; with more in it, or long histories, it is two."""
    attempt = AttemptFactory()
    sent = {"status": MessageStatus.SENT, "sent_at": START + SECOND, "claim": "0123456789", "attempts": (attempt,)}
    twelve = neighbours(faulty, 12, **sent)
    touched = [(message, message.revised(START + SECOND)) for message in twelve]
    assert faulty.ledger.update(touched).units.total() == 1
    many = neighbours(faulty, 14, **sent)
    assert faulty.ledger.update([(message, message.revised(START + SECOND)) for message in many]).units.total() == 2


def test_two_who_change_different_neighbours_both_succeed(faulty: Store) -> None:
    """The second finds that the bucket has changed, looks, and writes on top of it."""
    messages = neighbours(faulty, 8)
    other = another(faulty)
    theirs = list(other.read(message.key for message in messages[4:]).values())
    assert faulty.ledger.update([claimed(one, "a") for one in messages[:4]]).written == [Written.DONE] * 4
    assert other.update([claimed(one, "b") for one in theirs]).written == [Written.DONE] * 4
    assert faulty.ledger.update([claimed(one, "a") for one in messages]).written == [Written.DONE] * 4 + (
        [Written.REFUSED] * 4
    )
    assert [faulty.ledger.get(one.message_id).claim for one in messages] == ["a"] * 4 + ["b"] * 4


def test_somebody_is_always_quicker(faulty: Store) -> None:
    """It ends: nobody goes on for ever, and what was not written is told."""
    mine, *others = neighbours(faulty, 8)
    quick = another(faulty)
    left = [quick.read([one.key])[one.key] for one in others]

    def hurry(call: Call) -> None:
        if call.operation == EXECUTE:
            faulty.aws.before = lambda _: None
            old = left[0]
            left[0] = old.revised(START)
            assert quick.update([(old, left[0])]).written == [Written.DONE]
            faulty.aws.before = hurry

    faulty.aws.before = hurry
    assert faulty.ledger.update([claimed(mine, "a")]).written == [Written.BUSY]
    faulty.aws.before = lambda _: None
    assert faulty.ledger.get(mine.message_id) == mine


def test_one_more_comes_into_a_bucket(faulty: Store) -> None:
    """Who is added while the mailing is dispatched; those who are there stay as they are."""
    messages = neighbours(faulty, 3)
    other = another(faulty)
    assert other.update([claimed(messages[0], "b")]).written == [Written.DONE]
    late = MessageFactory(mailing_id=messages[0].mailing_id)
    assert faulty.ledger.insert([*messages, late]) == [False] * 3 + [True]
    assert faulty.ledger.get(messages[0].message_id).claim == "b"
    assert faulty.ledger.get(late.message_id) == late


def test_what_is_remembered_of_a_bucket_may_be_old(faulty: Store) -> None:
    """A message that was read later is not taken for one that is gone, or was changed."""
    messages = neighbours(faulty, 2)
    faulty.ledger.update([claimed(messages[0], "a")])  # remembers the bucket as it is now
    other = another(faulty)
    for _ in range(3):
        now = other.read([messages[1].key])[messages[1].key]
        assert other.update([(now, now.revised(START))]).written == [Written.DONE]
    latest = other.read([messages[1].key])[messages[1].key]
    assert faulty.ledger.update([claimed(latest, "a")]).written == [Written.DONE]


@pytest.mark.parametrize("clients", [1, 200, 2000])
def test_messages_are_found_however_many_buckets_there_are(faulty: Store, clients: int) -> None:
    """By their keys, in pages, and in trouble."""
    mailing: Mailing = MailingFactory(buckets=buckets_for(clients))
    faulty.mailings.create(mailing)
    messages = faulty.add_messages(60, mailing_id=mailing.mailing_id, status=MessageStatus.FAILED)
    assert faulty.ledger.read(one.key for one in messages) == {one.key: one for one in messages}
    found: list[Message] = []
    after, pages = "", 0
    while after or not pages:
        page, after = faulty.ledger.trouble_page(mailing.mailing_id, after, 7)
        found += page
        pages += 1
        assert pages < 80
    assert sorted(one.client_id for one in found) == sorted(one.client_id for one in messages)


def test_what_was_known_before_the_launch_is_forgotten(faulty: Store) -> None:
    """Somebody looks for the messages of a mailing that has yet to start, where they are added later."""
    mailing: Mailing = MailingFactory()
    faulty.mailings.create(mailing)
    assert faulty.ledger.page(mailing.mailing_id, "00", "", 10) == ([], "")
    launched = replace(mailing, launched_at=START, buckets=50, revision=2)
    assert faulty.mailings.launch(mailing, launched)
    messages = MessageFactory.build_batch(20, mailing_id=mailing.mailing_id)
    faulty.ledger.insert(messages)
    other = another(faulty)
    assert other.read(one.key for one in messages) == {one.key: one for one in messages}


# -- time to live


def expiries(store: Store) -> set[int]:
    return {bucket.expires_at for bucket in buckets(store)}


def test_a_bucket_lives_for_some_days_after_the_end(faulty: Store) -> None:
    """And longer if the end is moved, once something in it is written again; never shorter."""
    ledger = another(faulty, retain=30 * DAY)
    mailing: Mailing = MailingFactory()
    faulty.mailings.create(mailing)
    message = MessageFactory(mailing_id=mailing.mailing_id)
    ledger.insert([message])
    ends = int(mailing.end_at.timestamp())
    assert expiries(faulty) == {ends + 30 * 86400}
    later = MailingFactory(mailing_id=mailing.mailing_id, end_at=mailing.end_at + 9 * DAY, revision=2)
    assert faulty.mailings.change(mailing, later)
    ledger = another(faulty, retain=30 * DAY)  # what is known of an end is believed for a minute
    assert ledger.update([claimed(message, "a")]).written == [Written.DONE]
    assert expiries(faulty) == {ends + 39 * 86400}


def test_a_bucket_may_live_for_ever(faulty: Store) -> None:
    """If that is asked for."""
    faulty.add_messages(3)
    assert expiries(faulty) == {0}
    assert not any("expires_at" in item for item in items(faulty))
