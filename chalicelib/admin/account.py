"""/admin/account: one's own password, tokens and sessions."""

from __future__ import annotations

from ..domain.errors import Invalid, NotFound
from ..domain.faults import Fault
from . import sessions
from .routing import Page, Pages, Redirect
from .texts import _
from .visits import Visit

pages = Pages()


@pages.get("/admin/account")
def show_account(visit: Visit) -> Page:
    """Show who is signed in, and where."""
    accounts, username = visit.services.accounts, visit.principal.username
    return Page("account/page.html", {"user": accounts.get(username), "tokens": accounts.tokens(username)})


@pages.post("/admin/account/password", shows=show_account)
def change_password(visit: Visit) -> Redirect:
    """Change one's own password, which ends all sessions."""
    form, accounts, username = visit.form, visit.services.accounts, visit.principal.username
    if form.raw("password") != form.raw("repeated"):
        raise Invalid.of("repeated", Fault.AS_TOLD, text=_("is not the same as the new password"))
    accounts.confirm_password(username, form.raw("current_password"), visit.call.address)
    accounts.change(username, password=form.raw("password"))
    return _signed_out(visit, _("Your password was changed. Sign in with the new one."))


@pages.get("/admin/account/tokens/{token_id}/revoke")
def confirm_revoke(visit: Visit, token_id: str) -> Page:
    """Ask whether to revoke a token: whoever uses it needs another one."""
    tokens = [one for one in visit.services.accounts.tokens(visit.principal.username) if one.token_id == token_id]
    if not tokens:
        raise NotFound(Fault.NO_SUCH_TOKEN)
    return Page("account/revoke.html", {"token": tokens[0]})


@pages.post("/admin/account/tokens/{token_id}/revoke", shows=show_account)
def revoke_token(visit: Visit, token_id: str) -> Redirect:
    """Revoke one of one's own tokens."""
    visit.services.accounts.revoke_token(visit.principal.username, token_id)
    return Redirect("/admin/account", flash=_("The token was revoked."))


@pages.get("/admin/account/sign-out")
def confirm_sign_out(visit: Visit) -> Page:
    """Ask whether to end all one's sessions and tokens."""
    return Page("account/sign_out.html", {"count": len(visit.services.accounts.tokens(visit.principal.username))})


@pages.post("/admin/account/sign-out", shows=show_account)
def sign_out_everywhere(visit: Visit) -> Redirect:
    """Revoke all one's own tokens, this session's too."""
    visit.services.accounts.revoke_all_tokens(visit.principal.username)
    return _signed_out(visit, _("You are signed out everywhere."))


def _signed_out(visit: Visit, flash: str) -> Redirect:
    gone = sessions.cookie(visit.call, sessions.COOKIE, "", max_age=0)
    return Redirect("/admin/login", flash=flash, cookies=(gone,))
