"""/admin/settings: the gateway's rate, pausing and resuming sending, recent changes, and the daily report."""

from __future__ import annotations

import re
import secrets

from ..domain.errors import Invalid
from ..domain.faults import Fault
from ..domain.statuses import MailingStatus
from ..services.gateway_control import MAX_RATE
from ..services.trials import Trial
from ..web.bodies import ReportBody, TrialBody
from ..web.paging import PageQuery
from ..web.request import ADMINS
from . import formats
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _

pages = Pages()
_DIGITS = re.compile(r"[0-9]{1,9}")


@pages.get("/admin/settings")
def show_settings(request: PageRequest, query: PageQuery) -> Page:
    """Show the rate, whether sending is paused, and their recent changes."""
    return _page(request, query)


def _page(request: PageRequest, query: PageQuery, trial: Trial | None = None) -> Page:
    control = request.services.gateway_control
    changes, after = control.changes(query.place(), query.limit)
    values = {
        "control": control.state(),
        "pace": control.state().pace(request.now),
        "counts_parts": control.counts_parts,
        "changes": changes,
        "next": query.following(after),
        "trial": trial,
        "key": secrets.token_hex(16),
    }
    return Page("settings/page.html", {**values, "max_rate": MAX_RATE, "first": not query.cursor, **_report(request)})


@pages.post("/admin/settings/rate", shows=show_settings)
def set_rate(request: PageRequest) -> Redirect:
    """Set the rate; an empty field is no limit."""
    given = request.form.text("rate")
    if given and not _DIGITS.fullmatch(given):
        raise Invalid.of("rate", Fault.AS_TOLD, text=_("must be a whole number, or empty for no limit"))
    request.services.gateway_control.set_rate(int(given) if given else None, request.principal.username)
    return Redirect("/admin/settings", flash=_("The rate was changed. It takes effect within seconds."))


@pages.post("/admin/settings/hold", shows=show_settings)
def hold(request: PageRequest) -> Redirect:
    """Pause sending."""
    request.services.gateway_control.hold(request.principal.username, request.form.text("reason"))
    return Redirect("/admin/settings", flash=_("Sending is paused. Nothing is sent until you resume it."))


@pages.get("/admin/settings/close")
def confirm_close(request: PageRequest) -> Page:
    """Ask whether to resume sending, and say how many messages wait."""
    look = request.services.overviews.look(request.now)
    running = [one for one in look.under_way if one.mailing.status is MailingStatus.RUNNING]
    waiting = sum(one.total - one.done for one in running)
    return Page("settings/close.html", {"waiting": waiting, "unseen": look.unseen})


@pages.post("/admin/settings/close", shows=confirm_close)
def close(request: PageRequest) -> Redirect:
    """Resume sending, waiting messages included."""
    request.services.gateway_control.close(request.principal.username, request.form.text("reason"))
    request.services.feeder.ensure()
    return Redirect("/admin/settings", flash=_("Sending was resumed. Waiting messages are being sent."))


@pages.post("/admin/settings/try", shows=show_settings)
def try_gateway(request: PageRequest) -> Page:
    """Send a test message, and show what came of it. To reload the page sends nothing: it has the same key."""
    values = {"phone_number": request.form.text("phone_number"), "text": request.form.raw("text")}
    body = request.form.into(TrialBody, values)
    username, key = request.principal.username, request.form.text("key")
    return _page(request, PageQuery(), request.services.trials().send(body.phone_number, body.text, username, key))


@pages.post("/admin/settings/report", shows=show_settings, roles=ADMINS)
def send_report(request: PageRequest) -> Redirect:
    """E-mail the report of a day now, or of today so far if the field is empty."""
    body = request.form.into(ReportBody, {"day": request.form.text("day") or None})
    sent = request.services.reports.send(body.day)
    text = _(
        "The report for %(day)s was sent to %(people)s.",
        day=formats.day(sent.report.day.on),
        people=", ".join(sent.recipients),
    )
    return Redirect("/admin/settings", flash=text)


def _report(request: PageRequest) -> dict[str, object]:
    settings = request.services.settings
    hour = f"{settings.report_hour:02}:00"
    return {"recipients": settings.report_recipients, "report_hour": hour, "report_timezone": settings.report_timezone}
