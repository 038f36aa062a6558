"""Whatever a user changes, in the API or the admin UI, has an entry in the audit log, or a reason why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib import admin
from chalicelib.api import ROUTES
from chalicelib.domain.audit import AuditFilter
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import Message, Outcome
from chalicelib.domain.statuses import MailingStatus, MessageStatus
from chalicelib.gateways.base import Answer
from chalicelib.queues import Hint
from tests.factories import START, MailingFactory, MessageFactory
from tests.support.api import PASSWORD, Api, Reply, new_api
from tests.support.browsing import Browser, carried, text_of

# What leaves no entry, and why.
OF_THE_API = {
    "POST /api/clients/lookup": "it only reads",
    "POST /api/clients/imports/check": "it only reads",
    "POST /api/mailing/preview": "it only reads",
    "POST /api/gateway/check": "it only reads",
    "POST /gateway/receipts/{gateway}/{secret}": "a gateway asks for it, no user",
    "POST /gateway/replies/{gateway}/{secret}": "a gateway asks for it, no user",
}
OF_THE_ADMIN_UI = {
    "POST /admin/clients/find": "it only reads",
    "POST /admin/messages/find": "it only reads",
    "POST /admin/mailings/{mailing_id}/find": "it only reads",
    "POST /admin/mailings/preview": "it only reads",
    "POST /admin/templates/preview": "it only reads",
    "POST /admin/clients/import/look": "it only reads",
    "POST /admin/clients/import/workbook": "it only reads",
    "POST /admin/clients/import": "the file is only checked; its start has the entry",
    "POST /admin/preferences": "how pages are shown in this browser",
}
CLIENT = {"phone_number": "+79161234567", "tags": ["vip"]}
NUMBER = "+447700900123"


@dataclass
class Watch:
    """Notes which routes left an entry when they were used."""

    api: Api
    audited: set[str] = field(default_factory=set)

    def check(self, route: str, request: Callable[[], Reply]) -> Reply:
        """Make a request, which must succeed, and note whether there is a new entry."""
        before = self._entries()
        reply = request()
        assert reply.status < 400, (route, text_of(reply) or reply.text)
        if self._entries() != before:
            self.audited.add(route)
        self.api.pass_time(seconds=1)
        return reply

    def _entries(self) -> set[str]:
        found, _ = self.api.services.audit.list(AuditFilter(), "", 1000)
        return {entry.entry_id for entry in found}


@dataclass
class Things:
    """What the routes are used with."""

    api: Api

    def mailing(self, status: MailingStatus, **fields: Any) -> Mailing:
        """A mailing to one client; a launched one has a failed message and its dead letter."""
        launched = status in (MailingStatus.RUNNING, MailingStatus.FINISHED)
        made: Mailing = MailingFactory(
            status=status,
            launched_at=START if launched else None,
            final=(("failed", 1),) if status is MailingStatus.FINISHED else (),
            **fields,
        )
        services = self.api.services
        services.mailings._mailings.create(made)
        if launched:
            (client,) = self.api.get("/api/clients", query={"tag": "vip"}).json["rows"]
            row: Message = MessageFactory(
                mailing_id=made.mailing_id,
                client=services.clients.get(client["id"]),
                status=MessageStatus.FAILED,
            )
            services.dead_letters._ledger.insert([row])
            services.queues["send-dead"].send([Hint.of(row.key).body()])
        return made

    def letters(self) -> list[str]:
        """The dead letters' ids."""
        return [letter.item for letter in self.api.services.dead_letters.list()]


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """With prices, one client, a daily report, and a gateway that accepts everything."""
    with new_api(report_to="a@x.org", report_from="r@x.org", mail_url=tmp_path.as_uri(), gateway_receipts=True) as made:
        monkeypatch.setattr(made.services.gateway, "send", lambda message: Answer(Outcome.ACCEPTED))
        made.services.prices().put({0: ("7", "1", "RUB", "")}, "tester")
        yield made


def test_every_change_by_a_request_is_in_the_audit_log(api: Api) -> None:
    """Expects every route but those with a reason to leave an entry when it does something."""
    watch = Watch(api)
    _change_by_requests(watch)
    changing = {f"{one.method} {one.path}" for routes in ROUTES for one in routes.operations if one.method != "GET"}
    assert watch.audited == changing - set(OF_THE_API)
    assert set(OF_THE_API) <= changing


