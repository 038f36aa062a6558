"""/admin/clients: the directory, one client, and what was sent to them."""

from __future__ import annotations

import html
import re

import pytest

from tests.factories import ClientBodyFactory
from tests.support.api import Api
from tests.support.browsing import Browser, text_of
from tests.support.campaign import Campaign
from tests.support.client_ids import client_id_for

NUMBER = "+79161234567"
ID = client_id_for(NUMBER)


def add(api: Api, **fields: object) -> str:
    """Add a client by the API; returns its id."""
    reply = api.post("/api/clients", {"phone_number": NUMBER, "tag": "vip", "timezone": "Asia/Tokyo", **fields})
    assert reply.status == 201, reply.text
    return str(reply.json["id"])


def entered(**fields: str) -> dict[str, str]:
    """The input in the form of a client."""
    return {"phone_number": NUMBER, "operator": "", "tags": "vip", "timezone": "Europe/Moscow", **fields}


def test_an_empty_directory_says_what_to_do_next(browser: Browser) -> None:
    """Expects links to import and to add clients, and no export of nothing."""
    page = browser.get("/admin/clients")
    assert "There are no clients yet." in text_of(page)
    assert 'href="/admin/clients/import"' in page.text
    assert 'href="/admin/clients/new"' in page.text
    assert "/admin/clients/export" not in page.text


def test_the_list_is_filtered_by_tag_and_operator(browser: Browser, api: Api) -> None:
    """Expects the clients of the segment and how many they are, with the filters kept in the fields and in the
    export."""
    for number, tag in (("+79161111111", "vip"), ("+79162222222", "gold & co"), ("+79263333333", "gold & co")):
        api.post("/api/clients", {"phone_number": number, "tag": tag})
    page = browser.get("/admin/clients?tag=&operator=")
    assert "3 clients" in text_of(page)
    assert "gold & co 2 vip 1" in text_of(page)
    assert 'href="/admin/clients?tag=gold%20%26%20co"' in page.text
    page = browser.get("/admin/clients?tag=gold+%26+co&operator=926")
    assert "1 client " in text_of(page)
    assert "+79263333333" in page.text
    assert "+79162222222" not in page.text
    assert 'value="gold &amp; co"' in page.text
    assert "/admin/clients/export?tag=gold+%26+co&amp;operator=926" in page.text
    page = browser.get("/admin/clients?tag=silver")
    assert "No clients match these filters." in text_of(page)


def test_an_invalid_filter_is_reported_beside_its_field(browser: Browser, api: Api) -> None:
    """Expects the input to be kept, and no clients, which would look like the answer."""
    add(api)
    page = browser.get("/admin/clients?operator=9x&tag=vip")
    assert page.status == 422
    assert "must be a 3-digit code" in text_of(page)
    assert 'value="9x"' in page.text
    assert NUMBER not in page.text


def test_the_list_has_pages_that_keep_the_filter(browser: Browser, api: Api) -> None:
    """Expects every client of the tag once, page by page."""
    for _ in range(7):
        assert api.post("/api/clients", ClientBodyFactory(tag="a b")).status == 201
    api.post("/api/clients", ClientBodyFactory(tag="other"))
    found: list[str] = []
    path = "/admin/clients?tag=a+b&limit=3"
    for expected in (3, 3, 1):
        page = browser.get(path)
        rows = re.findall(r'<bdi class="phone">([^<]+)', page.text)
        assert len(rows) == expected
        found += rows
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = following[1].replace("&amp;", "&") + "&limit=3" if following else ""
    assert path == ""
    assert len(set(found)) == 7


def test_a_client_is_found_by_a_number_however_it_is_written(browser: Browser, api: Api) -> None:
    """Expects the client's page, and no number in its address."""
    add(api)
    answer = browser.post("/admin/clients/find", {"sought": " 8 (916) 123-45-67 "}, follow=False)
    assert answer.headers["location"] == f"/admin/clients/{ID}"
    assert NUMBER in browser.get(answer.headers["location"]).text


@pytest.mark.parametrize(
    ("number", "told"),
    [("+79160000000", "belongs to no client"), ("12", "is neither a phone number"), ("", "is neither a phone number")],
)
def test_a_number_that_is_not_found_stays_in_its_field(browser: Browser, api: Api, number: str, told: str) -> None:
    """Expects the list with the reason beside the field."""
    add(api)
    page = browser.post("/admin/clients/find", {"sought": number})
    assert page.status == 422
    assert told in text_of(page)
    assert f'value="{number}"' in page.text
    assert "1 client" in text_of(page)


