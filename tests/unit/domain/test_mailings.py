"""Mailings: segments, texts, windows, the steps from one status to another, and what counts say."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest

from chalicelib.domain.errors import Conflict, Invalid
from chalicelib.domain.mailing_ids import is_mailing_id
from chalicelib.domain.mailings import MAX_TEXT_LENGTH, Statistics, check_text, check_window
from chalicelib.domain.segments import Segment
from chalicelib.domain.statuses import COUNTED, MailingStatus
from tests.factories import START, MailingFactory

SECOND = timedelta(seconds=1)


# -- segments


def test_a_segment_has_any_number_of_values_each_once() -> None:
    """None means all; the order is that in which they were given."""
    assert Segment.checked((), ()) == Segment() == Segment(tags=(), operators=())
    assert Segment.checked(("vip",), ()) == Segment(tags=("vip",))
    assert Segment.checked((" vip", "b", "vip"), ("916", "903", "916")) == Segment(("vip", "b"), ("916", "903"))


@pytest.mark.parametrize(
    ("tags", "operators", "field"),
    [
        (("a" * 65,), (), "clients.tag"),
        (("ok", "a\x1fb"), (), "clients.tag"),
        ((), ("91",), "clients.operator"),
        ((), ("",), "clients.operator"),
        (tuple(map(str, range(51))), (), "clients.tag"),
        ((), tuple(f"{code:03d}" for code in range(51)), "clients.operator"),
    ],
)
def test_a_segment_with_a_wrong_value_is_refused(tags: tuple[str, ...], operators: tuple[str, ...], field: str) -> None:
    """The error names the path of the field as the API has it."""
    with pytest.raises(Invalid) as caught:
        Segment.checked(tags, operators)
    assert [error.field for error in caught.value.errors] == [field]


def test_a_segment_has_at_most_fifty_values_of_each_kind() -> None:
    """Each is a stretch of an index that dispatch reads."""
    tags, operators = tuple(map(str, range(50))), tuple(f"{code:03d}" for code in range(50))
    assert Segment.checked(tags, operators) == Segment(tags, operators)


# -- text and window


@pytest.mark.parametrize("text", ["x", "Привет 👋", "two\r\nlines\tand a tab", "a" * MAX_TEXT_LENGTH])
def test_a_text_can_be_nearly_anything(text: str) -> None:
    """Up to ten parts, in any script."""
    assert check_text(text) == []


@pytest.mark.parametrize(
    "text", ["", "  \n\t ", "\u00a0", "a" * (MAX_TEXT_LENGTH + 1), "a\x00", "a\x1b[1m", "\x7fa", "\ud83d"]
)
def test_a_text_that_no_phone_shows_is_refused(text: str) -> None:
    """Empty, too long, or with characters that break the gateway's JSON."""
    assert [error.field for error in check_text(text)] == ["text"]


@pytest.mark.parametrize(
    ("start", "end", "right"),
    [
        (START, START + SECOND, True),
        (START - timedelta(days=1), START + SECOND, True),
        (START + timedelta(days=365), START + timedelta(days=366), True),
        (START + SECOND, START + SECOND, False),
        (START + 2 * SECOND, START + SECOND, False),
        (START - SECOND, START, False),
        (START.replace(year=1), START.replace(year=2), False),
        (START.replace(year=1), START.replace(year=9999), True),
    ],
)
def test_a_window_ends_after_it_starts_and_after_now(start: datetime, end: datetime, right: bool) -> None:
    """It may have started already. The error is at the end, which is what the caller has to move."""
    assert [error.field for error in check_window(start, end, START)] == ([] if right else ["end_time"])


# -- status

STEPS = {
    "scheduled": {"running", "paused", "cancelled", "expired"},
    "running": {"finished", "paused", "cancelled"},
    "paused": {"scheduled", "running", "cancelled", "expired", "finished"},
    "finished": {"running"},
    "cancelled": set(),
    "expired": set(),
}
PAIRS = [(MailingStatus(old), MailingStatus(new)) for old in STEPS for new in STEPS]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_a_mailing_goes_only_where_it_may(old: MailingStatus, new: MailingStatus) -> None:
    """Every pair of statuses; a step that is allowed makes the next revision, one that is not is a conflict."""
    mailing = MailingFactory(status=old, revision=7)
    if new in STEPS[old]:
        moved = mailing.moved_to(new, START + SECOND)
        assert (moved.status, moved.revision, moved.updated_at) == (new, 8, START + SECOND)
        assert moved.text == mailing.text
    else:
        with pytest.raises(Conflict, match=f"{old}.*{new}"):
            mailing.moved_to(new, START)


@pytest.mark.parametrize("text", ["", "A" * 25, "A" * 27, "A" * 25 + "-", "A" * 25 + "#", "Ж" * 26, "A" * 25 + "\n"])
def test_an_invalid_id_is_recognised(text: str) -> None:
    """A ULID is valid."""
    assert is_mailing_id(MailingFactory().mailing_id)
    assert not is_mailing_id(text)


# -- counts


def test_counts_add_up_to_the_total() -> None:
    """What has no status of its own yet is queued."""
    counts = Statistics(10, Counter(sent=4, failed=1, waiting=2), dispatched=True).counts()
    assert counts == dict.fromkeys(COUNTED, 0) | {"total": 10, "queued": 3, "sent": 4, "failed": 1, "waiting": 2}


def test_counts_of_a_sender_that_died_are_no_nonsense() -> None:
    """Waiting ones are never more than what is open, and nothing is below zero."""
    counts = Statistics(10, Counter(sent=9, waiting=5, expired=-1), dispatched=True).counts()
    assert (counts["waiting"], counts["queued"], counts["expired"]) == (2, 0, 0)
    late = Statistics(3, Counter(sent=5, waiting=1), dispatched=True).counts()
    assert (late["waiting"], late["queued"], late["sent"]) == (0, 0, 5)


@pytest.mark.parametrize("status", ["sent", "failed", "unknown", "expired", "cancelled", "skipped"])
def test_a_mailing_is_settled_when_every_row_is_final(status: str) -> None:
    """And when no row is still to come."""
    assert Statistics(2, Counter({status: 2}), dispatched=True).settled
    assert not Statistics(2, Counter({status: 2}), dispatched=False).settled
    assert not Statistics(2, Counter({status: 1, "waiting": 1}), dispatched=True).settled
    assert Statistics(2, Counter({status: 1, "waiting": 1}), dispatched=True).open == 1


def test_an_empty_segment_is_settled_once_it_is_dispatched() -> None:
    """There is nobody to wait for."""
    assert Statistics(0, Counter(), dispatched=True).settled
