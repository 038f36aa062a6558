"""The ledger: rows are added once and changed only by whoever has read the latest version, even if answers are lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.buckets import Division
from chalicelib.domain.client_ids import shard_of
from chalicelib.domain.errors import NotFound, Unavailable
from chalicelib.domain.messages import Message
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.statuses import MessageStatus
from chalicelib.storage.ledger import Written
from tests.factories import START, AttemptFactory, MailingFactory, MessageFactory
from tests.integration.storage.engines import Store

SECOND = timedelta(seconds=1)
EXECUTE = "dynamodb.BatchExecuteStatement"
MAILING_ID = "01KJPWD6M099CBF4EZDBRXGRED"


def claimed(message: Message, by: str) -> tuple[Message, Message]:
    """The change that a sender makes before it calls the gateway."""
    return message, message.revised(
        START + SECOND, status=MessageStatus.SENDING, claim=by, lease_until=START + 45 * SECOND
    )


def in_buckets_of_their_own(store: Store, count: int) -> list[Message]:
    """So many messages of one mailing, each of which needs a statement of its own."""
    drawn = MessageFactory.build_batch(200, mailing_id=MAILING_ID)
    messages = list({shard_of(message.client_id): message for message in drawn}.values())[:count]
    assert store.ledger.insert(messages) == [True] * count
    return messages


def stored(store: Store, messages: list[Message]) -> list[Message]:
    return [store.ledger.get(message.message_id) for message in messages]


# -- writing


def test_a_row_is_read_as_it_was_written(faulty: Store) -> None:
    """Expects every field, with all attempts, except for the pause that an attempt asked for."""
    attempts = (AttemptFactory(unknown=True), AttemptFactory(failed=True), AttemptFactory())
    full = MessageFactory(
        status=MessageStatus.WAITING,
        revision=7,
        updated_at=START + SECOND,
        attempts=attempts,
        hinted=True,
        claim="a",
        lease_until=START + 2 * SECOND,
        retry_at=START + 3 * SECOND,
        due_at=START + 4 * SECOND,
        sent_at=START + 5 * SECOND,
        cause=Cause(Reason.RATE_LIMIT),
        forgiven=2,
    )
    assert faulty.ledger.insert([full, *(plain := MessageFactory.build_batch(2))]) == [True] * 3
    assert stored(faulty, [full, *plain]) == [full, *plain]


def test_an_unknown_message_is_not_found(faulty: Store) -> None:
    """Neither by id nor in a batch."""
    message = MessageFactory()
    with pytest.raises(NotFound):
        faulty.ledger.get(message.message_id)
    assert faulty.ledger.read([(message.mailing_id, message.client_id)]) == {}
    assert faulty.ledger.read([]) == {}


def test_an_existing_row_is_left_as_it_is(faulty: Store) -> None:
    """Expects a repeated page of dispatch not to reset rows that have moved on, and the answers to keep the order."""
    old = faulty.add_messages(30)
    faulty.ledger.update([claimed(old[3], "a")])
    new = MessageFactory.build_batch(31, mailing_id=old[0].mailing_id)
    mixed = [message for pair in zip(old, new[:30], strict=True) for message in pair] + new[30:]
    assert faulty.ledger.insert(mixed) == [False, True] * 30 + [True]
    assert faulty.ledger.get(old[3].message_id) == claimed(old[3], "a")[1]


def test_of_two_claims_one_is_refused(faulty: Store) -> None:
    """Each row by itself: what another sender has claimed does not stop the rest of the batch."""
    messages = faulty.add_messages(60)
    assert faulty.ledger.update([claimed(message, "a") for message in messages[::2]]).written == [Written.DONE] * 30
    assert (
        faulty.ledger.update([claimed(message, "b") for message in messages]).written
        == [Written.REFUSED, Written.DONE] * 30
    )
    assert [row.claim for row in stored(faulty, messages)] == ["a", "b"] * 30


def test_an_outdated_memory_of_a_row_does_not_stop_a_newer_change(faulty: Store) -> None:
    """Another sender has written it since it was read here; expects whoever read it after that to be able to change
    it."""
    (message,) = faulty.add_messages()
    stored(faulty, [message])
    elsewhere = faulty.another_ledger()
    _, taken = claimed(message, "b")
    assert elsewhere.update([(message, taken)]).written == [Written.DONE]
    sent = taken.revised(START + 2 * SECOND, status=MessageStatus.SENT, claim="", lease_until=None)
    assert faulty.ledger.update([(taken, sent)]).written == [Written.DONE]
    assert stored(faulty, [message]) == [sent]


def test_fields_that_become_empty_are_removed(faulty: Store) -> None:
    """So that sparse indexes stay sparse."""
    (message,) = faulty.add_messages(
        status=MessageStatus.WAITING, due_at=START, cause=Cause(Reason.RATE_LIMIT), claim="a", hinted=True
    )
    changes: dict[str, Any] = {"due_at": None, "cause": None, "claim": "", "hinted": False}
    new = message.revised(START + SECOND, status=MessageStatus.QUEUED, **changes)
    assert faulty.ledger.update([(message, new)]).written == [Written.DONE]
    assert stored(faulty, [message]) == [new]
    assert faulty.ledger.due(message.mailing_id, shard_of(message.client_id), START + SECOND, "", 10) == ([], "")


def test_a_change_without_the_next_revision_is_the_callers_mistake(faulty: Store) -> None:
    """It could not be guarded against other changes."""
    (message,) = faulty.add_messages()
    with pytest.raises(ValueError, match="revision"):
        faulty.ledger.update([(message, message)])


def test_a_deleted_row_is_not_created_again(faulty: Store) -> None:
    """The mailing was removed meanwhile."""
    message = MessageFactory()
    assert faulty.ledger.update([claimed(message, "a")]).written == [Written.REFUSED]
    with pytest.raises(NotFound):
        faulty.ledger.get(message.message_id)


# -- answers that are lost, or come in part


def test_a_claim_whose_answer_was_lost_is_recognised(faulty: Store) -> None:
    """The repeat is refused, and the row shows that it was ours; expects others' claims to stay theirs."""
    messages = faulty.add_messages(30)
    faulty.ledger.update([claimed(messages[7], "b")])
    faulty.aws.lose_answers(EXECUTE)
    assert faulty.ledger.update([claimed(message, "a") for message in messages]).written == [
        Written.REFUSED if number == 7 else Written.DONE for number in range(30)
    ]
    assert Counter(row.claim for row in stored(faulty, messages)) == Counter(a=29, b=1)


