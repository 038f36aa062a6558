"""A browser for the admin UI without a screen: pages, links, forms and cookies, over the app in this process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlencode

from chalicelib.domain.users import Role
from tests.support.api import PASSWORD, Api, Reply

_CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
_TAG = re.compile(r"<[^>]*>")
FORM = "application/x-www-form-urlencoded"


@dataclass
class Browser:
    """Keeps cookies, follows redirects, and sends forms with the hidden fields of our pages."""

    api: Api
    host: str = "127.0.0.1:8000"
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str = ""

    def get(self, path: str, *, headers: Mapping[str, str] | None = None, follow: bool = True) -> Reply:
        """A page."""
        return self._request("GET", path, b"", headers or {}, follow)

    def post(
        self,
        path: str,
        fields: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        follow: bool = True,
        csrf: str | None = None,
    ) -> Reply:
        """Send a form, with the CSRF token of the last page unless another one is given."""
        token = self.csrf if csrf is None else csrf
        values = {**({"csrf": token} if token else {}), **(fields or {})}
        given = {"Content-Type": FORM, "Origin": f"http://{self.host}", **(headers or {})}
        return self._request("POST", path, urlencode(values, doseq=True).encode(), given, follow)

    def upload(self, path: str, text: str | bytes, *, csrf: str | None = None) -> Reply:
        """Send a file as our script does: the answer's HX-Redirect is the next page."""
        raw = text.encode() if isinstance(text, str) else text
        token = self.csrf if csrf is None else csrf
        given = {"Content-Type": "text/csv", "Origin": f"http://{self.host}"}
        return self._request("POST", path, raw, {**given, "HX-Request": "true", "X-CSRF-Token": token}, False)

    def send_bytes(self, path: str, raw: bytes) -> Reply:
        """Send a piece of a file for a look, as our script does."""
        given = {"Content-Type": "application/octet-stream", "Origin": f"http://{self.host}", "X-CSRF-Token": self.csrf}
        return self._request("POST", path, raw, {**given, "HX-Request": "true"}, False)

    def sign_in(self, role: Role = Role.ADMIN) -> Reply:
        """Sign in by the form."""
        answer = self.post("/admin/login", {"username": str(role), "password": PASSWORD})
        assert "session" in self.cookies, text_of(answer)
        return answer

    def go_on_as(self, role: Role) -> None:
        """Continue as the user of a role, with a session from before the test."""
        cookies, self.csrf = self.api.signed_in[role]
        self.cookies |= cookies

    def _request(self, method: str, path: str, raw: bytes, headers: Mapping[str, str], follow: bool) -> Reply:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given = {"Host": self.host, **({"Cookie": cookie} if cookie else {}), **headers}
        target, _, query = path.partition("?")
        answer = self.api.request(method, target, raw=raw, headers=given, token="", query=_pairs(query))
        self._keep_cookies(answer)
        if found := _CSRF.search(answer.text):
            self.csrf = found[1]
        if follow and answer.status == 303:
            return self._request("GET", answer.headers["location"], b"", {}, follow)
        return answer

    def _keep_cookies(self, answer: Reply) -> None:
        for line in answer.cookies:
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0]
            if "max-age=0" in line.lower():
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value


def text_of(reply: Reply) -> str:
    """What a person reads on a page, in one line."""
    return re.sub(r"\s+", " ", unescape(_TAG.sub(" ", reply.text.partition("<body")[2].partition(">")[2]))).strip()


def carried(page: Reply) -> dict[str, str]:
    """The hidden fields of the first form in the page's own part."""
    form = page.text.partition("<main")[2].partition("<footer")[0].partition("<form")[2].partition("</form")[0]
    return {unescape(name): unescape(value) for name, value in _HIDDEN.findall(form)}


def _pairs(query: str) -> list[tuple[str, str]] | None:
    from urllib.parse import parse_qsl

    return parse_qsl(query, keep_blank_values=True) if query else None