def test_a_client_is_found_by_an_external_id(browser: Browser, api: Api) -> None:
    """Expects this on the pages of clients and of messages, whatever the id looks like; a number comes before an id."""
    add(api)
    page = browser.post(f"/admin/clients/{ID}/edit", entered(external_id="  crm 17/b "))
    assert "crm 17/b" in text_of(page)
    other = api.post("/api/clients", {"phone_number": "+79160000001", "external_id": NUMBER}).json["id"]
    for sought, found in (("crm 17/b", ID), (NUMBER, ID)):
        answer = browser.post("/admin/clients/find", {"sought": sought}, follow=False)
        assert answer.headers["location"] == f"/admin/clients/{found}"
        answer = browser.post("/admin/messages/find", {"sought": sought}, follow=False)
        assert answer.headers["location"] == f"/admin/messages?client={found}"
    for external_id in ("abcdefghijklmnop", "12"):  # as ids of ours look, and what is no number
        api.patch(f"/api/clients/{other}", {"external_id": external_id})
        answer = browser.post("/admin/clients/find", {"sought": external_id}, follow=False)
        assert answer.headers["location"] == f"/admin/clients/{other}"


def test_an_external_id_that_is_taken_is_reported_on_the_form(browser: Browser, api: Api) -> None:
    """Expects the form with what was entered."""
    add(api)
    api.post("/api/clients", {"phone_number": "+79160000001", "external_id": "crm-1"})
    page = browser.post(f"/admin/clients/{ID}/edit", entered(external_id="crm-1"))
    assert page.status == 409
    assert "another client already has this external_id" in text_of(page)
    assert 'value="crm-1"' in page.text


def test_a_client_is_added(browser: Browser, api: Api) -> None:
    """Expects the client's page with all that was entered, and the operator from the number."""
    page = browser.post("/admin/clients/new", entered(phone_number="8 916 123 45 67", opted_out="true"))
    assert "The client was added." in text_of(page)
    client = api.get(f"/api/clients/{ID}").json
    assert {name: client[name] for name in ("operator", "tag", "timezone", "opted_out")} == {
        "operator": "916",
        "tag": "vip",
        "timezone": "Europe/Moscow",
        "opted_out": True,
    }
    assert "opted out" in text_of(page)


def test_a_language_and_attributes_are_entered_and_shown(browser: Browser, api: Api) -> None:
    """Expects each kind of value as it was entered: on the page, in the list, and in the form again."""
    lines = "first_name: Anna: the first\n\nage: 30\nvip: true\ncode: '30\n  born:1996-02-29 "
    page = browser.post("/admin/clients/new", entered(language="PT_br", attributes=lines))
    assert "Language pt-BR" in text_of(page)
    assert "age 30" in text_of(page)
    assert "vip yes" in text_of(page)
    values = {"first_name": "Anna: the first", "age": 30, "vip": True, "code": "30", "born": "1996-02-29"}
    client = api.get(f"/api/clients/{ID}").json
    assert (client["language"], client["attributes"]) == ("pt-BR", values)
    assert "pt-BR" in text_of(browser.get("/admin/clients"))
    form = browser.get(f"/admin/clients/{ID}/edit").text
    shown = form.partition('name="attributes"')[2].partition(">")[2].partition("</textarea>")[0]
    browser.post(f"/admin/clients/{ID}/edit", entered(language="pt-BR", attributes=html.unescape(shown)))
    assert api.get(f"/api/clients/{ID}").json["attributes"] == values
    browser.post(f"/admin/clients/{ID}/edit", entered(language="", attributes=""))
    assert api.get(f"/api/clients/{ID}").json["attributes"] == {}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("first_name Anna", "must be written as NAME: VALUE, each on a line of its own, not as first_name Anna"),
        ("First Name: Anna", "First Name: must have a name of small letters"),
        ("a: " + "x" * 1024, "must have at most 1,024 bytes together"),
    ],
)
def test_invalid_attributes_are_reported_beside_their_field(browser: Browser, lines: str, told: str) -> None:
    """Expects the form again with what was entered."""
    page = browser.post("/admin/clients/new", entered(attributes=lines))
    assert page.status == 422
    assert told in text_of(page)
    assert 'id="field-attributes-error"' in page.text
    assert lines in page.text


def test_every_error_is_reported_beside_its_field(browser: Browser) -> None:
    """Expects one message at each field, and the input kept."""
    wrong = {"phone_number": "12", "operator": "9", "tags": "vip, x\x01", "timezone": "Mars/Olympus"}
    page = browser.post("/admin/clients/new", entered(**wrong))
    assert page.status == 422
    for name in wrong:
        assert f'id="field-{name}-error"' in page.text
    assert 'value="Mars/Olympus"' in page.text
    assert 'value="12"' in page.text


def test_a_number_that_is_taken_is_reported(browser: Browser, api: Api) -> None:
    """Expects the form again, and one client."""
    add(api)
    page = browser.post("/admin/clients/new", entered())
    assert page.status == 409
    assert "another client already has this phone number" in text_of(page)
    assert f'value="{NUMBER}"' in page.text


