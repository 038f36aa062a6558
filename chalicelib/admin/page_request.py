"""A browser's request: its user, language, time zone and form."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from chalice.app import Request as ChaliceRequest

from ..bootstrap import Services
from ..domain.clients import check_timezone
from ..domain.errors import Invalid, Unavailable
from ..domain.file_texts import FileText
from ..domain.sending_states import Sending
from ..domain.users import Role
from ..web.request import Request
from . import languages, sessions
from .forms import Form
from .sessions import Session

FLASH, LANGUAGE, ZONE = "flash", "language", "zone"
_MAX_FLASH = 500


@dataclass(frozen=True, slots=True)
class PageRequest(Request):
    """The argument of a page's function. `form` has the entered values, `session` is None if nobody is signed in."""

    cookies: Mapping[str, str] = field(default_factory=dict)
    language: str = languages.DEFAULT
    zone_name: str = "UTC"
    session: Session | None = None
    form: Form = field(default_factory=Form)
    file: FileText | None = None  # the body, if a page takes a file instead of a form

    @property
    def is_admin(self) -> bool:
        return self.session is not None and self.session.principal.role is Role.ADMIN

    @property
    def zone(self) -> tzinfo:
        """The operator's own time zone."""
        return ZoneInfo(self.zone_name)

    @property
    def now(self) -> datetime:
        return self.services.clock.now().astimezone(UTC)

    @property
    def partial(self) -> bool:
        """Whether htmx asks for a part of a page."""
        return self.header("hx-request") == "true"

    @property
    def flash(self) -> str:
        """The message from the previous page."""
        try:
            raw = self.cookies.get(FLASH, "")
            return base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)).decode()[:_MAX_FLASH]
        except (binascii.Error, ValueError):
            return ""

    def sending(self) -> Sending | None:
        """Whether anything is being sent; None if that is not known, so that the page can still be shown."""
        try:
            return self.services.sending.look()
        except Unavailable:
            return None

    def local(self, moment: datetime) -> datetime:
        """A moment in the operator's zone."""
        return moment.astimezone(self.zone)

    def signed_in(self, session: Session) -> PageRequest:
        """The request with its session."""
        return replace(self, given_principal=session.principal, session=session)

    def with_form(self, form: Form) -> PageRequest:
        return replace(self, form=form)


def begin(raw: ChaliceRequest, services: Services) -> PageRequest:
    """A browser's request, before its session is known."""
    request = PageRequest(raw, services)
    cookies = sessions.cookies(request)
    language = cookies.get(LANGUAGE, "")
    if language not in languages.LANGUAGES:
        language = languages.preferred(request.header("accept-language") or "")
    return replace(request, cookies=cookies, language=language, zone_name=known_zone(cookies.get(ZONE, "")) or "UTC")


def known_zone(name: str) -> str:
    """The name of a time zone, "" if there is no such time zone."""
    try:
        return check_timezone(name) if name else ""
    except Invalid:
        return ""


def flash_value(text: str) -> str:
    """A text as the value of a cookie."""
    return base64.urlsafe_b64encode(text[:_MAX_FLASH].encode("utf-8", "replace")).decode().rstrip("=")
