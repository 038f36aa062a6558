"""/admin/settings: how hard the gateway is driven, its circuit, and who changed them."""

from __future__ import annotations

import re

from ..api.fields import PageQuery
from ..domain.errors import Invalid
from ..services.gateway_control import MAX_RATE
from .routing import Page, Pages, Redirect
from .texts import _
from .visits import Visit

pages = Pages()
_DIGITS = re.compile(r"[0-9]{1,9}")


@pages.get("/admin/settings")
def show_settings(visit: Visit, query: PageQuery) -> Page:
    """Show rate, circuit and the trail of their changes."""
    control = visit.services.gateway_control
    changes, after = control.changes(query.place(), query.limit)
    values = {"control": control.state(), "changes": changes, "next": query.following(after)}
    return Page("settings/page.html", {**values, "max_rate": MAX_RATE, "first": not query.cursor})


@pages.post("/admin/settings/rate", shows=show_settings)
def set_rate(visit: Visit) -> Redirect:
    """Set the rate; an empty field is no limit."""
    given = visit.form.text("rate")
    if given and not _DIGITS.fullmatch(given):
        raise Invalid.of("rate", _("must be a whole number of messages a second, or empty for no limit"))
    visit.services.gateway_control.set_rate(int(given) if given else None, visit.principal.username)
    return Redirect("/admin/settings", flash=_("The rate is set; senders follow within seconds."))


@pages.post("/admin/settings/hold", shows=show_settings)
def hold(visit: Visit) -> Redirect:
    """Open the circuit by hand."""
    visit.services.gateway_control.hold(visit.principal.username, visit.form.text("reason"))
    return Redirect("/admin/settings", flash=_("The circuit is open: nothing is sent until you close it."))


@pages.post("/admin/settings/close", shows=show_settings)
def close(visit: Visit) -> Redirect:
    """Close the circuit by hand, and send what waits."""
    visit.services.gateway_control.close(visit.principal.username, visit.form.text("reason"))
    visit.services.feeder.ensure_pump()
    return Redirect("/admin/settings", flash=_("The circuit is closed: what waited is being sent."))