def test_a_client_is_changed(browser: Browser, api: Api) -> None:
    """Expects the form to show the present values, and then what was entered."""
    add(api)
    assert 'value="Asia/Tokyo"' in browser.get(f"/admin/clients/{ID}/edit").text
    page = browser.post(f"/admin/clients/{ID}/edit", entered(tags="gold", operator="999"))
    assert "Changes saved." in text_of(page)
    client = api.get(f"/api/clients/{ID}").json
    assert (client["tag"], client["operator"], client["opted_out"]) == ("gold", "999", False)


def test_a_client_whose_number_changes_stays_the_same(browser: Browser, api: Api) -> None:
    """Expects the same page with the new number and its operator, and the new number to lead there."""
    add(api)
    page = browser.post(f"/admin/clients/{ID}/edit", entered(phone_number="+79267654321"))
    assert "Changes saved." in text_of(page)
    assert "+79267654321" in text_of(page)
    client = api.get(f"/api/clients/{ID}").json
    assert (client["phone_number"], client["operator"]) == ("+79267654321", "926")
    assert "+79267654321" in text_of(browser.post("/admin/clients/find", {"sought": "+7 926 765-43-21"}))


def test_a_client_opts_out_and_in(browser: Browser, api: Api) -> None:
    """Expects the page to say so, and everything else to stay."""
    add(api)
    assert "This client gets no mailings." in text_of(browser.post(f"/admin/clients/{ID}/opt-out"))
    assert api.get(f"/api/clients/{ID}").json["opted_out"] is True
    page = browser.post(f"/admin/clients/{ID}/opt-in")
    assert "No mailing is sent" not in text_of(page)
    client = api.get(f"/api/clients/{ID}").json
    assert (client["opted_out"], client["tag"]) == (False, "vip")


def test_a_client_is_removed_after_a_question(browser: Browser, api: Api) -> None:
    """Expects the question to change nothing."""
    add(api)
    assert "Delete this client?" in text_of(browser.get(f"/admin/clients/{ID}/delete"))
    assert api.get(f"/api/clients/{ID}").status == 200
    assert "The client was deleted." in text_of(browser.post(f"/admin/clients/{ID}/delete"))
    assert api.get(f"/api/clients/{ID}").status == 404


@pytest.mark.parametrize("client_id", ["a" * 16, "nobody", "..%2F", "x" * 300])
@pytest.mark.parametrize("action", ["", "/edit", "/delete"])
def test_a_client_that_does_not_exist_is_not_found(browser: Browser, client_id: str, action: str) -> None:
    """Expects 404, whatever the address contains."""
    assert browser.get(f"/admin/clients/{client_id}{action}").status == 404


def test_the_page_of_a_client_shows_every_mailing_to_them(campaign: Campaign, on_call: Browser) -> None:
    """Expects each with its text, state and message, the newest first; also after the client was removed."""
    (client_id, *_others) = campaign.add_clients(3, tag="vip")
    first = campaign.order(text="the first one", clients={"tag": "vip"})
    campaign.finish(first)
    second = campaign.order(text="the second one", clients={"tag": "vip"})
    campaign.finish(second)
    page = on_call.get(f"/admin/clients/{client_id}")
    assert page.text.index("the second one") < page.text.index("the first one")
    for mailing_id in (first, second):
        assert f"/admin/mailings/{mailing_id}" in page.text
    assert page.text.count("status-sent") == 2
    assert len(re.findall(r"/admin/messages/\S+", page.text)) == 2
    former = campaign.api.get(f"/api/clients/{client_id}").json["phone_number"]
    number = "+79267654321"
    campaign.api.patch(f"/api/clients/{client_id}", {"phone_number": number})
    for one in (former, number):  # it follows the client, and who had a number is found by it
        page = on_call.post("/admin/clients/find", {"sought": one})
        assert number in text_of(page)
        assert "the first one" in page.text
    on_call.post(f"/admin/clients/{client_id}/delete")
    page = on_call.post("/admin/clients/find", {"sought": number})
    assert "Deleted client" in text_of(page)
    assert "the first one" in page.text


def test_the_full_history_has_everything_in_order(campaign: Campaign, on_call: Browser) -> None:
    """Expects creation, ledger, call and state of a client, and the same kinds for the mailing and the message."""
    (client_id,) = campaign.add_clients(1)
    mailing_id = campaign.order()
    campaign.finish(mailing_id)
    told = text_of(on_call.get(f"/admin/history/{client_id}"))
    places = [told.index(one) for one in ("Client added", "Message created", "Gateway call 1")]
    assert places == sorted(places)
    assert "Mailing created" in text_of(on_call.get(f"/admin/history/{mailing_id}"))
    (message,) = campaign.api.get("/api/messages", query={"mailing": mailing_id}).json["rows"]
    assert "Gateway call 1" in text_of(on_call.get(f"/admin/history/{message['id']}"))
    assert on_call.get("/admin/history/nothing").status == 404
