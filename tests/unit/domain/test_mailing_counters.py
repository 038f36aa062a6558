"""The counters that messages stand in: a bounded number of them, whatever reasons and times there are."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.mailing_counters import MailingCounters, counters_of, lately_of
from chalicelib.domain.messages import Message
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.statuses import MessageStatus

NOON = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)


def _message(status: MessageStatus, **fields: object) -> Message:
    return Message("m", "a" * 16, "+79161234567", "UTC", status, 1, NOON, NOON, **fields)  # type: ignore[arg-type]


def _sent(**after: float) -> Message:
    return _message(MessageStatus.SENT, sent_at=NOON + timedelta(**after))


def _counters(*messages: Message) -> MailingCounters:
    return MailingCounters(Counter(name for message in messages for name in counters_of(message)))


def _at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize("status", [MessageStatus.QUEUED, MessageStatus.SENDING])
def test_an_open_message_is_in_no_counter(status: MessageStatus) -> None:
    """Expects what is being sent to be what is left of the total."""
    assert counters_of(_message(status)) == []


def test_a_sent_message_is_counted_by_its_hour_and_later_by_its_day() -> None:
    """Expects hours in the first week and days after it, whatever finer periods there are."""
    counters = _counters(*(_sent(**after) for after in ({"minutes": 1}, {"minutes": 29}, {"days": 1}, {"days": 8})))
    assert counters.by_status == {"sent": 4}
    assert counters.by_hour == {NOON.replace(minute=0): 2, _at(3, 12): 1, _at(10): 1}


def test_parts_are_counted_by_day_and_only_of_what_was_sent() -> None:
    """Expects those of a text that everybody gets to follow from how many were sent."""
    sent = [replace(_sent(**after), parts=parts) for after, parts in (({"minutes": 1}, 2), ({"days": 1}, 10))]
    counters = _counters(*sent, _message(MessageStatus.FAILED, parts=3), _sent(minutes=2))
    assert counters.parts_by_day(None) == {_at(2).date(): 2, _at(3).date(): 10}
    assert counters.parts_by_day(4) == {_at(2).date(): 8, _at(3).date(): 4}
    assert counters.by_status == {"sent": 3, "failed": 1}


@pytest.mark.parametrize(
    ("spans", "width", "starts"),
    [
        ([{"minutes": 1}, {"minutes": 29, "seconds": 59}], {"minutes": 1}, [_at(2, 12, 31), _at(2, 12, 59)]),
        (
            [{"minutes": 1}, {"minutes": 31}, {"minutes": 179}],
            {"minutes": 10},
            [_at(2, 12, 30), _at(2, 13), _at(2, 15, 20)],
        ),
        ([{"minutes": 1}, {"hours": 3}], {"hours": 1}, [_at(2, 12), _at(2, 15)]),
        ([{"minutes": 1}, {"hours": 3}, {"days": 8}], {"days": 1}, [_at(2), _at(10)]),
        ([], {"minutes": 1}, []),
    ],
)
def test_the_time_series_is_as_fine_as_all_of_it_was_counted(
    spans: list[dict[str, float]], width: dict[str, float], starts: list[datetime]
) -> None:
    """Expects minutes for the first half hour, then tens of minutes, hours and days, and never finer than is known."""
    time_series = _counters(*(_sent(**span) for span in spans)).time_series
    assert time_series.width == timedelta(**width)
    assert list(time_series.periods) == starts
    assert sum(one["sent"] for one in time_series.periods.values()) == len(spans)


def test_the_time_series_tells_when_messages_were_given_up() -> None:
    """Expects failed and unknown ones beside those sent; those that expired or wait are no events of sending."""
    at = {"updated_at": NOON + timedelta(minutes=2)}
    statuses = (MessageStatus.FAILED, MessageStatus.UNKNOWN, MessageStatus.EXPIRED, MessageStatus.WAITING)
    counters = _counters(_sent(minutes=2), *(replace(_message(status), **at) for status in statuses))
    assert counters.time_series.periods == {_at(2, 12, 32): {"sent": 1, "failed": 1, "unknown": 1}}
    assert sum(counters.by_hour.values()) == 1


def test_a_year_makes_few_counters() -> None:
    """Expects at most one for each minute of half an hour, and so on: all must fit into one item."""
    minutes = [*range(600), *range(600, 365 * 24 * 60, 60)]
    assert len(_counters(*(_sent(minutes=minute) for minute in minutes)).by_name) < 600


def test_what_was_not_sent_is_counted_by_its_reason() -> None:
    """Expects each status to have its own reasons, and sums that come to the counts of the statuses."""
    failed = _message(MessageStatus.FAILED, cause=Cause.http(400))
    waiting = _message(MessageStatus.WAITING, cause=Cause(Reason.OUTSIDE_LOCAL_WINDOW))
    counters = MailingCounters(Counter([*counters_of(failed), *counters_of(failed), *counters_of(waiting)]))
    assert counters.by_status == {"failed": 2, "waiting": 1}
    assert counters.by_cause == {("failed", Cause.http(400)): 2, ("waiting", Cause(Reason.OUTSIDE_LOCAL_WINDOW)): 1}


def test_what_ended_lately_is_counted_by_the_minute_and_forgotten() -> None:
    """Expects what waits not to count, what is put back to take nothing away, and old minutes to be named."""
    minute = int(NOON.timestamp()) // 60
    changes, old = lately_of(Counter({"sent": 5, "failed": 2, "waiting": 3, "unknown": -1}), NOON)
    assert (changes, old) == ({f"n|{minute}": 7}, [f"n|{minute - 2}", f"n|{minute - 3}"])
    assert lately_of(Counter(waiting=3), NOON) == (Counter(), [])
    assert MailingCounters(changes).lately == {NOON: 7}
    assert not MailingCounters(changes).time_series.periods
