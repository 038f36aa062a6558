"""/admin/users: who may use the service, for admins."""

from __future__ import annotations

from ..domain.errors import Invalid
from ..domain.faults import Fault
from ..domain.users import Role
from ..services.passwords import invented_password
from ..web.paging import PageQuery
from ..web.request import ADMINS
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _

pages = Pages()


@pages.get("/admin/users", roles=ADMINS)
def list_users(request: PageRequest, query: PageQuery) -> Page:
    """Show the users by name, and the form for another."""
    users, after = request.services.users.list(query.place(), query.limit)
    values = {"users": users, "total": request.services.users.count(), "next": query.following(after)}
    return Page("users/list.html", {**values, "roles": _roles(), "first": not query.cursor})


@pages.post("/admin/users", shows=list_users, roles=ADMINS)
def create_user(request: PageRequest) -> Page:
    """Add a user with a generated password, which is shown only once."""
    username, password = request.form.text("username"), invented_password()
    request.services.users.create(username, password, _role(request))
    return Page("users/password.html", {"username": username, "password": password, "created": True})


@pages.get("/admin/users/{username}", roles=ADMINS)
def show_user(request: PageRequest, username: str) -> Page:
    """Show one user, and what can be done."""
    users = request.services.users
    user = users.get(username)
    return Page("users/user.html", {"user": user, "tokens": users.tokens(username), "roles": _roles()})


@pages.post("/admin/users/{username}/role", shows=show_user, roles=ADMINS)
def change_role(request: PageRequest, username: str) -> Redirect:
    """Give a user another role, which signs the user out."""
    request.services.users.change(username, role=_role(request))
    return Redirect(f"/admin/users/{username}", flash=_("Changes saved."))


@pages.get("/admin/users/{username}/password", roles=ADMINS)
def confirm_password(request: PageRequest, username: str) -> Page:
    """Ask whether to reset the password."""
    return Page("users/confirm.html", {"user": request.services.users.get(username), "action": "password"})


@pages.post("/admin/users/{username}/password", shows=confirm_password, roles=ADMINS)
def reset_password(request: PageRequest, username: str) -> Page:
    """Give a user a generated password, which is shown only once."""
    password = request.services.users.reset_password(username)
    return Page("users/password.html", {"username": username, "password": password, "created": False})


@pages.get("/admin/users/{username}/sign-out", roles=ADMINS)
def confirm_sign_out(request: PageRequest, username: str) -> Page:
    """Ask whether to revoke all tokens."""
    return Page("users/confirm.html", {"user": request.services.users.get(username), "action": "sign-out"})


@pages.post("/admin/users/{username}/sign-out", shows=confirm_sign_out, roles=ADMINS)
def sign_user_out(request: PageRequest, username: str) -> Redirect:
    """Revoke all tokens of a user."""
    request.services.users.revoke_all_tokens(username)
    text = _("%(username)s was signed out everywhere.", username=username)
    return Redirect(f"/admin/users/{username}", flash=text)


@pages.get("/admin/users/{username}/delete", roles=ADMINS)
def confirm_delete(request: PageRequest, username: str) -> Page:
    """Ask whether to delete a user."""
    return Page("users/confirm.html", {"user": request.services.users.get(username), "action": "delete"})


@pages.post("/admin/users/{username}/delete", shows=confirm_delete, roles=ADMINS)
def delete_user(request: PageRequest, username: str) -> Redirect:
    """Delete a user and all their tokens."""
    request.services.users.delete(username)
    return Redirect("/admin/users", flash=_("The user %(username)s was deleted.", username=username))


def _role(request: PageRequest) -> Role:
    try:
        return Role(request.form.text("role"))
    except ValueError as error:
        raise Invalid.of("role", Fault.AS_TOLD, text=_("must be one of the choices")) from error


def _roles() -> dict[str, str]:
    return {str(Role.OPERATOR): _("Operator"), str(Role.ADMIN): _("Admin")}
