"""When the daily report is sent: at its hour, once, whatever fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from chalicelib import workers
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.reports import Day
from chalicelib.emails.post import MaybeSent, NotSent
from chalicelib.services.reports import ReportService
from chalicelib.wording import day_text
from infra.local.lambda_context import LambdaContext
from tests.support.mailbox import read_emails
from tests.support.simulation import START, Simulation, new_simulation

RECIPIENTS = "ops@example.com,boss@example.com"
TODAY = START.date()
YESTERDAY = TODAY - timedelta(days=1)


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    """A service that writes its reports to files, at nine o'clock, which is the hour of the report."""
    mail = {"report_to": RECIPIENTS, "report_from": "reports@example.com", "mail_url": tmp_path.as_uri()}
    with new_simulation(max_attempts=3, **mail) as made:
        yield made


def _service(simulation: Simulation) -> ReportService:
    assert simulation.services is not None
    return simulation.services.reports


def _tick(simulation: Simulation) -> None:
    with mock.patch.object(workers, "get_services", return_value=simulation.services):
        workers.report({}, LambdaContext("report", "request", 60, simulation.clock, "us-east-1"))


def test_the_report_is_sent_once_however_often_the_schedule_fires(simulation: Simulation, tmp_path: Path) -> None:
    """For a week of quarter hours: one report a day, about the day before, at its hour."""
    assert simulation.workers is not None
    simulation.workers.tick_after = (
        900  # seconds: nothing happens in between, and the report's schedule fires no more often
    )
    simulation.run_for(7 * 86_400 - 60)
    reports = read_emails(tmp_path)
    assert [report["Subject"].partition(":")[0] for report in reports] == [
        f"Mailings on {day_text(YESTERDAY + timedelta(days=number))}" for number in range(7)
    ]
    assert [datetime.strptime(report["Date"], "%a, %d %b %Y %H:%M:%S %z").hour for report in reports] == [9] * 7


def test_two_invocations_at_once_send_one_report(simulation: Simulation, tmp_path: Path) -> None:
    """The second comes while the first is making the report."""
    service = _service(simulation)
    make = service.make

    def interrupted(day: Day) -> object:
        with mock.patch.object(service, "make", make):
            assert service.send_due() is None
        return make(day)

    with mock.patch.object(service, "make", interrupted):
        assert service.send_due() is not None
    assert len(read_emails(tmp_path)) == 1


def test_a_report_that_failed_before_it_was_sent_is_sent_later(simulation: Simulation, tmp_path: Path) -> None:
    """A table that does not answer, then an e-mail service that refuses: the next quarters of an hour try again."""
    service = _service(simulation)
    with mock.patch.object(service, "make", side_effect=Unavailable("broken")), pytest.raises(Unavailable):
        _tick(simulation)
    simulation.clock.sleep(900)
    with mock.patch("chalicelib.emails.post.FilePost.send", side_effect=NotSent("refused")), pytest.raises(NotSent):
        _tick(simulation)
    assert read_emails(tmp_path) == []
    simulation.clock.sleep(900)
    _tick(simulation)
    simulation.clock.sleep(900)
    _tick(simulation)
    assert len(read_emails(tmp_path)) == 1


def test_a_report_that_may_have_been_sent_is_not_sent_again(simulation: Simulation, tmp_path: Path) -> None:
    """A lost answer, and a process that died before it noted the answer."""
    with (
        mock.patch("chalicelib.emails.post.FilePost.send", side_effect=MaybeSent("no answer")),
        pytest.raises(MaybeSent),
    ):
        _tick(simulation)
    simulation.clock.sleep(900)
    _tick(simulation)
    assert read_emails(tmp_path) == []
    simulation.clock.sleep(86_400)
    with (
        mock.patch.object(_service(simulation)._reports, "sent", side_effect=Unavailable("broken")),
        pytest.raises(Unavailable),
    ):
        _tick(simulation)
    simulation.clock.sleep(900)
    _tick(simulation)
    assert len(read_emails(tmp_path)) == 1


@pytest.mark.parametrize("fails_at", range(1, 12))
def test_whichever_call_fails_one_report_is_sent(simulation: Simulation, tmp_path: Path, fails_at: int) -> None:
    """Every call of AWS fails once, before it is made; one report comes, at this hour or a quarter later."""
    calls = 0

    def break_one(call: object) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise Unavailable("broken")

    simulation.aws.before = break_one
    for _ in range(3):
        with contextlib.suppress(Unavailable):
            _tick(simulation)
        simulation.clock.sleep(900)
    assert len(read_emails(tmp_path)) == 1


def test_without_recipients_nothing_is_read() -> None:
    """Without REPORT_TO the schedule does nothing, and makes no call of AWS."""
    with new_simulation() as simulation:
        simulation.aws.calls.clear()
        _tick(simulation)
        assert simulation.aws.calls == []


@pytest.mark.parametrize(
    ("zone", "day", "at"),
    [
        ("Europe/Berlin", date(2026, 3, 29), datetime(2026, 3, 30, 7, tzinfo=UTC)),
        ("Europe/Berlin", date(2026, 3, 27), datetime(2026, 3, 28, 8, tzinfo=UTC)),
        ("Asia/Kathmandu", date(2026, 3, 27), datetime(2026, 3, 28, 3, 15, tzinfo=UTC)),
    ],
)
def test_the_hour_is_that_of_the_time_zone(tmp_path: Path, zone: str, day: date, at: datetime) -> None:
    """Nine o'clock before and after the clocks change, and in a zone whose hours begin at a quarter past."""
    mail = {"report_to": "a@x.org", "report_from": "r@x.org", "mail_url": tmp_path.as_uri(), "report_timezone": zone}
    with new_simulation(**mail) as simulation:
        simulation.clock.sleep((at - START - timedelta(minutes=1)).total_seconds())
        _tick(simulation)
        assert read_emails(tmp_path) == []
        simulation.clock.sleep(60)
        _tick(simulation)
        assert [report["Subject"].partition(":")[0] for report in read_emails(tmp_path)] == [
            f"Mailings on {day_text(day)}"
        ]
