"""The counters that messages stand in: a bounded number of them, whatever reasons and times there are."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.messages import Message, MessageStatus
from chalicelib.domain.tallies import OTHER_REASON, Tally, counters_of, reason_group

NOON = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)


def _message(status: MessageStatus, **fields: object) -> Message:
    return Message("m", "a" * 16, "+79161234567", "UTC", status, 1, NOON, NOON, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reason", "group"),
    [
        ("opted out", "opted out"),
        ("HTTP 503", "HTTP 503"),
        ("attempts used up (8), last: HTTP 503", "HTTP 503"),
        ("attempts used up (8), last: no answer in time", "no answer in time"),
        ("HTTP 200 with code 7", "HTTP 200 with code 7"),
        ("HTTP 200 with code 123456", "HTTP 200 with another code"),
        ("HTTP 200 with code ?", "HTTP 200 with another code"),
        ("no usable answer: ChunkedEncodingError", "no usable answer"),
        ("the gateway's adapter failed: ValueError", "the gateway's adapter failed"),
        ("HTTP 999", OTHER_REASON),
        ("a text that a gateway made up", OTHER_REASON),
        ("", OTHER_REASON),
    ],
)
def test_reasons_fall_into_groups(reason: str, group: str) -> None:
    """Expects known reasons to stay and everything that could take any value to be put together."""
    assert reason_group(reason) == group


@pytest.mark.parametrize("status", [MessageStatus.QUEUED, MessageStatus.SENDING])
def test_an_open_message_is_in_no_counter(status: MessageStatus) -> None:
    """Expects what is being sent to be what is left of the total."""
    assert counters_of(_message(status)) == []


def test_a_sent_message_is_counted_by_its_hour_and_later_by_its_day() -> None:
    """Expects hours in the first week and days after it, so that a year makes 500 counters and not 8,760."""
    soon, late = (_message(MessageStatus.SENT, sent_at=NOON + timedelta(days=days)) for days in (1, 8))
    tally = Tally(Counter([*counters_of(soon), *counters_of(late)]))
    assert tally.by_status == {"sent": 2}
    assert tally.by_hour == {datetime(2026, 3, 3, 12, tzinfo=UTC): 1, datetime(2026, 3, 10, tzinfo=UTC): 1}


def test_what_was_not_sent_is_counted_by_its_reason() -> None:
    """Expects each status to have its own reasons, and sums that come to the counts of the statuses."""
    failed = _message(MessageStatus.FAILED, reason="HTTP 400")
    waiting = _message(MessageStatus.WAITING, reason="outside the local window")
    tally = Tally(Counter([*counters_of(failed), *counters_of(failed), *counters_of(waiting)]))
    assert tally.by_status == {"failed": 2, "waiting": 1}
    assert tally.by_reason == {("failed", "HTTP 400"): 2, ("waiting", "outside the local window"): 1}


def test_the_rate_is_that_between_the_first_and_the_last() -> None:
    """Expects 11 messages in 10 s to be one a second, and no rate for a single one."""
    assert Tally(Counter(sent=11), NOON, NOON + timedelta(seconds=10)).rate == 1
    assert Tally(Counter(sent=1), NOON, NOON).rate is None
    assert Tally().rate is None
