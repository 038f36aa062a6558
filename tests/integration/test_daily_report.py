"""The daily report: made from real mailings, and read as a mail program reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.reports import Day
from chalicelib.domain.statuses import MailingStatus
from chalicelib.emails.daily import COLORS, STATUSES
from chalicelib.gateways.base import Answer
from chalicelib.services import reports
from chalicelib.services.reports import ReportService
from tests.factories import MailingFactory
from tests.support.mailbox import html, plain, read_emails
from tests.support.receipts import delivered, tell, undelivered
from tests.support.simulation import START, Simulation, new_simulation
from tests.support.turns import in_turn

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


def _sent_by(simulation: Simulation, tmp_path: Path) -> EmailMessage:
    """Today's report; yesterday's may have been sent before."""
    _service(simulation).send()
    return read_emails(tmp_path)[-1]


def _mailing_with_trouble(simulation: Simulation, **fields: str) -> dict[str, int]:
    """A finished mailing with sent, failed, unknown and skipped messages; its counts."""
    simulation.add_clients(60)
    simulation.add_clients(3, tag="vip", operator="917", opted_out=True)
    refused, unknown = Answer(Outcome.REFUSED, Cause.http(400), 400), Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
    accepted = Answer(Outcome.ACCEPTED)
    # Five of them get no answer, whenever they are tried: after six, the circuit would take the gateway to be down.
    simulation.gateway.script = in_turn([refused, accepted, accepted, unknown, accepted, refused, *[accepted] * 6])
    mailing = simulation.create_mailing(lasts=600, **fields)  # who is unknown holds it open until its end
    simulation.run_until_finished(mailing)
    return simulation.counts(mailing)


def test_the_report_counts_what_the_ledger_counts(simulation: Simulation, tmp_path: Path) -> None:
    """Text and HTML have the same numbers, by status and by reason, in every part of the e-mail."""
    counts = _mailing_with_trouble(simulation)
    assert {"sent", "failed", "unknown", "skipped"} <= set(counts)
    message = _sent_by(simulation, tmp_path)
    text, page = plain(message), html(message)
    for status in ("sent", "failed", "unknown", "skipped"):
        assert re.search(rf"^ +{counts[status]}  {status}$", text, re.MULTILINE)
        assert re.search(rf"</span> {status}</td><td[^>]*>{counts[status]}</td>", page)
    assert f"{counts['failed']}  failed: HTTP 400" in text
    assert f"{counts['skipped']}  skipped: opted out" in text
    assert f"Sent on this day: {counts['sent']}" in text
    assert re.search(rf"^ +{counts['sent']}  09:00$", text, re.MULTILINE)
    assert message["Subject"] == f"Mailings on 2 Mar 2026 (so far): {counts['sent']} messages sent"
    assert message["To"] == "ops@example.com, boss@example.com"


def test_singular_and_plural_are_right(simulation: Simulation, tmp_path: Path) -> None:
    """One mailing with one message, then two, in the subject, in HTML and in plain text."""
    simulation.add_clients(1)
    simulation.run_until_finished(simulation.create_mailing())
    message = _sent_by(simulation, tmp_path)
    assert message["Subject"] == "Mailings on 2 Mar 2026 (so far): 1 message sent"
    assert "In the 1 mailing of the day (1 finished)" in html(message)
    assert ">message sent on this day</p>" in html(message)
    assert "\n  1 message, 1 sent on this day, 1 sent\n" in plain(message)
    simulation.run_until_finished(simulation.create_mailing())
    simulation.clock.sleep(1)  # of the same second there is one report
    message = _sent_by(simulation, tmp_path)
    assert message["Subject"] == "Mailings on 2 Mar 2026 (so far): 2 messages sent"
    assert "In the 2 mailings of the day (2 finished)" in html(message)
    assert ">messages sent on this day</p>" in html(message)


def test_bars_are_drawn_without_images(simulation: Simulation, tmp_path: Path) -> None:
    """Each status and each hour has one as long as its number; nothing is attached, and nothing is downloaded."""
    counts = _mailing_with_trouble(simulation)
    message = _sent_by(simulation, tmp_path)
    page = html(message)
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    (label,) = re.findall(r'<table role="img" aria-label="([^"]+)"', page)
    assert label.startswith(f"Messages by status: {counts['sent']} sent, ")
    parts = re.findall(r'<td width="(\d+)%" style="[^"]*background:(#[0-9a-f]{6})">', page)
    assert [color for _, color in parts] == [COLORS[status] for status in STATUSES if counts.get(status)]
    assert sum(int(width) for width, _ in parts) == 100
    bars = re.findall(r'<table role="presentation" width="(\d+)%"', page)
    assert bars.count("100") >= 2  # the busiest hour, and the most common reason
    assert not re.search(r"https?://|<script|<link|<img|url\(", page)


def test_the_text_of_a_mailing_is_escaped(simulation: Simulation, tmp_path: Path) -> None:
    """HTML shows tags as text; a line break begins neither a header nor a line of its own."""
    hostile = '<img src=x onerror="alert(1)">\r\nBcc: thief@example.com {{ config|upper }} & \u202e'
    _mailing_with_trouble(simulation, text=hostile)
    message = _sent_by(simulation, tmp_path)
    page, text = html(message), plain(message)
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=&#34;alert(1)&#34;&gt; Bcc: thief@example.com {{" in page
    assert message["Bcc"] is None
    assert '  <img src=x onerror="alert(1)"> Bcc: thief@example.com {{' in text


def test_the_report_has_no_phone_number(simulation: Simulation, tmp_path: Path) -> None:
    """Neither a client's nor one in a text; the whole e-mail is searched as it is sent."""
    clients = simulation.add_clients(2)
    _mailing_with_trouble(simulation, text="Call +7 (495) 765-43-21 or 84957654321")
    message = _sent_by(simulation, tmp_path)
    texts = html(message) + plain(message) + str(message["Subject"])
    digits = re.sub(r"[^0-9A-Za-z\n]", "", texts)
    assert "4957654321" not in digits
    assert not [client for client in clients if client.phone_number.lstrip("+") in digits]


