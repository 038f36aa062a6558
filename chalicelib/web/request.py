"""A request as routes and pages see it, and the answers that both can give."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from chalice.app import Request as ChaliceRequest

from ..bootstrap import Services
from ..domain.users import Principal, Role

EVERYBODY = frozenset(Role)
ADMINS = frozenset({Role.ADMIN})
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True)
class Request:
    """One request, with the services that it may use. `raw` is Chalice's own request."""

    raw: ChaliceRequest
    services: Services
    given_principal: Principal | None = None

    @property
    def principal(self) -> Principal:
        """The user who makes the request. Only for routes that need a token."""
        if self.given_principal is None:
            raise RuntimeError("a public route has no principal")
        return self.given_principal

    @property
    def method(self) -> str:
        return str(self.raw.method)

    @property
    def path(self) -> str:
        """The path without the stage, as in our routes."""
        # Chalice has no parameter that takes the whole rest of a path.
        return str(self.raw.path).replace("{proxy+}", (self.raw.uri_params or {}).get("proxy", ""))

    @property
    def address(self) -> str:
        """The address that the request came from."""
        return str(self.raw.context.get("identity", {}).get("sourceIp") or "unknown")

    @property
    def query_values(self) -> dict[str, list[str]]:
        """The query as it came."""
        parameters = self.raw.query_params
        return {} if parameters is None else {name: parameters.getlist(name) for name in parameters}

    @property
    def body(self) -> bytes:
        """The body as it came, b"" if there is none."""
        raw = self.raw.raw_body or b""
        return raw.encode() if isinstance(raw, str) else raw

    def header(self, name: str) -> str | None:
        """A header's value, or None if it is absent."""
        value: str | None = self.raw.headers.get(name)
        return value

    def link(self, path: str) -> str:
        """The link to one of our paths, with the stage that API Gateway puts before it.

        A proxy that hides the stage says so with X-Forwarded-Prefix.
        """
        given = (self.header("x-forwarded-prefix") or "").rstrip("/")
        if self.header("x-forwarded-prefix") is not None and _PREFIX.fullmatch(given):
            return given + path
        ours = len(self.path.strip("/").split("/")) if self.path != "/" else 0
        seen = str(self.raw.context.get("path") or "").strip("/").split("/")
        prefix = seen[: len(seen) - ours] if ours else [part for part in seen if part]
        return self._before_stage() + "".join(f"/{part}" for part in prefix) + path

    def _before_stage(self) -> str:
        """The part before the stage in LocalStack's addresses, if the API is not in the host name as on AWS."""
        before, api = self.services.settings.api_address_prefix, str(self.raw.context.get("apiId"))
        return f"{before}/{api}" if before and not (self.header("host") or "").startswith(f"{api}.") else ""


@dataclass(frozen=True, slots=True)
class Text:
    """An answer that is not JSON."""

    body: str
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
