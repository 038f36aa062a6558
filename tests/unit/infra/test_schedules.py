"""Schedule expressions fire when EventBridge would fire them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from infra.local.schedules import parse


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_rate_fires_at_once_and_then_every_period() -> None:
    """Expects the first firing at the start, the next one a period later."""
    rate = parse("rate(5 minutes)")
    first = rate.first(_at("2026-11-01T10:00:30"))
    assert (first, rate.after(first)) == (_at("2026-11-01T10:00:30"), _at("2026-11-01T10:05:30"))


@pytest.mark.parametrize(
    ("text", "moment", "expected"),
    [
        ("cron(0 10 * * ? *)", "2026-11-01T10:00:00", "2026-11-02T10:00:00"),
        ("cron(0 10 * * ? *)", "2026-11-01T09:59:59", "2026-11-01T10:00:00"),
        ("cron(*/15 * * * ? *)", "2026-11-01T10:16:00", "2026-11-01T10:30:00"),
        ("cron(30 8-9 ? * MON-FRI *)", "2026-11-06T09:30:00", "2026-11-09T08:30:00"),
        ("cron(0 0 1 1 ? 2028)", "2026-11-01T00:00:00", "2028-01-01T00:00:00"),
        ("cron(5/20 3 ? FEB 1,7 *)", "2027-02-06T03:45:00", "2027-02-07T03:05:00"),
    ],
)
def test_a_cron_fires_in_the_next_minute_that_fits(text: str, moment: str, expected: str) -> None:
    """Expects the next fitting minute strictly after the given moment."""
    assert parse(text).after(_at(moment)) == _at(expected)


def test_a_cron_may_fire_in_the_minute_it_starts_in() -> None:
    """Expects a start exactly on a fitting minute to count."""
    assert parse("cron(0 10 * * ? *)").first(_at("2026-11-01T10:00:00")) == _at("2026-11-01T10:00:00")


@pytest.mark.parametrize("text", ["rate(1 second)", "cron(0 10 * * *)", "cron(61 * * * ? *)", "cron(0 0 L * ? *)", ""])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    """Expects ValueError instead of a schedule that silently never fires."""
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_a_cron_of_the_past_says_so() -> None:
    """Expects an error, not an endless search."""
    with pytest.raises(ValueError, match="never fires"):
        parse("cron(0 0 1 1 ? 2020)").after(_at("2026-11-01T00:00:00"))
