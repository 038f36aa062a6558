"""The daily report as an e-mail: plain text, and HTML with bars made of table cells.

Mail programs show neither SVG nor scripts, and many no images until they are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from ..domain.deliveries import DeliveryStatus
from ..domain.reports import DailyReport
from ..domain.statuses import COUNTED
from ..wording import day_text, moment_text, reason_text

STATUSES = ("sent", "queued", "waiting", *(status for status in COUNTED if status not in ("sent", "waiting")))
COLORS = {
    "sent": "#16803c",
    "queued": "#93c5fd",
    "waiting": "#2563eb",
    "failed": "#b91c1c",
    "unknown": "#d97706",
    "expired": "#7e22ce",
    "cancelled": "#4b5563",
    "skipped": "#0e7490",
}
_OTHER = "#000000"
DELIVERY_STATUSES = {
    DeliveryStatus.DELIVERED: "delivered",
    DeliveryStatus.UNDELIVERED: "not delivered",
    DeliveryStatus.PENDING: "on its way",
    DeliveryStatus.NO_RECEIPT: "no receipt",
}
_TEMPLATES = Path(__file__).with_name("templates")


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
    message.set_content(_rendered("daily.txt", report))
    message.add_alternative(_rendered("daily.html", report), subtype="html")
    return message


def _title(report: DailyReport) -> str:
    return day_text(report.day.on) if report.complete else f"{day_text(report.day.on)} (so far)"


def shares(values: Sequence[int]) -> list[int]:
    """Whole percents of a bar for each value, 100 in total unless all are zero.

    A value above zero is at least visible.
    """
    total = sum(values)
    if not total:
        return [0] * len(values)
    found = [max(1, 100 * value // total) if value else 0 for value in values]
    found[values.index(max(values))] += 100 - sum(found)
    return found


def length(value: int, highest: int) -> int:
    """Whole percents of the longest bar; a value above zero is at least visible."""
    return max(1, round(100 * value / highest)) if value > 0 else 0


def _rendered(template: str, report: DailyReport) -> str:
    by_status = [(status, report.messages[status]) for status in STATUSES if report.messages[status]]
    return (
        _environment()
        .get_template(template)
        .render(
            report=report,
            title=_title(report),
            statuses=STATUSES,
            by_status=by_status,
            shares=shares([count for _, count in by_status]),
            length=length,
            delivery_statuses=DELIVERY_STATUSES,
            colors={status: COLORS.get(status, _OTHER) for status in STATUSES},
        )
    )


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
