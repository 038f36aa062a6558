"""/api/reports/daily/: the daily report, sent when somebody asks for it."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from ..domain.errors import Conflict, Unavailable
from ..domain.faults import Fault
from .fields import Body, MomentOut, View, example, refused
from .routing import ADMINS, Call, Routes

routes = Routes("reports")


def _date(value: Any) -> date:
    try:
        if isinstance(value, str) and re.fullmatch(r"(20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}", value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise refused(Fault.NOT_A_DATE)


DateIn = Annotated[
    date, BeforeValidator(_date), WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-03-02"]})
]


class ReportBody(Body):
    """The day, by the date in the report's time zone; null or absent: today so far."""

    model_config = example({"day": "2026-03-02"})

    day: DateIn | None = None


class ReportView(View):
    """What was sent: the report of which day, to whom, and what it counts."""

    day: date
    timezone: str
    complete: bool
    made_at: MomentOut
    recipients: list[str]
    mailings: int
    sent: int


@routes.route("POST", "/api/reports/daily", roles=ADMINS, errors=(Conflict, Unavailable))
def send_daily_report(call: Call, body: ReportBody) -> ReportView:
    """E-mail a day's report now, beside the one that is sent every day."""
    sent = call.services.reports.send(body.day)
    return ReportView(
        day=sent.report.day.on,
        timezone=sent.report.day.timezone,
        complete=sent.report.complete,
        made_at=sent.report.made_at,
        recipients=list(sent.recipients),
        mailings=sent.report.mailings.total(),
        sent=sent.report.sent_on_day,
    )
