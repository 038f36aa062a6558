"""/admin/replies: what people write back, on a page of its own and on their client's, and the address for the
gateway."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from chalicelib.domain.users import Role
from tests.support.api import PASSWORD
from tests.support.browsing import Browser, text_of
from tests.support.campaign import Campaign, new_campaign
from tests.support.receipts import write_back

WORKERS = {"tick": 1, "dispatcher": 1, "sender": 1, "receiver": 1}
STRANGER = "+447700900123"


@pytest.fixture
def campaign() -> Iterator[Campaign]:
    with new_campaign(workers_of=WORKERS, gateway_receipts=True, public_url="https://service.example") as made:
        made.simulation.services.users.create("operator", PASSWORD, Role.OPERATOR)
        yield made


def _browser(campaign: Campaign, role: Role = Role.ADMIN) -> Browser:
    made = Browser(campaign.api)
    made.sign_in(role)
    return made


def _write(campaign: Campaign, phone: str, text: str, **more: str) -> None:
    write_back(campaign.simulation, {"phone": phone, "text": text, "to": "+12125550101", **more})
    campaign.simulation.run_for(20)


def test_replies_are_on_their_page_and_on_their_clients(campaign: Campaign) -> None:
    browser = _browser(campaign)
    assert "There are no replies yet." in browser.get("/admin/replies").text
    (client,) = campaign.add_clients(1, phone_number="+79161234567")
    _write(campaign, "+79161234567", "stop")
    _write(campaign, STRANGER, "<b>Who</b> is this?")
    page = browser.get("/admin/replies")
    shown = text_of(page)
    assert shown.index("<b>Who</b> is this?") < shown.index("STOP")  # the newest first
    assert "&lt;b&gt;Who" in page.text
    assert shown.count("+79161234567") == shown.count(STRANGER) == 1
    assert f"/admin/clients/{client}" in page.text
    only = text_of(browser.get(f"/admin/replies?client={client}"))
    assert "STOP" in only
    assert "is this?" not in only
    assert "STOP" in text_of(browser.get(f"/admin/clients/{client}"))


@pytest.mark.parametrize("role", [Role.ADMIN, Role.OPERATOR])
def test_only_admins_see_the_address_with_its_secret(campaign: Campaign, role: Role) -> None:
    url = campaign.simulation.services.receipt_links.reply_url("default")
    assert url.startswith("https://service.example/gateway/replies/default/")
    page = _browser(campaign, role).get("/admin/settings").text
    assert (url in page) == (role is Role.ADMIN)


def test_the_address_is_shown_as_it_has_to_be_entered(campaign: Campaign) -> None:
    """Expects what the gateway needs after the question mark."""
    gateway = campaign.simulation.gateway
    gateway.capabilities = replace(gateway.capabilities, reply_query="charset=utf-8")
    page = _browser(campaign, Role.ADMIN).get("/admin/settings").text
    assert f"{campaign.simulation.services.receipt_links.reply_url('default')}?charset=utf-8</pre>" in page


def test_the_page_says_so_if_replies_are_off(browser: Browser) -> None:
    assert "GATEWAY_RECEIPTS" in browser.get("/admin/replies").text
