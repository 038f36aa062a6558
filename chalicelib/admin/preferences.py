"""/admin/preferences: the language and time zone of this browser, kept in its cookies and nowhere else."""

from __future__ import annotations

import re

from ..domain.errors import Invalid
from ..domain.faults import Fault
from . import languages, sessions, visits
from .routing import Page, Pages, Redirect
from .texts import _
from .visits import LANGUAGE, ZONE, Visit

pages = Pages()
_OURS = re.compile(r"/admin(/[A-Za-z0-9_/-]{0,200})?")
_YEAR = 365 * 24 * 3600


@pages.get("/admin/preferences", roles=None)
def show_preferences(visit: Visit) -> Page:
    """Show the choices."""
    return Page("preferences.html")


@pages.post("/admin/preferences", roles=None, shows=show_preferences)
def choose_preferences(visit: Visit) -> Redirect:
    """Keep the choices that were made; the others stay."""
    chosen = {}
    if (language := visit.form.text("language")) in languages.LANGUAGES:
        chosen[LANGUAGE] = language
    if zone := visit.form.text("zone"):
        if not visits.known_zone(zone):
            raise Invalid.of("zone", Fault.AS_TOLD, text=_("is not a time zone; use a name such as Europe/Moscow"))
        chosen[ZONE] = zone
    cookies = tuple(
        sessions.cookie(visit.call, name, value, http_only=False, max_age=_YEAR) for name, value in chosen.items()
    )
    back = visit.form.text("back")
    return Redirect(back if _OURS.fullmatch(back) else "/admin", cookies=cookies)
