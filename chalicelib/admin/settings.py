"""/admin/settings: the gateway's rate, pausing and resuming sending, recent changes, and the daily report."""

from __future__ import annotations

import re
import secrets
from urllib.parse import quote

from ..domain.errors import Invalid
from ..domain.faults import Fault
from ..domain.gateway_control import GatewayControl
from ..domain.statuses import MailingStatus
from ..services.gateway_control import MAX_RATE, GatewayControlService
from ..services.trials import Trial
from ..web.bodies import GatewayBudgetBody, ReportBody, TrialBody
from ..web.paging import PageQuery
from ..web.request import ADMINS
from . import formats
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _

pages = Pages()
_DIGITS = re.compile(r"[0-9]{1,9}")


class SettingsQuery(PageQuery):
    """A page of changes, and the gateway that is shown; without it, the first."""

    gateway: str | None = None


@pages.get("/admin/settings")
def show_settings(request: PageRequest, query: SettingsQuery) -> Page:
    """Show the rate, whether sending is paused, and their recent changes."""
    return _page(request, query)


def _page(request: PageRequest, query: SettingsQuery, trial: Trial | None = None) -> Page:
    gateway = query.gateway or _gateway(request)
    control = request.services.gateways.named(gateway).control
    changes, after = control.changes(query.place(), query.limit)
    values = {
        "control": control.state(),
        "balance": request.services.balances().of(request.services.gateways.named(gateway)),
        "pace": control.state().pace(request.now),
        "counts_parts": control.counts_parts,
        **_money(request, control.state(), gateway or request.services.gateways.names[0]),
        "changes": changes,
        "next": query.following(after),
        "trial": trial,
        "gateway": gateway or request.services.gateways.names[0],
        "gateways": request.services.gateways.names,
        "key": secrets.token_hex(16),
        "reply_url": _reply_url(request, gateway or request.services.gateways.names[0]),
    }
    return Page("settings/page.html", {**values, "max_rate": MAX_RATE, "first": not query.cursor, **_report(request)})


@pages.post("/admin/settings/rate", shows=show_settings)
def set_rate(request: PageRequest) -> Redirect:
    """Set the rate; an empty field means no limit."""
    given = request.form.text("rate")
    if given and not _DIGITS.fullmatch(given):
        raise Invalid.of("rate", Fault.AS_TOLD, text=_("must be a whole number, or empty for no limit"))
    _control(request).set_rate(int(given) if given else None, request.principal.username)
    return Redirect(_back(request), flash=_("The rate was changed. It takes effect within seconds."))


@pages.post("/admin/settings/budget", shows=show_settings)
def set_month_budget(request: PageRequest) -> Redirect:
    """Set what the messages of each month may cost; an empty field means no limit."""
    given = request.form.text("month_budget").replace(",", ".")
    body = request.form.into(GatewayBudgetBody, {"month_budget": given or None})
    if body.amount is not None:
        request.services.prices().check_there_are_some("month_budget")
    _control(request).set_month_budget(body.amount, request.principal.username)
    return Redirect(_back(request), flash=_("The budget was changed. It takes effect within seconds."))


@pages.post("/admin/settings/hold", shows=show_settings)
def hold(request: PageRequest) -> Redirect:
    """Pause sending."""
    _control(request).hold(request.principal.username, request.form.text("reason"))
    return Redirect(_back(request), flash=_("Sending is paused. Nothing is sent until you resume it."))


@pages.get("/admin/settings/close")
def confirm_close(request: PageRequest, query: SettingsQuery) -> Page:
    """Ask whether to resume sending, and say how many messages wait."""
    look = request.services.overviews.look(request.now)
    running = [one for one in look.under_way if one.mailing.status is MailingStatus.RUNNING]
    waiting = sum(one.total - one.done for one in running)
    values = {"waiting": waiting, "unseen": look.unseen, "gateway": query.gateway or _gateway(request)}
    return Page("settings/close.html", values)


@pages.post("/admin/settings/close", shows=confirm_close)
def close(request: PageRequest) -> Redirect:
    """Resume sending, including waiting messages."""
    _control(request).close(request.principal.username, request.form.text("reason"))
    request.services.feeder.ensure()
    return Redirect(_back(request), flash=_("Sending was resumed. Waiting messages are being sent."))


@pages.post("/admin/settings/test", shows=show_settings)
def test_gateway(request: PageRequest) -> Page:
    """Send a test message and show the result. Reloading the page sends nothing, because the key is the same."""
    number, text = request.form.text("phone_number"), request.form.raw("text")
    values = {"phone_number": number, "text": text, "gateway": _gateway(request)}
    body = request.form.into(TrialBody, values)
    username, key = request.principal.username, request.form.text("key")
    trial = request.services.trials().send(body.phone_number, body.text, username, key, body.gateway)
    return _page(request, SettingsQuery(), trial)


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


def _money(request: PageRequest, control: GatewayControl, gateway: str) -> dict[str, object]:
    """The budget of the month, if there is one, and the currency."""
    name = request.services.gateways.named(gateway).name
    spending = request.services.spending.of_month(name, control.month_budget, request.now)
    return {"currency": request.services.prices().get().currency, "spending": spending}


def _gateway(request: PageRequest) -> str | None:
    """The gateway that a form is for, if there are several."""
    return request.form.text("gateway") or None


def _reply_url(request: PageRequest, gateway: str) -> str:
    """The address for the gateway's replies, as it is to be entered at the provider.

    It contains a secret, so only admins see it.
    """
    url = request.services.receipt_links.reply_url(gateway) if request.is_admin else ""
    query = request.services.gateways.named(gateway).gateway.capabilities.reply_query
    return f"{url}?{query}" if url and query else url


def _control(request: PageRequest) -> GatewayControlService:
    return request.services.gateways.named(_gateway(request)).control


def _back(request: PageRequest) -> str:
    gateway = _gateway(request)
    return f"/admin/settings?gateway={quote(gateway)}" if gateway else "/admin/settings"


def _report(request: PageRequest) -> dict[str, object]:
    settings = request.services.settings
    hour = f"{settings.report_hour:02}:00"
    return {"recipients": settings.report_recipients, "report_hour": hour, "report_timezone": settings.report_timezone}
