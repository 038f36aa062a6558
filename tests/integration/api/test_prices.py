"""/api/prices/: the price list, and what previews make of it."""

from __future__ import annotations

from chalicelib.domain.users import Role
from tests.factories import ClientBodyFactory, MailingBodyFactory
from tests.support.api import Api

OF_ALL = {"gateway": None}
LIST = {
    "currency": "EUR",
    "prices": [{"prefix": "+7", "price": "2"} | OF_ALL, {"prefix": "+7916", "price": "1.50"} | OF_ALL],
}
CSV = {"Content-Type": "text/csv"}


def test_it_is_replaced_as_a_whole_and_read_again(api: Api) -> None:
    empty = api.get("/api/prices/").json
    assert empty == {"currency": "", "prices": [], "changed_at": None, "changed_by": ""}
    put = api.put("/api/prices/", LIST)
    assert put.status == 200, put.text
    assert api.get("/api/prices/").json == put.json
    assert ({name: put.json[name] for name in LIST}, put.json["changed_by"]) == (LIST, "admin")
    assert api.put("/api/prices/", {"currency": "USD", "prices": []}).json["prices"] == []


def test_it_is_exported_and_imported_as_csv(api: Api) -> None:
    api.put("/api/prices/", LIST)
    text = api.get("/api/prices/export/").text
    assert text.splitlines() == ["prefix,price,currency", "7,2,EUR", "7916,1.50,EUR"]
    api.put("/api/prices/", {"currency": "USD", "prices": []})
    again = api.request("PUT", "/api/prices/import/", raw=text.encode(), headers=CSV)
    assert again.status == 200, again.text
    assert {name: again.json[name] for name in LIST} == LIST
    wrong = api.request("PUT", "/api/prices/import/", raw=b"prefix,price,currency\n7,1,EUR\n8,x,EUR\n", headers=CSV)
    assert (wrong.status, wrong.json["errors"][0]["field"]) == (422, "prices.3.price")
    assert {name: api.get("/api/prices/").json[name] for name in LIST} == LIST


def test_only_admins_change_it(api: Api) -> None:
    api.sign_in_as(Role.OPERATOR)
    assert api.put("/api/prices/", LIST).status == 403
    assert api.request("PUT", "/api/prices/import/", raw=b"prefix,price,currency\n", headers=CSV).status == 403
    assert api.get("/api/prices/").status == 200


def test_a_preview_says_what_the_gateway_will_charge(api: Api) -> None:
    for number, fields in (("+79160000001", {}), ("+79250000001", {}), ("+79250000002", {"opted_out": True})):
        assert api.post("/api/clients", ClientBodyFactory(phone_number=number, operator=None, **fields)).status == 201
    assert api.post("/api/mailing/preview/", MailingBodyFactory()).json["price"] is None
    api.put("/api/prices/", {"currency": "EUR", "prices": [{"prefix": "+7916", "price": "1.50"}]})
    price = api.post("/api/mailing/preview/", MailingBodyFactory(text="x" * 200)).json["price"]
    assert price == {"currency": "EUR", "amount": "3.00", "looked_at": 2, "unpriced": 1}
    personal = api.post("/api/mailing/preview/", MailingBodyFactory(text="{{phone_number}}" + "x" * 200)).json["price"]
    assert personal == price
    skipped = api.post("/api/mailing/preview/", MailingBodyFactory(text="{{nothing}}")).json["price"]
    assert skipped["amount"] == "0.00"


def test_a_price_for_an_unknown_gateway_is_refused(api: Api) -> None:
    own = {"prefix": "+7", "price": "3", "gateway": "default"}
    put = api.put("/api/prices/", LIST | {"prices": [*LIST["prices"], own]})
    assert put.json["prices"] == [*LIST["prices"], own]
    assert api.get("/api/prices/export/").text.splitlines()[-1] == "7,3,EUR,default"
    wrong = api.put("/api/prices/", LIST | {"prices": [own | {"gateway": "nobody"}]})
    assert (wrong.status, wrong.json["errors"][0]["field"]) == (422, "prices.0.gateway")


def test_a_list_from_before_prices_of_gateways_can_be_read(api: Api) -> None:
    row = api.services.prices()._prices._model
    row("prices", "list", body='{"currency":"EUR","prices":{"7":"2"}}').save()
    assert api.get("/api/prices/").json["prices"] == [{"prefix": "+7", "price": "2", "gateway": None}]
