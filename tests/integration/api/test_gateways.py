"""/api/gateway/ and the settings page with several gateways: each by its name, and what applies to all."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.factories import ClientBodyFactory, MailingBodyFactory
from tests.support.api import Api, new_api
from tests.support.browsing import Browser, text_of

SEVERAL = {"gateways": [{"name": "default", "kind": "sandbox"}, {"name": "second", "kind": "sandbox"}]}


@pytest.fixture
def api() -> Iterator[Api]:
    """Two sandboxes."""
    with new_api(gateways=json.dumps(SEVERAL)) as made:
        yield made


def circuits(api: Api) -> dict[str, str]:
    names = api.get("/api/gateway/").json["gateways"]
    return {name: api.get("/api/gateway/", query={"gateway": name}).json["circuit"] for name in names}


def test_each_has_its_own_rate_and_list_of_changes(api: Api) -> None:
    """Expects a rate without a gateway's name to be refused."""
    assert api.patch("/api/gateway/", {"rate": 5}).errors == {"gateway": "is required"}
    assert api.patch("/api/gateway/", {"rate": 5, "gateway": "second"}).json["gateway"] == "second"
    assert api.get("/api/gateway/").json["rate"] is None
    assert api.get("/api/gateway/", query={"gateway": "second"}).json["rate"] == 5
    changes = [api.get("/api/gateway/changes/", query=of).json["rows"] for of in ({}, {"gateway": "second"})]
    assert [len(rows) for rows in changes] == [0, 1]


def test_all_are_paused_at_once_or_one_alone(api: Api) -> None:
    """Expects no name to mean all, as it may be urgent."""
    api.post("/api/gateway/hold/", {"gateway": "second"})
    assert circuits(api) == {"default": "closed", "second": "held"}
    api.post("/api/gateway/hold/")
    assert circuits(api) == {"default": "held", "second": "held"}
    api.post("/api/gateway/close/", {})
    assert circuits(api) == {"default": "closed", "second": "closed"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/api/gateway/", {"rate": 5}),
        ("POST", "/api/gateway/hold/", {}),
        ("POST", "/api/gateway/close/", {}),
        ("POST", "/api/gateway/test/", {"phone_number": "+447700900123", "text": "Hello"}),
    ],
)
def test_an_unknown_name_is_refused(api: Api, method: str, path: str, body: dict[str, object]) -> None:
    """Expects the error to list the names."""
    reply = api.request(method, path, {**body, "gateway": "third"})
    assert (reply.status, reply.errors) == (422, {"gateway": "must be default / second"})


def test_a_mailing_can_name_a_gateway(api: Api) -> None:
    """Expects the name to be saved, shown and checked, and null if messages are routed by number."""
    api.post("/api/clients", ClientBodyFactory())
    body = MailingBodyFactory()
    assert api.post("/api/mailing", body).json["gateway"] is None
    made = api.post("/api/mailing", {**body, "gateway": "second"}).json
    assert made["gateway"] == api.get(f"/api/mailing/{made['id']}").json["gateway"] == "second"
    assert api.post("/api/mailing", {**body, "gateway": "third"}).errors.keys() == {"gateway"}
    later = api.post("/api/mailing", {**body, "start_time": api.ahead(hours=2), "end_time": api.ahead(hours=3)}).json
    assert api.patch(f"/api/mailing/{later['id']}", {"gateway": "second"}).json["gateway"] == "second"
    assert api.patch(f"/api/mailing/{later['id']}", {"gateway": "third"}).status == 422


def test_the_settings_page_has_a_section_for_each(api: Api) -> None:
    """Expects its buttons to act on the gateway that is shown."""
    browser = Browser(api)
    browser.sign_in()
    assert 'href="/admin/settings?gateway=second"' in browser.get("/admin/settings").text
    page = browser.post("/admin/settings/rate", {"rate": "7", "gateway": "second"})
    assert "7 messages per second for all mailings together." in text_of(page)
    assert "No limit." in text_of(browser.get("/admin/settings"))
    browser.post("/admin/settings/hold", {"reason": "", "gateway": "second"})
    assert circuits(api) == {"default": "closed", "second": "held"}
    assert 'name="gateway" value="second"' in browser.get("/admin/settings/close?gateway=second").text
    browser.post("/admin/settings/close", {"reason": "", "gateway": "second"})
    assert circuits(api)["second"] == "closed"
    wrong = browser.post("/admin/settings/rate", {"rate": "many", "gateway": "second"})
    assert (wrong.status, 'name="gateway" value="second"' in wrong.text) == (422, True)


def test_the_form_of_a_mailing_offers_them(api: Api) -> None:
    """Expects the choice only if there are several, and the mailing to keep it when it is changed there."""
    browser = Browser(api)
    browser.sign_in()
    assert 'name="gateway"' in browser.get("/admin/mailings/new").text
    with new_api() as alone:
        other = Browser(alone)
        other.sign_in()
        assert 'name="gateway"' not in other.get("/admin/mailings/new").text