def test_rows_whose_answer_was_lost_are_there_once(faulty: Store) -> None:
    """Expects the repeat to find them, and nothing to be overwritten."""
    messages = MessageFactory.build_batch(30)
    faulty.aws.lose_answers(EXECUTE)
    faulty.ledger.insert(messages)
    assert stored(faulty, messages) == messages


def busy(places: set[int], times: int, code: str) -> Any:
    """Carry out a batch except for the statements at some places, which are answered with an error so many times."""
    left = times

    def partly(operation: str, request: dict[str, Any]) -> Callable[[dict[str, Any]], None] | None:
        nonlocal left
        if operation != EXECUTE or not left:
            return None
        left -= 1
        statements = request["Statements"]
        held = sorted(place for place in places if place < len(statements))
        request["Statements"] = [one for place, one in enumerate(statements) if place not in held]
        size = len(statements)

        def change(answer: dict[str, Any]) -> None:
            done = iter(answer.get("Responses", []))
            error = {"Error": {"Code": code, "Message": "-"}}
            answer["Responses"] = [error if place in held else next(done) for place in range(size)]

        return change

    return partly


def test_throttled_statements_are_repeated(faulty: Store) -> None:
    """Expects only those to be repeated, after a wait, and each to keep its own answer."""
    messages = in_buckets_of_their_own(faulty, 5)
    faulty.ledger.update([claimed(messages[4], "b")])
    faulty.aws.partly = busy({1, 3}, 1, "ThrottlingError")
    before = len(faulty.aws.calls)
    assert faulty.ledger.update([claimed(message, "a") for message in messages]).written == [Written.DONE] * 4 + [
        Written.REFUSED
    ]
    assert faulty.aws.calls[before:].count(EXECUTE) == 2
    assert len(faulty.clock.waits) == 1
    assert [row.claim for row in stored(faulty, messages)] == ["a"] * 4 + ["b"]


def test_statements_that_are_always_throttled_are_reported_and_the_others_kept(faulty: Store) -> None:
    """After two waits, or as many as fit before a moment: an outcome must not be lost."""
    messages = in_buckets_of_their_own(faulty, 3)
    faulty.aws.partly = busy({0}, 10**6, "ProvisionedThroughputExceeded")
    changes = [claimed(message, "a") for message in messages]
    assert faulty.ledger.update(changes).written == [Written.BUSY, Written.DONE, Written.DONE]
    assert len(faulty.clock.waits) == 2
    faulty.aws.partly = busy({0}, 12, "ProvisionedThroughputExceeded")
    until = faulty.clock.now() + timedelta(minutes=1)
    assert faulty.ledger.update(changes[:1], until=until).written == [Written.DONE]


def test_rows_that_a_busy_table_does_not_accept_are_an_error(faulty: Store) -> None:
    """Dispatch has to wait: its cursor must not move."""
    faulty.aws.partly = busy({0}, 10**6, "ThrottlingError")
    with pytest.raises(Unavailable, match="busy"):
        faulty.ledger.insert([MessageFactory()])
    assert len(faulty.clock.waits) == 1


def test_an_invalid_statement_is_not_repeated(faulty: Store) -> None:
    """It is not refused because somebody else has the row; expects an error in the log."""
    (message,) = faulty.add_messages()
    faulty.aws.partly = busy({0}, 10**6, "ValidationError")
    assert faulty.ledger.update([claimed(message, "a")]).written == [Written.BUSY]
    assert faulty.clock.waits == []


def test_rows_that_come_in_two_answers_are_all_read(faulty: Store) -> None:
    """DynamoDB answers a batch of reads in part; a call may have a hundred keys."""
    mailing = MailingFactory(division=Division(16, 60), launched_at=START)
    faulty.mailings.create(mailing)
    messages = faulty.add_messages(200, mailing_id=mailing.mailing_id)
    keys = [(message.mailing_id, message.client_id) for message in messages]
    halves: list[int] = []

    def partly(operation: str, request: dict[str, Any]) -> Callable[[dict[str, Any]], None] | None:
        if operation != "dynamodb.BatchGetItem" or halves:
            return None
        ((table, wanted),) = request["RequestItems"].items()
        rest = wanted["Keys"][30:]
        del wanted["Keys"][30:]
        halves.append(len(rest))
        return lambda answer: answer.update(UnprocessedKeys={table: {**wanted, "Keys": rest}})

    faulty.aws.partly = partly
    assert faulty.ledger.read(keys + keys) == dict(zip(keys, messages, strict=True))
    assert halves == [70]
    assert len(faulty.clock.waits) == 1
