"""Registering pages and actions, and their answers; `answering.py` serves them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..domain.errors import NotFound
from ..domain.faults import Fault
from ..domain.users import Role
from ..web.request import EVERYBODY
from . import forms
from .page_request import PageRequest

Handler = Callable[..., Any]
Headers = dict[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Page:
    """A template with its values."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Redirect:
    """The answer of a change: the next page, and a message for it. `cookies` are whole Set-Cookie headers."""

    path: str
    flash: str = ""
    cookies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One page or action: everything that serving it needs."""

    method: str
    path: str
    handler: Handler
    roles: frozenset[Role] | None
    shows: Handler | None
    consumes: str
    max_bytes: int


class Pages:
    """The pages of one resource."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def get(self, path: str, *, roles: frozenset[Role] | None = EVERYBODY) -> Callable[[Handler], Handler]:
        """Serve a page, which must change nothing. `roles` None means for everybody, signed in or not."""
        return self._register("GET", path, roles, None, forms.FORM, forms.MAX_FORM)

    def post(
        self,
        path: str,
        *,
        shows: Handler | None = None,
        roles: frozenset[Role] | None = EVERYBODY,
        consumes: str = forms.FORM,
        max_bytes: int = forms.MAX_FORM,
    ) -> Callable[[Handler], Handler]:
        """Serve a change. If it fails, the page `shows` is shown again with what was entered.

        With another `consumes` the body is `request.file` (or `request.body` for bytes), and the CSRF token is in the
        header X-CSRF-Token.
        """
        return self._register("POST", path, roles, shows, consumes, max_bytes)

    def _register(
        self,
        method: str,
        path: str,
        roles: frozenset[Role] | None,
        shows: Handler | None,
        consumes: str,
        max_bytes: int,
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.routes.append(
                Route(
                    method=method,
                    path=path,
                    handler=handler,
                    roles=roles,
                    shows=shows,
                    consumes=consumes,
                    max_bytes=max_bytes,
                )
            )
            return handler

        return register


def no_such_page(request: PageRequest, **path: str) -> Page:
    """The page for unknown addresses. Raises NotFound."""
    raise NotFound(Fault.NO_SUCH_PAGE)
