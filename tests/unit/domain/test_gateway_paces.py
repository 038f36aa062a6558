"""What of its paces a message takes at gateways that count messages, and at those that count SMS parts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.gateway_control import GatewayControl
from chalicelib.domain.gateway_paces import GatewayPaces
from chalicelib.domain.mailings import MAX_TEXT_LENGTH, MOST_PARTS, Mailing
from chalicelib.domain.pace import Pace, Spacing, book
from chalicelib.domain.sms import part_count
from tests.factories import START, MailingFactory

BY_MESSAGES, BY_PARTS = GatewayPaces(counts_parts=False), GatewayPaces(counts_parts=True)
SECOND = timedelta(seconds=1)
SLOWED = GatewayControl(rate=10, slowed_at=START, slowed_to=4)


def mailing(parts: int, rate_limit: int | None = None) -> Mailing:
    """A mailing whose text makes so many parts."""
    made: Mailing = MailingFactory.build(
        mailing_id=f"m{parts}", text="x" * (160 if parts == 1 else 153 * parts), rate_limit=rate_limit
    )
    assert part_count(made.text) == parts
    return made


def test_only_the_gateways_own_rate_is_of_parts() -> None:
    """A mailing's is of messages, and so is the pace of a gateway that says that there are too many."""
    paces = BY_PARTS.of(mailing(3, rate_limit=5), SLOWED, START)
    assert [spacing.weight for spacing in paces.values()] == [3, 1, 1]
    assert list(paces) == ["gateway@10", "mailing-m3@5", f"taken@{START:%H%M%S.%f}"]
    plain = BY_MESSAGES.of(mailing(3, rate_limit=5), SLOWED, START)
    assert list(plain) == list(paces)
    assert [(one.gap, one.weight) for one in plain.values()] == [(one.gap, 1) for one in paces.values()]


def test_what_may_leave_is_the_tighter_of_both_bounds() -> None:
    """Ten parts a second, and four messages, of mailings that get equal shares of the parts."""
    assert BY_MESSAGES.limit([mailing(3)], SLOWED, START) == 4
    assert BY_PARTS.limit([mailing(1)], SLOWED, START) == 4
    assert BY_PARTS.limit([mailing(2)], SLOWED, START) == 8
    assert BY_PARTS.limit([mailing(3)], SLOWED, START) == 10
    # Three messages of one part for one of three: six parts in four messages.
    assert BY_PARTS.limit([mailing(1), mailing(3)], SLOWED, START) == pytest.approx(6)
    assert BY_PARTS.limit([], SLOWED, START) == 4
    assert BY_PARTS.limit([mailing(3)], GatewayControl(), START) is None


def test_what_was_too_much_is_retried_within_the_time_that_it_takes() -> None:
    """By the slower one of both bounds."""
    throttled = [mailing(1), mailing(3), mailing(10), mailing(10)]
    assert BY_MESSAGES.spread(throttled, SLOWED, START) == 1
    assert BY_PARTS.spread(throttled, SLOWED, START) == 2.4
    assert BY_PARTS.spread(throttled, GatewayControl(), START) == 1


def test_no_text_weighs_more_than_a_pace_reckons_with() -> None:
    """The longest text of the characters that take most room; so nobody takes a place far ahead for a clock's error."""
    heaviest = part_count("\U0001f600" * MAX_TEXT_LENGTH)
    assert heaviest == MOST_PARTS
    (spacing,) = BY_PARTS.of(mailing(1), GatewayControl(rate=1), START).values()
    one = Spacing(spacing.gap, heaviest, spacing.heaviest)
    _, (pace,) = book([Pace()], [one], 1, now=0, last=10)
    assert pace.next_at > 50_000_000
    assert pace.sane(10 + spacing.gap * spacing.heaviest) == pace
