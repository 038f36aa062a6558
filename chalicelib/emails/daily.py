"""The daily report as an e-mail: plain text, and HTML with its charts inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from ..domain.reports import DailyReport
from ..domain.statuses import COUNTED
from ..wording import day_text, moment_text, reason_text
from . import charts

STATUSES = ("sent", "queued", "waiting", *(status for status in COUNTED if status not in ("sent", "waiting")))
COLORS: dict[str, charts.Color] = {
    "sent": (22, 128, 60),
    "queued": (147, 197, 253),
    "waiting": (37, 99, 235),
    "failed": (185, 28, 28),
    "unknown": (217, 119, 6),
    "expired": (126, 34, 206),
    "cancelled": (75, 85, 99),
    "skipped": (14, 116, 144),
}
_OTHER = (0, 0, 0)
_TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True, slots=True)
class Chart:
    """An image of the report: by which id the HTML shows it, and what it says to who cannot see it."""

    name: str
    image: bytes
    alt: str

    @property
    def cid(self) -> str:
        return f"{self.name}@message-service"


def message_for(report: DailyReport, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The e-mail. Its Message-ID follows from the day and the moment of the report."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Subject"] = f"Mailings on {_title(report)}: {_counted(report.sent_on_day, 'message')} sent"
    message["Date"] = format_datetime(report.made_at)
    moment = f"{report.made_at:%Y%m%dT%H%M%SZ}"
    message["Message-ID"] = f"<daily-{report.day.on.isoformat()}-{moment}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    drawn = _charts(report)
    message.set_content(_rendered("daily.txt", report, drawn))
    message.add_alternative(_rendered("daily.html", report, drawn), subtype="html")
    html = message.get_payload()[1]  # type: ignore[index]
    assert isinstance(html, EmailMessage)  # noqa: S101 - the part that was just added
    for chart in drawn.values():
        html.add_related(
            chart.image, "image", "png", cid=f"<{chart.cid}>", filename=f"{chart.name}.png", disposition="inline"
        )
    return message


def _title(report: DailyReport) -> str:
    return day_text(report.day.on) if report.complete else f"{day_text(report.day.on)} (so far)"


def _charts(report: DailyReport) -> dict[str, Chart]:
    """By name; a chart of nothing is left out."""
    drawn: list[Chart] = []
    if report.messages.total():
        values = [report.messages[status] for status in STATUSES]
        told = ", ".join(f"{value:,} {status}" for status, value in zip(STATUSES, values, strict=True) if value)
        image = charts.divided(values, [COLORS.get(status, _OTHER) for status in STATUSES])
        drawn.append(Chart("statuses", image, f"Messages by status: {told}"))
    if report.sent_on_day:
        counts = [count for _, count in report.sent]
        at, most = max(report.sent, key=lambda one: one[1])
        busiest = f"the busiest hour, from {report.day.clock(at)}, had {most:,}"
        alt = f"Messages sent by hour: {report.sent_on_day:,} in total; {busiest}"
        drawn.append(Chart("hours", charts.columns(counts, [COLORS["sent"]] * len(counts)), alt))
    if report.reasons:
        image = charts.columns(
            [line.count for line in report.reasons], [COLORS.get(line.status, _OTHER) for line in report.reasons]
        )
        first = report.reasons[0]
        common = f"{first.count:,}, {first.status}: {reason_text(first.cause)}"
        alt = f"Messages not sent, by reason; the most common: {common}"
        drawn.append(Chart("reasons", image, alt))
    return {chart.name: chart for chart in drawn}


def _rendered(template: str, report: DailyReport, drawn: dict[str, Chart]) -> str:
    return (
        _environment()
        .get_template(template)
        .render(report=report, title=_title(report), charts=drawn, statuses=STATUSES, colors=_css_colors())
    )


def _css_colors() -> dict[str, str]:
    return {status: "#{:02x}{:02x}{:02x}".format(*COLORS.get(status, _OTHER)) for status in STATUSES}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "counted": _counted, "reason": reason_text, "moment": moment_text}
    return environment


def _number(value: Any) -> str:
    return "?" if value is None else f"{value:,}"


def _counted(value: int, name: str) -> str:
    return f"{value:,} {name}" if value == 1 else f"{value:,} {name}s"
