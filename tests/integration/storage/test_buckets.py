"""Messages that share a bucket: changing one neither blocks nor changes another, and costs as little as possible."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.clock import Backoff
from chalicelib.domain.buckets import Division
from chalicelib.domain.client_ids import shard_of
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import Message
from chalicelib.domain.statuses import MessageStatus
from chalicelib.storage.bucket_rows import Bucket, bucket_of_item, item_bytes
from chalicelib.storage.ledger import Ledger, Written
from chalicelib.storage.older_attempts import is_bucket
from tests.factories import START, AttemptFactory, MailingFactory, MessageFactory
from tests.integration.storage.engines import SETTINGS, Store
from tests.support.aws import Call
from tests.support.scheduler import Crash

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
    """The number of statements in each batch from now on."""
    sizes: list[int] = []

    def note(call: Call) -> None:
        if call.operation == EXECUTE:
            sizes.append(len(json.loads(call.body)["Statements"]))

    store.aws.before = note
    return sizes


def test_neighbours_are_written_together(faulty: Store) -> None:
    """Expects one write to add all, one to claim them, and one to record their outcomes, without a read."""
    sizes = statements(faulty)
    messages = neighbours(faulty, 10)
    claims = [claimed(message, "a") for message in messages]
    calls = faulty.calls_of(lambda: faulty.ledger.update(claims))
    sent = [(new, new.revised(START + SECOND, status=MessageStatus.SENT, sent_at=START + SECOND)) for _, new in claims]
    calls += faulty.calls_of(lambda: faulty.ledger.update(sent))
    assert sizes == [1, 1, 1]
    assert calls == [EXECUTE, EXECUTE]
    assert [faulty.ledger.get(new.message_id) for _, new in sent] == [new for _, new in sent]


def test_a_dozen_sent_messages_cost_one_write_unit(faulty: Store) -> None:
    """Up to 1 KB an item is one unit; with more in it, or long histories, it is two."""
    attempt = AttemptFactory()
    sent = {"status": MessageStatus.SENT, "sent_at": START + SECOND, "claim": "0123456789", "attempts": (attempt,)}
    twelve = neighbours(faulty, 12, **sent)
    touched = [(message, message.revised(START + SECOND)) for message in twelve]
    assert faulty.ledger.update(touched).units.total() == 1
    many = neighbours(faulty, 14, **sent)
    assert faulty.ledger.update([(message, message.revised(START + SECOND)) for message in many]).units.total() == 2


def test_two_changes_of_different_neighbours_both_succeed(faulty: Store) -> None:
    """Expects the second to find that the bucket has changed, to read it, and to write on top of it."""
    messages = neighbours(faulty, 8)
    other = another(faulty)
    theirs = list(other.read(message.key for message in messages[4:]).values())
    assert faulty.ledger.update([claimed(one, "a") for one in messages[:4]]).written == [Written.DONE] * 4
    assert other.update([claimed(one, "b") for one in theirs]).written == [Written.DONE] * 4
    assert faulty.ledger.update([claimed(one, "a") for one in messages]).written == [Written.DONE] * 4 + (
        [Written.REFUSED] * 4
    )
    assert [faulty.ledger.get(one.message_id).claim for one in messages] == ["a"] * 4 + ["b"] * 4


def test_a_bucket_that_others_always_change_first_is_given_up(faulty: Store) -> None:
    """Expects the tries to end, and what was not written to be reported."""
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


def test_a_message_can_be_added_to_a_bucket(faulty: Store) -> None:
    """For clients who are added while the mailing is dispatched; expects the others to stay unchanged."""
    messages = neighbours(faulty, 3)
    other = another(faulty)
    assert other.update([claimed(messages[0], "b")]).written == [Written.DONE]
    late = MessageFactory(mailing_id=messages[0].mailing_id)
    assert faulty.ledger.insert([*messages, late]) == [False] * 3 + [True]
    assert faulty.ledger.get(messages[0].message_id).claim == "b"
    assert faulty.ledger.get(late.message_id) == late


def test_an_old_memory_of_a_bucket_does_no_harm(faulty: Store) -> None:
    """Expects no message that was read later to be taken for one that is gone or was changed."""
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
    mailing: Mailing = MailingFactory(division=Division.among(clients))
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


def test_what_was_read_before_the_launch_is_forgotten(faulty: Store) -> None:
    """Somebody looks for messages of a mailing that has not started, where they are added later."""
    mailing: Mailing = MailingFactory()
    faulty.mailings.create(mailing)
    assert faulty.ledger.page(mailing.mailing_id, "00", "", 10) == ([], "")
    launched = replace(mailing, launched_at=START, division=Division(16, 50), revision=2)
    assert faulty.mailings.launch(mailing, launched)
    messages = MessageFactory.build_batch(20, mailing_id=mailing.mailing_id)
    faulty.ledger.insert(messages)
    other = another(faulty)
    assert other.read(one.key for one in messages) == {one.key: one for one in messages}


# -- time to live


def expiries(store: Store) -> set[int]:
    return {bucket.expires_at for bucket in buckets(store)}


def test_a_bucket_is_kept_for_some_days_after_the_end(faulty: Store) -> None:
    """Expects it to be kept longer if the end is moved and something in it is written again, but never shorter."""
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


def test_a_bucket_can_be_kept_for_ever(faulty: Store) -> None:
    """If the settings say so."""
    faulty.add_messages(3)
    assert expiries(faulty) == {0}
    assert not any("expires_at" in item for item in items(faulty))


def tried(message: Message, times: int) -> tuple[Message, Message]:
    """The message after so many more failed attempts, each at a time of its own."""
    made = len(message.attempts)
    more = [AttemptFactory(at=START + (made + number) * SECOND) for number in range(times)]
    return message, message.revised(START + SECOND, attempts=(*message.attempts, *more))


def again_and_again(store: Store, ledger: Ledger, messages: list[Message], times: int) -> list[Message]:
    """The messages after so many attempts, each of which was recorded by itself."""
    for _ in range(times):
        changes = [tried(message, 1) for message in messages]
        assert ledger.update(changes).written == [Written.DONE] * len(messages)
        messages = [new for _, new in changes]
    return messages


def sizes_of(store: Store) -> list[int]:
    return [item_bytes(item) for item in items(store) if is_bucket(item)]


def test_long_histories_are_moved_out_of_the_bucket(faulty: Store) -> None:
    """Nine messages with thirty attempts each took 6 KB in it; expects a reader to see all attempts, wherever they
    are."""
    messages = again_and_again(faulty, faulty.ledger, neighbours(faulty, 9), 30)
    assert max(sizes_of(faulty)) < 1.6 * 1024
    known = {message.key: message for message in messages}
    assert another(faulty).read(known) == known
    mailing_id = messages[0].mailing_id
    assert another(faulty).page(mailing_id, shard_of(messages[0].client_id), "", 50)[0] == sorted(
        messages, key=lambda one: one.client_id
    )
    touched = another(faulty).update([(one, one.revised(START + 2 * SECOND)) for one in messages])
    assert touched.units.total() <= 2


def test_a_message_with_one_attempt_shares_no_item_with_long_histories(faulty: Store) -> None:
    """Expects short histories to stay where they are, and a small bucket to keep long ones."""
    often, once = neighbours(faulty, 9)[:2]
    again_and_again(faulty, faulty.ledger, [often], 8)
    assert [is_bucket(item) for item in items(faulty)] == [True]
    faulty.ledger.update([tried(once, 1)])
    assert len(another(faulty).get(once.message_id).attempts) == 1
    assert len(another(faulty).get(often.message_id).attempts) == 8


def test_two_who_move_attempts_out_at_once_lose_none(faulty: Store) -> None:
    """Each has written an item of older attempts; expects the bucket not to name that of the second one."""
    messages = again_and_again(faulty, faulty.ledger, neighbours(faulty, 9), 3)
    quick = another(faulty)
    left = list(quick.read(message.key for message in messages[:4]).values())

    def hurry(call: Call) -> None:
        if call.operation == EXECUTE and b"attempts" in call.body and b"INSERT" in call.body:
            faulty.aws.before = lambda _: None
            theirs = [(old, replace(new, claim="theirs")) for old, new in (tried(message, 5) for message in left)]
            assert all(quick.update(theirs).written)

    faulty.aws.before = hurry
    written = faulty.ledger.update([tried(message, 2) for message in messages]).written
    assert written == [Written.REFUSED] * 4 + [Written.DONE] * 5
    found = another(faulty).read(message.key for message in messages)
    assert [len(found[message.key].attempts) for message in messages] == [8] * 4 + [5] * 5
    for message in found.values():
        assert [attempt.at for attempt in message.attempts[3:]] == [
            START + number * SECOND for number in range(3, len(message.attempts))
        ]


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_a_history_is_whole_if_its_move_stops_at_any_write(faulty: Store, lost: str) -> None:
    """Expects a crash between the older attempts and the bucket to leave the bucket as it was, and the next try to
    finish."""
    messages = again_and_again(faulty, faulty.ledger, neighbours(faulty, 9), 3)
    changes = [tried(message, 2) for message in messages]
    for stop_at in (1, 2):
        writes = 0

        def strike(call: Call, stop_at: int = stop_at) -> None:
            nonlocal writes
            writes += call.operation == EXECUTE
            if writes == stop_at and call.operation == EXECUTE:
                raise Crash

        setattr(faulty.aws, "before" if lost == "request" else "after", strike)
        with pytest.raises(Crash):
            another(faulty).update(changes)
        faulty.aws.before = faulty.aws.after = lambda _: None
        found = list(another(faulty).read(message.key for message in messages).values())
        assert {len(message.attempts) for message in found} <= {3, 5}
        assert len({len(message.attempts) for message in found}) == 1
    assert another(faulty).update(changes).written == [Written.DONE] * 9
    assert {one.key: one for _, one in changes} == another(faulty).read(message.key for message in messages)


def test_a_history_that_lost_an_attempt_is_moved_again(faulty: Store) -> None:
    """Of very many attempts one in the middle is dropped: what is stored elsewhere must not bring it back."""
    messages = again_and_again(faulty, faulty.ledger, neighbours(faulty, 9), 12)
    newest = AttemptFactory(at=START + 12 * SECOND)
    kept = [(*one.attempts[:2], *one.attempts[3:], newest) for one in messages]
    changes = [(one, one.revised(START, attempts=some)) for one, some in zip(messages, kept, strict=True)]
    assert all(faulty.ledger.update(changes).written)
    found = another(faulty).read(message.key for message in messages)
    assert [found[message.key].attempts for message in messages] == kept
    assert max(sizes_of(faulty)) < 1.6 * 1024


def test_older_attempts_are_deleted_with_their_bucket(faulty: Store) -> None:
    """By the table's time to live, also if the mailing's end is moved, and with the mailing when it is deleted."""
    ledger = another(faulty, retain=180 * DAY)
    messages = again_and_again(faulty, ledger, neighbours(faulty, 9), 5)
    mailing = faulty.mailings.get(messages[0].mailing_id)
    expires_at = int((mailing.end_at + 180 * DAY).timestamp())
    assert [item["expires_at"]["N"] for item in items(faulty) if not is_bucket(item)] == [str(expires_at)]
    later = replace(mailing, end_at=mailing.end_at + 30 * DAY, revision=mailing.revision + 1)
    assert faulty.mailings.change(mailing, later)
    again_and_again(faulty, another(faulty, retain=180 * DAY), messages, 1)
    (bucket,) = (item for item in items(faulty) if is_bucket(item))
    (older,) = (item for item in items(faulty) if item["bucket_no"] == bucket["older"])
    assert int(older["expires_at"]["N"]) == int(bucket["expires_at"]["N"]) == expires_at + 30 * 86_400
    while faulty.ledger.delete_page(mailing.mailing_id, shard_of(messages[0].client_id)):
        pass
    assert items(faulty) == []
