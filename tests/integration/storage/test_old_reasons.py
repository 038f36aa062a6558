"""Rows whose reasons an older version wrote as sentences: they are read, and changed, as what they mean."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.gateway_control import GatewayChange, GatewayControl, Setting
from chalicelib.domain.messages import Message, ledger_key_for
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.statuses import MessageStatus
from chalicelib.storage.ledger import Written
from tests.factories import START, AttemptFactory
from tests.integration.storage.engines import Store

SECOND = timedelta(seconds=1)


def write_sentence(store: Store, message: Message, sentence: str) -> None:
    """Put a sentence where the row has its reason, and into its last attempt."""
    ledger_key = ledger_key_for(message.mailing_id, message.client_id)
    key = {"ledger_key": {"S": ledger_key}, "client_id": {"S": message.client_id}}
    table = store.tables.messages.Meta.table_name
    item: dict[str, Any] = store.dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    item["reason"] = {"S": sentence}
    if "attempts" in item:
        item["attempts"]["L"][-1]["M"]["reason"] = {"S": "HTTP 503"}
    store.dynamodb.put_item(TableName=table, Item=item)


def test_an_old_row_has_the_reason_that_it_tells(faulty: Store) -> None:
    """Of the message and of its attempts; whether it is a dead letter hangs on it."""
    (message,) = faulty.add_messages(status=MessageStatus.FAILED, attempts=(AttemptFactory(unknown=True),) * 3)
    write_sentence(faulty, message, "attempts used up (3), last: HTTP 503")
    row = faulty.ledger.get(message.message_id)
    assert row.cause == Cause.used_up(3, Cause.http(503))
    assert row.because(Reason.ATTEMPTS_USED_UP)
    assert [attempt.cause for attempt in row.attempts] == [Cause(Reason.NO_ANSWER)] * 2 + [Cause.http(503)]


def test_an_old_row_can_be_changed(faulty: Store) -> None:
    """It waits for its hours, and is recognised by that; what is written in its place has the code."""
    (message,) = faulty.add_messages(status=MessageStatus.WAITING, due_at=START)
    write_sentence(faulty, message, "outside the local window")
    row = faulty.ledger.get(message.message_id)
    assert row.because(Reason.OUTSIDE_LOCAL_WINDOW)
    new = row.revised(START + SECOND, status=MessageStatus.QUEUED, cause=Cause(Reason.PUT_BACK), due_at=None)
    assert faulty.ledger.update([(row, new)]) == [Written.DONE]
    assert faulty.ledger.get(message.message_id) == new


@pytest.mark.parametrize(
    ("by", "sentence", "cause", "words"),
    [
        ("", "HTTP 402: Pay first", Cause.http(402), "Pay first"),
        ("", "no answer in time", Cause(Reason.NO_ANSWER), ""),
        ("anna", "no answer in time", None, "no answer in time"),
        ("", "", None, ""),
    ],
)
def test_an_old_circuit_tells_cause_and_words_apart(
    store: Store, by: str, sentence: str, cause: Cause | None, words: str
) -> None:
    """What an operator wrote is theirs, and no sentence of the service."""
    old = GatewayControl(retry_at=START + SECOND, revision=1, changed_by=by, changed_at=START, reason=sentence)
    assert store.control.change(GatewayControl(), old)
    control = store.control.read()
    assert (control.cause, control.reason) == (cause, words)
    change = GatewayChange(START, by, Setting.CIRCUIT, "closed", "open", words, cause)
    assert store.control.changes("", 10) == ([change], "")