def _change_by_requests(watch: Watch) -> None:
    api, things = watch.api, Things(watch.api)

    def do(route: str, body: Any = None, raw: bytes | None = None, **values: str) -> Any:
        method, path = route.split()
        headers = {"Content-Type": "text/csv"} if raw else {}
        target = path.format(**values)
        reply = watch.check(route, lambda: api.request(method, target, body, raw=raw, headers=headers))
        return reply.json if reply.text else None

    credentials = {"username": "Anna", "password": PASSWORD}
    do("POST /api/users", {**credentials, "role": "operator"})
    do("POST /auth-token", credentials)
    do("PATCH /api/users/{username}", {"role": "admin"}, username="Anna")
    do("PUT /api/users/{username}", {"role": "operator", "password": PASSWORD[::-1]}, username="Anna")
    api.services.users.issue_token("Anna", PASSWORD[::-1], "one")
    do("DELETE /api/users/{username}/tokens", username="Anna")
    do("DELETE /api/users/{username}", username="Anna")

    do("POST /api/clients/imports", raw=b"phone_number,tags\n+79161234568,other\n")
    held = api.post(
        "/api/clients/imports", raw=b"phone_number\n+79161234569\n",
        query={"hold": "true"}, headers={"Content-Type": "text/csv"},
    ).json["id"]  # fmt: skip
    do("POST /api/clients/imports/{import_id}/start", import_id=held)
    client = do("POST /api/clients", CLIENT)["id"]
    do("PATCH /api/clients/{client_id}", {"opted_out": True}, client_id=client)
    do("PUT /api/clients/{client_id}", CLIENT, client_id=client)
    unreachable(api, client)
    do("POST /api/clients/{client_id}/reachable", client_id=client)

    times = {"start_time": api.ahead(hours=1), "end_time": api.ahead(hours=2)}
    order = {"text": "Hello", "clients": {"tag": "vip"}, **times}
    mailing = do("POST /api/mailing", {**order, "draft": True})["id"]
    do("PUT /api/mailing/{mailing_id}", {**order, "text": "Hello again"}, mailing_id=mailing)
    do("PATCH /api/mailing/{mailing_id}", {"rate_limit": 5}, mailing_id=mailing)
    for step in ("schedule", "pause", "resume", "launch", "cancel"):
        do(f"POST /api/mailing/{{mailing_id}}/{step}", mailing_id=mailing)
    do("DELETE /api/mailing/{mailing_id}", mailing_id=mailing)
    do("POST /api/mailing/test", {"phone_number": NUMBER, "mailing": order})
    ended = things.mailing(MailingStatus.FINISHED).mailing_id
    do("POST /api/mailing/{mailing_id}/missed", times, mailing_id=ended)
    do("POST /api/mailing/{mailing_id}/retry", {}, mailing_id=ended)
    do("POST /api/dead-letters/discard", {"ids": things.letters()})
    things.mailing(MailingStatus.RUNNING)
    do("POST /api/dead-letters/redrive", {})
    do("DELETE /api/clients/{client_id}", client_id=client)

    template = do("POST /api/templates", {"name": "Greeting", "text": "Hello"})["id"]
    do("PUT /api/templates/{template_id}", {"name": "Hi", "text": "Hi", "version": 1}, template_id=template)
    do("DELETE /api/templates/{template_id}", template_id=template)
    segment = do("POST /api/segments", {"name": "All", "clients": {}})["id"]
    do("PUT /api/segments/{segment_id}", {"clients": {"tag": "vip"}}, segment_id=segment)
    do("DELETE /api/segments/{segment_id}", segment_id=segment)
    do("PUT /api/prices", {"currency": "EUR", "prices": [{"prefix": "+7", "price": "1"}]})
    do("PUT /api/prices/import", raw=b"prefix,price,currency\n+7,2,EUR\n")
    do("PATCH /api/gateway", {"rate": 5})
    do("POST /api/gateway/hold", {})
    do("POST /api/gateway/close", {})
    do("POST /api/gateway/test", {"phone_number": NUMBER, "text": "Hello"})
    do("POST /api/reports/daily", {})

    token = api.services.users.issue_token("admin", PASSWORD, "other").token.token_id
    do("DELETE /api/users/me/tokens/{token_id}", token_id=token)
    for route, body in (
        ("DELETE /auth-token", None),
        ("PATCH /api/users/me", {"current_password": PASSWORD, "password": PASSWORD[::-1]}),
        ("DELETE /api/users/me/tokens", None),
    ):
        password = PASSWORD[::-1] if route.startswith("DELETE /api") else PASSWORD
        api.token = api.services.users.issue_token("admin", password, "mine").secret
        do(route, body)


def unreachable(api: Api, client_id: str) -> None:
    """Mark a client as unreachable, as receipts do."""
    clients = api.services.clients._clients
    old = clients.get(client_id)
    assert clients.write([(old, replace(old, unreachable=True))])


def test_every_change_in_the_admin_ui_is_in_the_audit_log(api: Api) -> None:
    """Expects every action but those with a reason to leave an entry when it does something."""
    watch = Watch(api)
    _change_by_pages(watch)
    changing = {f"POST {route.path}" for pages in admin.PAGES for route in pages.routes if route.method == "POST"}
    assert watch.audited == changing - set(OF_THE_ADMIN_UI)
    assert set(OF_THE_ADMIN_UI) <= changing


