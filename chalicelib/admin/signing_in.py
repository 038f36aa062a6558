"""/admin/login and /admin/logout: a session begins with a password and ends with its token."""

from __future__ import annotations

import re

from pydantic import BaseModel

from . import sessions
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _

pages = Pages()
_OURS = re.compile(r"/admin(/[A-Za-z0-9_/-]{0,200})?")


class SignInQuery(BaseModel):
    """Where to go after."""

    next: str = ""


@pages.get("/admin/login", roles=None)
def show_sign_in(request: PageRequest, query: SignInQuery) -> Page:
    """Ask for username and password."""
    return Page("login.html", {"next": query.next})


@pages.post("/admin/login", roles=None, shows=show_sign_in)
def sign_in(request: PageRequest, query: SignInQuery) -> Redirect:
    """Begin a session."""
    form = request.form
    _session, cookie = sessions.begin(request, form.text("username"), form.raw("password"))
    return Redirect(query.next if _OURS.fullmatch(query.next) else "/admin", cookies=(cookie,))


@pages.post("/admin/logout")
def sign_out(request: PageRequest) -> Redirect:
    """End the session and revoke its token."""
    if request.session is not None:
        request.services.users.revoke_secret(request.session.secret)
    gone = sessions.cookie(request, sessions.COOKIE, "", max_age=0)
    return Redirect("/admin/login", flash=_("You have signed out."), cookies=(gone,))
