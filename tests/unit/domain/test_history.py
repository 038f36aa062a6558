"""The steps of a message, as its row of the ledger tells them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.history import steps_of
from chalicelib.domain.reasons import Cause
from chalicelib.domain.statuses import MessageStatus
from tests.factories import START, AttemptFactory, MessageFactory

SECOND = timedelta(seconds=1)


def test_a_message_that_nothing_has_happened_to_has_one_step() -> None:
    """It was written down."""
    (step,) = steps_of(MessageFactory())
    assert (step.status, step.at, step.until) == (MessageStatus.QUEUED, START, None)


def test_time_between_steps_is_waited() -> None:
    """From the end of one call to the beginning of the next, and to the record of the outcome."""
    attempts = (
        AttemptFactory(failed=True, at=START + 2 * SECOND, duration_ms=500),
        AttemptFactory(at=START + 6 * SECOND, duration_ms=1500),
    )
    sent_at = START + 8 * SECOND
    message = MessageFactory(status=MessageStatus.SENT, attempts=attempts, sent_at=sent_at, updated_at=sent_at)
    steps = steps_of(message)
    assert [step.waited / SECOND for step in steps] == [0, 2, 3.5, 0.5]
    assert [step.attempt for step in steps] == [None, *attempts, None]
    assert (steps[-1].status, steps[-1].at) == (MessageStatus.SENT, sent_at)


@pytest.mark.parametrize(
    ("status", "field"),
    [(MessageStatus.WAITING, "due_at"), (MessageStatus.SENDING, "lease_until"), (MessageStatus.QUEUED, "retry_at")],
)
def test_what_goes_on_says_until_when(status: MessageStatus, field: str) -> None:
    """Until it is due, until its sender counts as dead, or until it is tried again."""
    until = START + 60 * SECOND
    attempts = (AttemptFactory(failed=True),)
    message = MessageFactory(status=status, cause=Cause.http(503), attempts=attempts, **{field: until})
    last = steps_of(message)[-1]
    assert (last.status, last.until, last.cause, last.attempt) == (status, until, Cause.http(503), None)


def test_an_end_lasts_for_good() -> None:
    """Whatever the row still holds of earlier plans."""
    message = MessageFactory(status=MessageStatus.FAILED, cause=Cause.http(400), retry_at=START)
    assert steps_of(message)[-1].until is None


def test_clocks_that_differ_make_no_time_negative() -> None:
    """Two senders wrote the row, and the second one's clock is behind."""
    attempts = (AttemptFactory(failed=True, at=START + SECOND, duration_ms=500), AttemptFactory(at=START + SECOND))
    assert min(step.waited for step in steps_of(MessageFactory(attempts=attempts))) == timedelta(0)
