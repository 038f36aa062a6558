"""/admin/segments: saved from the form of a mailing, and chosen for the next one."""

from __future__ import annotations

from tests.integration.admin.test_conditions import form_of
from tests.integration.admin.test_mailings import entered
from tests.support.api import Api
from tests.support.browsing import Browser, text_of


def test_the_clients_of_a_form_are_saved_and_chosen_again(browser: Browser, api: Api) -> None:
    conditions = form_of(("attribute:age", "greater", "50"))
    values = entered(clients__tag="vip\ngold", clients__operator="916") | conditions | {"segment_name": "Old <friends>"}
    answer = browser.post("/admin/segments/save", values)
    assert "Saved as Old &lt;friends&gt;." in answer.text
    (made,) = api.get("/api/segments/").json["rows"]
    expected = {
        "tag": ["vip", "gold"],
        "operator": "916",
        "filter": {"attribute": "age", "greater": 50},
        "recipients": None,
    }
    assert (made["name"], made["clients"]) == ("Old <friends>", expected)

    assert f'<option value="{made["id"]}">Old &lt;friends&gt;</option>' in browser.get("/admin/mailings/new").text
    form = browser.get(f"/admin/mailings/new?segment={made['id']}").text
    assert "vip\ngold</textarea>" in form
    assert '<option value="attribute:age" selected>' in form
    page = text_of(browser.get("/admin/segments"))
    assert "Old <friends>" in page
    assert "age is more than 50" in page

    again = browser.post("/admin/segments/save", values | {"clients.operator": "903"})
    assert "another saved segment has this name" in again.text

    assert "Delete this group?" in text_of(browser.get(f"/admin/segments/{made['id']}/delete"))
    assert browser.post(f"/admin/segments/{made['id']}/delete", follow=False).status == 303
    assert api.get("/api/segments/").json["total"] == 0
    assert "There are no saved groups yet" in text_of(browser.get("/admin/segments"))


def test_errors_are_reported_and_nothing_is_saved(browser: Browser, api: Api) -> None:
    for fields, told in (
        ({"segment_name": ""}, "empty"),
        ({"segment_name": "x", "clients.operator": "9"}, "3-digit"),
        ({"segment_name": "x"} | form_of(("tag", "less", "9")), "does not belong"),
    ):
        answer = browser.post("/admin/segments/save", entered() | fields)
        assert answer.status == 200
        assert told in answer.text
    assert api.get("/api/segments/").json["total"] == 0
