"""/admin/account: your own password, tokens and sessions."""

from __future__ import annotations

from ..domain.errors import Invalid, NotFound
from ..domain.faults import Fault
from . import sessions
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _

pages = Pages()


@pages.get("/admin/account")
def show_account(request: PageRequest) -> Page:
    """Show who is signed in, and where."""
    users, username = request.services.users, request.principal.username
    return Page("account/page.html", {"user": users.get(username), "tokens": users.tokens(username)})


@pages.post("/admin/account/password", shows=show_account)
def change_password(request: PageRequest) -> Redirect:
    """Change your own password, which ends all your sessions."""
    form, users, username = request.form, request.services.users, request.principal.username
    if form.raw("password") != form.raw("repeated"):
        raise Invalid.of("repeated", Fault.AS_TOLD, text=_("is not the same as the new password"))
    users.confirm_password(username, form.raw("current_password"), request.address)
    users.change(username, password=form.raw("password"))
    return _signed_out(request, _("Your password was changed. Sign in with the new one."))


@pages.get("/admin/account/tokens/{token_id}/revoke")
def confirm_revoke(request: PageRequest, token_id: str) -> Page:
    """Ask whether to revoke a token; its users will need another one."""
    tokens = [one for one in request.services.users.tokens(request.principal.username) if one.token_id == token_id]
    if not tokens:
        raise NotFound(Fault.NO_SUCH_TOKEN)
    return Page("account/revoke.html", {"token": tokens[0]})


@pages.post("/admin/account/tokens/{token_id}/revoke", shows=show_account)
def revoke_token(request: PageRequest, token_id: str) -> Redirect:
    """Revoke one of your own tokens."""
    request.services.users.revoke_token(request.principal.username, token_id)
    return Redirect("/admin/account", flash=_("The token was revoked."))


@pages.get("/admin/account/sign-out")
def confirm_sign_out(request: PageRequest) -> Page:
    """Ask whether to end all your sessions and tokens."""
    return Page("account/sign_out.html", {"count": len(request.services.users.tokens(request.principal.username))})


@pages.post("/admin/account/sign-out", shows=show_account)
def sign_out_everywhere(request: PageRequest) -> Redirect:
    """Revoke all your own tokens, including this session's."""
    request.services.users.revoke_all_tokens(request.principal.username)
    return _signed_out(request, _("You are signed out everywhere."))


def _signed_out(request: PageRequest, flash: str) -> Redirect:
    gone = sessions.cookie(request, sessions.COOKIE, "", max_age=0)
    return Redirect("/admin/login", flash=flash, cookies=(gone,))