def test_a_day_without_mailings_has_a_report_that_says_so(simulation: Simulation, tmp_path: Path) -> None:
    """If no report comes, something is wrong. It has no bars."""
    message = _sent_by(simulation, tmp_path)
    assert "There were no mailings." in plain(message)
    assert "There were no mailings." in html(message)
    assert "background:#" not in html(message).partition("</h1>")[2]


def test_a_mailing_of_another_day_is_not_in_it(simulation: Simulation, tmp_path: Path) -> None:
    """Nor one that starts tomorrow."""
    _mailing_with_trouble(simulation)
    simulation.create_mailing(starts_in=86_400)
    assert _service(simulation).make(Day.of(YESTERDAY, "UTC")).mailings.total() == 0
    assert _service(simulation).make(Day.of(TODAY, "UTC")).mailings == {"finished": 1}
    assert _service(simulation).make(Day.of(TODAY + timedelta(days=1), "UTC")).mailings == {"scheduled": 1}


def test_a_mailing_over_two_days_is_in_both_with_what_each_sent(simulation: Simulation) -> None:
    """The sums of the hours are those of the mailing."""
    simulation.add_clients(40)
    mailing = simulation.create_mailing(starts_in=3600 - 20, rate_limit=1)  # 20 seconds before midnight in Kiritimati
    simulation.run_for(3600)
    simulation.run_until_finished(mailing)
    days = [Day.of(day, "Pacific/Kiritimati") for day in (TODAY, TODAY + timedelta(days=1))]
    before, after = map(_service(simulation).make, days)
    assert before.sent_on_day + after.sent_on_day == 40
    assert min(before.sent_on_day, after.sent_on_day) > 5
    assert before.messages == after.messages == {"sent": 40}


