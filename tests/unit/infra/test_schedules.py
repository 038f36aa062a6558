"""Schedule expressions fire when EventBridge would fire them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app import app
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
        ("cron(0 * * * ? *)", "2026-11-01T10:00:00", "2026-11-01T11:00:00"),
        ("cron(0 * * * ? *)", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
        ("cron(0/15 * * * ? *)", "2026-11-01T10:16:00", "2026-11-01T10:30:00"),
        ("cron(0/15 * * * ? *)", "2026-11-01T10:59:30", "2026-11-01T11:00:00"),
        ("cron(5/20 * * * ? *)", "2026-11-01T10:45:00", "2026-11-01T11:05:00"),
        ("cron(59 * * * ? *)", "2026-11-01T10:59:00", "2026-11-01T11:59:00"),
    ],
)
def test_a_cron_fires_in_the_next_minute_that_fits(text: str, moment: str, expected: str) -> None:
    """Expects the next fitting minute strictly after the given moment."""
    assert parse(text).after(_at(moment)) == _at(expected)


def test_a_cron_may_fire_in_the_minute_it_starts_in() -> None:
    """Expects a start exactly on a fitting minute to count."""
    assert parse("cron(0/15 * * * ? *)").first(_at("2026-11-01T10:15:00")) == _at("2026-11-01T10:15:00")


@pytest.mark.parametrize(
    "text",
    [
        "rate(1 second)",
        "rate(0 minutes)",
        "cron(0 10 * * ? *)",
        "cron(60 * * * ? *)",
        "cron(0/0 * * * ? *)",
        "cron(0 * * * *)",
        "cron(0 0 L * ? *)",
        "",
    ],
)
def test_an_invalid_schedule_is_refused(text: str) -> None:
    """Expects ValueError, also for forms of cron that the app does not use, instead of a schedule that never fires."""
    with pytest.raises(ValueError, match=r"^not rate"):
        parse(text)


@pytest.mark.parametrize("name", ["tick", "report"])
def test_every_schedule_of_the_app_can_be_read(name: str) -> None:
    """Expects the next firing within an hour."""
    (event,) = [event for event in app.event_sources if event.name == name]
    now = _at("2026-11-01T10:07:00")
    assert parse(event.schedule_expression.to_string()).after(now) - now <= timedelta(hours=1)
