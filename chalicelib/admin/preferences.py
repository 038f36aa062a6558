"""/admin/preferences: the language and time zone of this browser, kept in its cookies and nowhere else."""

from __future__ import annotations

import re

from ..domain.errors import Invalid
from ..domain.faults import Fault
from . import languages, page_request, sessions
from .page_request import LANGUAGE, ZONE, PageRequest
from .routing import Page, Pages, Redirect
from .texts import _

pages = Pages()
_OURS = re.compile(r"/admin(/[A-Za-z0-9_/-]{0,200})?")
_YEAR = 365 * 24 * 3600


@pages.get("/admin/preferences", roles=None)
def show_preferences(request: PageRequest) -> Page:
    """Show the choices."""
    return Page("preferences.html")


@pages.post("/admin/preferences", roles=None, shows=show_preferences)
def choose_preferences(request: PageRequest) -> Redirect:
    """Save the choices that were made; the others stay."""
    chosen = {}
    if (language := request.form.text("language")) in languages.LANGUAGES:
        chosen[LANGUAGE] = language
    if zone := request.form.text("zone"):
        if not page_request.known_zone(zone):
            raise Invalid.of("zone", Fault.AS_TOLD, text=_("is not a time zone; use a name such as Europe/Moscow"))
        chosen[ZONE] = zone
    cookies = tuple(
        sessions.cookie(request, name, value, http_only=False, max_age=_YEAR) for name, value in chosen.items()
    )
    back = request.form.text("back")
    return Redirect(back if _OURS.fullmatch(back) else "/admin", cookies=cookies)