def test_very_many_mailings_are_counted_and_not_all_shown(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest are read and shown; the report says how many are left out, and the reads are limited."""
    for name, value in {"READ": 40, "DETAILED": 10, "LISTED": 5}.items():
        monkeypatch.setattr(reports, name, value)
    assert simulation.services is not None
    repository = simulation.services.mailings._mailings
    for size in range(50):
        made = MailingFactory(
            status=MailingStatus.SCHEDULED, start_at=START - timedelta(minutes=size), end_at=START + timedelta(hours=9)
        )
        repository.create(made)
        running = replace(made.moved_to(MailingStatus.RUNNING, START), launched_at=START - timedelta(minutes=size))
        assert repository.change(made, running)
        ended = replace(running.moved_to(MailingStatus.FINISHED, START), finished_at=START, final=(("sent", size),))
        assert repository.change(running, ended)
    simulation.aws.calls.clear()
    report = _service(simulation).make(Day.of(TODAY, "UTC"))
    assert len(simulation.aws.calls) < 30
    assert (report.mailings, len(report.lines), report.unlisted) == ({"finished": 40}, 5, 35)
    assert (report.unread, report.cut) == (30, True)
    assert [line.counts["total"] for line in report.lines] == [39, 38, 37, 36, 35]
    assert report.messages["sent"] == sum(range(40))


def test_a_long_report_is_still_a_small_e_mail(simulation: Simulation, tmp_path: Path) -> None:
    """Mail servers refuse large ones."""
    for _ in range(60):
        simulation.create_mailing(starts_in=600, text="ж" * 1600)
    _service(simulation).send()
    (path,) = tmp_path.glob("*.eml")
    assert path.stat().st_size < 200_000
    assert "… and 10 more" in plain(read_emails(tmp_path)[0])


def test_a_mailing_that_began_long_ago_is_in_the_report_of_the_day_that_sent_it(simulation: Simulation) -> None:
    """As in README's quick start: ordered now, with a window that opened months ago and stays open for years."""
    simulation.add_clients(5)
    mailing = simulation.create_mailing(starts_in=-60 * 86_400, lasts=3650 * 86_400)
    simulation.run_until_finished(mailing)
    report = _service(simulation).make(Day.of(TODAY, "UTC"))
    assert (report.mailings, report.sent_on_day, report.messages) == ({"finished": 1}, 5, {"sent": 5})
    assert [line.mailing_id for line in report.lines] == [mailing.mailing_id]
    assert _service(simulation).make(Day.of(TODAY + timedelta(days=1), "UTC")).mailings == {}


def test_a_mailing_that_began_two_months_ago_is_in_the_report(simulation: Simulation) -> None:
    """In that of the day of its last messages, though it has ended by then, but not of the weeks between."""
    simulation.add_clients(5)
    mailing = simulation.create_mailing(lasts=90 * 86_400)
    simulation.run_until_finished(mailing)
    assert simulation.services is not None
    repository = simulation.services.mailings._mailings
    ended = repository.get(mailing.mailing_id)
    long_ago = START - timedelta(days=60)
    assert repository.change(
        ended, replace(ended, start_at=long_ago, launched_at=long_ago, revision=ended.revision + 1)
    )
    report = _service(simulation).make(Day.of(TODAY, "UTC"))
    assert (report.mailings, report.sent_on_day) == ({"finished": 1}, 5)
    assert _service(simulation).make(Day.of(TODAY - timedelta(days=5), "UTC")).sent_on_day == 0


def test_a_report_reads_no_more_if_there_are_more_days(simulation: Simulation) -> None:
    """Expects a day's mailings to be found by the day, without a scan."""
    simulation.add_clients(5)
    simulation.run_until_finished(simulation.create_mailing())
    assert simulation.services is not None
    activity = simulation.services.overviews._activity
    assert len(activity.mailings(START, START + timedelta(days=1), 10)) == 1
    assert activity.mailings(START + timedelta(days=1), START + timedelta(days=2), 10) == []
    simulation.aws.calls.clear()
    _service(simulation).make(Day.of(TODAY, "UTC"))
    calls = len(simulation.aws.calls)
    for day in range(2, 30):
        activity.note_days(f"another of day {day}", [START + timedelta(days=day)], START)
    simulation.aws.calls.clear()
    _service(simulation).make(Day.of(TODAY, "UTC"))
    assert len(simulation.aws.calls) == calls
    assert not [call for call in simulation.aws.calls if call.endswith("Scan")]


def test_a_deleted_mailing_is_in_no_report(simulation: Simulation) -> None:
    """Expects the note of its day to be ignored."""
    simulation.add_clients(5)
    mailing = simulation.create_mailing(starts_in=-60 * 86_400, lasts=3650 * 86_400)
    simulation.run_until_finished(mailing)
    assert simulation.services is not None
    simulation.services.mailing_actions.delete(mailing.mailing_id)
    assert _service(simulation).make(Day.of(TODAY, "UTC")).mailings == {}


def test_deliveries_are_in_the_report(tmp_path: Path) -> None:
    """Expects them in total, and beside their mailing; nothing about them if no receipt came."""
    mail = {"report_to": RECIPIENTS, "report_from": "reports@example.com", "mail_url": tmp_path.as_uri()}
    workers = {"tick": 1, "dispatcher": 3, "sender": 2, "receiver": 1}
    receipts = {"gateway_receipts": True, "public_url": "https://service.example"}
    with new_simulation(workers_of=workers, **mail, **receipts) as simulation:
        simulation.add_clients(4)
        mailing = simulation.create_mailing()
        simulation.run_until_finished(mailing)
        assert "not delivered" not in plain(_sent_by(simulation, tmp_path))
        first, second, third, _ = simulation.rows(mailing)
        tell(simulation, delivered(first), delivered(second), undelivered(third))
        simulation.run_for(20)
        message = _sent_by(simulation, tmp_path)
    text, page = plain(message), html(message)
    for count, name in ((2, "delivered"), (1, "not delivered"), (1, "on its way")):
        assert re.search(rf"^ +{count}  {name}$", text, re.MULTILINE)
        assert re.search(rf">{name}</td><td[^>]*>{count}</td>", page)
    told = "2 delivered, 1 not delivered, 1 on its way"
    assert re.search(rf"4 messages, 4 sent on this day, 4 sent, {told}$", text, re.MULTILINE)
    assert f"{mailing.mailing_id}, {told}" in page
