"""One request of a browser: who asks, in which language and time zone, and what was entered."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from chalice.app import Request

from ..bootstrap import Services
from ..domain.clients import check_timezone
from ..domain.errors import Invalid
from ..domain.users import Principal, Role
from ..web.request import Call
from . import languages, sessions
from .forms import Form
from .sessions import Session

FLASH, LANGUAGE, ZONE = "flash", "language", "zone"
_MAX_FLASH = 500


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page's function is given."""

    call: Call
    cookies: Mapping[str, str]
    language: str
    zone_name: str
    session: Session | None = None
    form: Form = field(default_factory=Form)
    text: str = ""  # the body, where a page takes another kind than a form

    @property
    def services(self) -> Services:
        return self.call.services

    @property
    def query_values(self) -> dict[str, list[str]]:
        """The query as it came."""
        return self.call.query_values

    @property
    def principal(self) -> Principal:
        """Who is signed in; only pages that need a session may ask."""
        return self.call.principal

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
        return self.call.header("hx-request") == "true"

    @property
    def flash(self) -> str:
        """What the page before had to say."""
        try:
            raw = self.cookies.get(FLASH, "")
            return base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)).decode()[:_MAX_FLASH]
        except (binascii.Error, ValueError):
            return ""

    def link(self, path: str) -> str:
        """A path of ours as this browser has to write it."""
        return self.call.link(path)

    def local(self, moment: datetime) -> datetime:
        """A moment in the operator's zone."""
        return moment.astimezone(self.zone)

    def signed_in(self, session: Session) -> Visit:
        """The visit with its session."""
        call = Call(self.call.request, self.call.services, session.principal)
        return replace(self, call=call, session=session)

    def with_form(self, form: Form) -> Visit:
        return replace(self, form=form)


def enter(request: Request, services: Services) -> Visit:
    """The visit that a request begins, before anybody is asked who it is."""
    call = Call(request, services, None)
    cookies = sessions.cookies(call)
    language = cookies.get(LANGUAGE, "")
    if language not in languages.LANGUAGES:
        language = languages.preferred(call.header("accept-language") or "")
    return Visit(call, cookies, language, known_zone(cookies.get(ZONE, "")) or "UTC")


def known_zone(name: str) -> str:
    """The name of a time zone, "" where there is none of that name."""
    try:
        return check_timezone(name) if name else ""
    except Invalid:
        return ""


def flash_value(text: str) -> str:
    """A text as the value of a cookie."""
    return base64.urlsafe_b64encode(text[:_MAX_FLASH].encode("utf-8", "replace")).decode().rstrip("=")
