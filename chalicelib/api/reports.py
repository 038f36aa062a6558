"""/api/reports/daily/: sending the daily report on request."""

from __future__ import annotations

from datetime import date

from ..domain.errors import Conflict, Unavailable
from ..web.bodies import ReportBody
from ..web.fields import MomentOut, View
from ..web.request import ADMINS, Request
from .routing import Routes

routes = Routes("reports")


class ReportView(View):
    """The report that was sent: its day, its recipients and its numbers."""

    day: date
    timezone: str
    complete: bool
    made_at: MomentOut
    recipients: list[str]
    mailings: int
    sent: int


@routes.route("POST", "/api/reports/daily", roles=ADMINS, errors=(Conflict, Unavailable))
def send_daily_report(request: Request, body: ReportBody) -> ReportView:
    """E-mail a day's report now, in addition to the one that is sent every day."""
    sent = request.services.reports.send(body.day)
    return ReportView(
        day=sent.report.day.on,
        timezone=sent.report.day.timezone,
        complete=sent.report.complete,
        made_at=sent.report.made_at,
        recipients=list(sent.recipients),
        mailings=sent.report.mailings.total(),
        sent=sent.report.sent_on_day,
    )