def _change_by_pages(watch: Watch) -> None:
    api, things, browser = watch.api, Things(watch.api), Browser(watch.api)

    def do(path: str, fields: dict[str, Any] | None = None, *, ask: bool = False, **values: str) -> Reply:
        place = f"/admin/{path.format(**values)}"
        unseen = carried(browser.get(place)) if ask else {}
        entered = unseen | (fields or {})
        return watch.check(f"POST /admin/{path}", lambda: browser.post(place, entered, follow=False))

    browser.get("/admin/login")
    do("login", {"username": "admin", "password": PASSWORD})
    browser.get("/admin/")

    do("clients/new", {"phone_number": CLIENT["phone_number"], "tags": "vip"})
    (client,) = (row["id"] for row in api.get("/api/clients").json["rows"])
    do(
        "clients/{client_id}/edit",
        {"phone_number": CLIENT["phone_number"], "tags": "vip, new"},
        ask=True,
        client_id=client,
    )
    do("clients/{client_id}/opt-out", client_id=client)
    do("clients/{client_id}/opt-in", client_id=client)
    unreachable(api, client)
    do("clients/{client_id}/reachable", client_id=client)
    do("clients/chosen", {"id": client, "action": "add-tag", "chosen_tag": "more"})
    browser.get("/admin/clients/import")
    held = browser.upload("/admin/clients/import", "phone_number\n+79161234569\n").headers["hx-redirect"]
    do("clients/imports/{import_id}/start", import_id=held.rpartition("/")[2])

    form = {
        "text": "Hello", "clients.tag": "vip", "start_time": "2026-03-02T15:00", "end_time": "2026-03-02T21:30",
        "zone": "Europe/Moscow", "late": "run", "on_unknown": "retry", "local_window.policy": "defer",
    }  # fmt: skip
    do("segments/save", form | {"segment_name": "Friends"})
    (segment,) = (row["id"] for row in api.get("/api/segments").json["rows"])
    do("segments/{segment_id}/delete", segment_id=segment)
    do("mailings/test", form | {"test_number": NUMBER, "test_key": "k"})
    mailing = _mailing_of(do("mailings/new", form, ask=True))
    do("mailings/{mailing_id}/edit", form | {"name": "Spring"}, ask=True, mailing_id=mailing)
    for step in ("schedule", "pause", "resume", "launch", "cancel", "delete"):
        do(f"mailings/{{mailing_id}}/{step}", {"step": "send"}, ask=True, mailing_id=mailing)
    ended = things.mailing(MailingStatus.FINISHED).mailing_id
    do("mailings/{mailing_id}/retry", ask=True, mailing_id=ended)
    do("queues/discard", {"id": things.letters()})
    things.mailing(MailingStatus.RUNNING)
    do("queues/redrive")
    do("clients/{client_id}/delete", client_id=client)

    do("templates/new", {"name": "Greeting", "text": "Hello"}, ask=True)
    (template,) = (row["id"] for row in api.get("/api/templates").json["rows"])
    do("templates/{template_id}/edit", {"name": "Greeting", "text": "Hi"}, ask=True, template_id=template)
    do("templates/{template_id}/delete", template_id=template)
    do("prices", {"prices": "prefix,price,currency\n+7,2,EUR\n"})
    do("settings/rate", {"rate": "5"})
    do("settings/budget", {"month_budget": "100"})
    do("settings/hold")
    do("settings/close")
    do("settings/test", {"phone_number": NUMBER, "text": "Hello", "key": "another"})
    do("settings/report")

    do("users", {"username": "Anna", "role": "operator"})
    do("users/{username}/role", {"role": "admin"}, username="Anna")
    password = api.services.users.reset_password("Anna")
    api.services.users.issue_token("Anna", password, "one")
    do("users/{username}/sign-out", username="Anna")
    do("users/{username}/password", username="Anna")
    do("users/{username}/delete", username="Anna")
    token = api.services.users.issue_token("admin", PASSWORD, "other").token.token_id
    do("account/tokens/{token_id}/revoke", token_id=token)
    do("logout")
    browser.sign_in()
    browser.get("/admin/account")
    new = PASSWORD[::-1]
    do("account/password", {"current_password": PASSWORD, "password": new, "repeated": new})
    browser.get("/admin/login")
    browser.post("/admin/login", {"username": "admin", "password": new})
    browser.get("/admin/account")
    do("account/sign-out")


def _mailing_of(reply: Reply) -> str:
    """The mailing that an answer redirects to."""
    found = re.search("/admin/mailings/([0-9A-Z]{26})", reply.headers["location"])
    assert found
    return found[1]
