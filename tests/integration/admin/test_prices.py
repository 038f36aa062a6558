"""/admin/prices: the price list, changed in place."""

from __future__ import annotations

from tests.factories import ClientBodyFactory
from tests.integration.admin.test_mailings import entered
from tests.support.api import Api
from tests.support.browsing import Browser, text_of


def test_prices_are_entered_and_seen_in_the_preview(browser: Browser, api: Api) -> None:
    assert "No prices have been entered yet" in text_of(browser.get("/admin/prices"))
    assert browser.post("/admin/prices", {"prices": "prefix,price,currency\n7,1.25,EUR\n"}, follow=False).status == 303
    page = browser.get("/admin/prices")
    assert "7,1.25,EUR" in page.text
    assert "Changed" in text_of(page)
    assert api.post("/api/clients", ClientBodyFactory(tag="vip")).status == 201
    assert "About 1.25 EUR at the gateway." in browser.post("/admin/mailings/preview", entered()).text


def test_a_wrong_row_is_reported_and_nothing_changes(browser: Browser, api: Api) -> None:
    reply = browser.post("/admin/prices", {"prices": "prefix,price,currency\n7,<b>,EUR\n"}, follow=False)
    assert reply.status == 422
    assert "Row 2, price: must be a price such as 2.10" in text_of(reply)
    assert "7,&lt;b&gt;,EUR" in reply.text
    assert api.get("/api/prices").json["prices"] == []


def test_an_operator_can_only_read_prices(operators_browser: Browser, api: Api) -> None:
    api.put("/api/prices", {"currency": "EUR", "prices": [{"prefix": "+7", "price": "1"}]})
    page = operators_browser.get("/admin/prices")
    assert "7,1,EUR" in page.text
    assert "Save prices" not in page.text
    assert operators_browser.post("/admin/prices", {"prices": ""}, follow=False).status == 403
