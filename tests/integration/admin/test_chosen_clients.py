"""Many clients at once: selected on a page of the list, asked about, changed, and named if that failed."""

from __future__ import annotations

import re

import pytest
from botocore.exceptions import EndpointConnectionError

from chalicelib.storage.dynamodb import TRIES
from tests.support.api import Api, Reply
from tests.support.aws import Call
from tests.support.browsing import Browser, text_of

NUMBERS = [f"+7916123450{place}" for place in range(5)]
PATH = "/admin/clients/chosen"


def add(api: Api, **fields: object) -> list[str]:
    """Add clients; returns their ids, in the order of their numbers."""
    return [str(api.post("/api/clients", {"phone_number": one, **fields}).json["id"]) for one in NUMBERS]


def press(browser: Browser, action: str, *client_ids: str, query: str = "", **values: str) -> Reply:
    """Select clients and press a button."""
    return browser.post(PATH + query, {"action": action, "id": list(client_ids), **values})


def left(api: Api) -> dict[str, bool]:
    """The clients that are left, and whether they opted out."""
    return {row["phone_number"]: row["opted_out"] for row in api.get("/api/clients").json["rows"]}


def confirmed(browser: Browser, question: Reply) -> Reply:
    """The page after a question is answered with yes."""
    form = re.search(
        r'<form class="action" method="post" action="(/admin/clients/chosen[^"]*)">(.*?)</form>', question.text, re.S
    )
    assert form
    values = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[2]))
    return browser.post(form[1].replace("&amp;", "&"), values)


@pytest.mark.parametrize(
    ("action", "button", "told"),
    [
        ("opt-out", "Opt out 2 people", "2 clients were opted out."),
        ("delete", "Delete 2 people", "2 clients were deleted."),
    ],
)
def test_what_is_hard_to_undo_is_asked_about_first(
    browser: Browser, api: Api, action: str, button: str, told: str
) -> None:
    """Expects how many and who, the focus on the button back, and nothing done before the answer."""
    ids = add(api, tag="vip")
    question = press(browser, action, ids[0], ids[3], query="?tag=vip")
    assert question.status == 200
    assert f"{button}?" in text_of(question)
    assert f">{button}</button>" in question.text
    assert [one for one in NUMBERS if one in question.text] == [NUMBERS[0], NUMBERS[3]]
    assert re.search(r'<a [^>]*href="/admin/clients\?tag=vip"[^>]*autofocus', question.text)
    assert left(api) == dict.fromkeys(NUMBERS, False)
    page = confirmed(browser, question)
    assert told in text_of(page)
    assert 'value="vip"' in page.text  # the list that they came from
    expected = dict.fromkeys(NUMBERS, False) | {NUMBERS[0]: True, NUMBERS[3]: True}
    assert left(api) == (
        expected if action == "opt-out" else {one: False for one, gone in expected.items() if not gone}
    )


def tags(api: Api) -> dict[str, list[str]]:
    """Everybody's tags, in their order."""
    return {row["phone_number"]: row["tags"] for row in api.get("/api/clients").json["rows"]}


def test_a_tag_is_added_to_many_and_removed_from_many(browser: Browser, api: Api) -> None:
    """Expects no question, the other tags as they were, and a separate count of clients that needed no change."""
    ids = add(api, tags=["news"])
    page = press(browser, "add-tag", *ids[:2], chosen_tag=" vip ")
    assert "2 clients got the tag." in text_of(page)
    page = press(browser, "add-tag", *ids[1:3], chosen_tag="vip")
    assert "1 client got the tag. 1 had it already." in text_of(page)
    assert tags(api) == {one: ["news", "vip"] if one in NUMBERS[:3] else ["news"] for one in NUMBERS}
    page = press(browser, "remove-tag", *ids[2:], chosen_tag="vip")
    assert "1 client lost the tag. 2 did not have it." in text_of(page)
    page = press(browser, "remove-tag", *ids, chosen_tag="news")
    assert "5 clients lost the tag." in text_of(page)
    assert tags(api) == {one: ["vip"] if one in NUMBERS[:2] else [] for one in NUMBERS}
    assert all(row["operator"] == "916" for row in api.get("/api/clients").json["rows"])


def test_clients_with_too_many_tags_for_one_more_are_named(browser: Browser, api: Api) -> None:
    """Expects the others to get the tag."""
    ids = add(api)
    api.patch(f"/api/clients/{ids[0]}", {"tags": [f"tag{n}" for n in range(20)]})
    page = text_of(press(browser, "add-tag", *ids[:2], chosen_tag="vip"))
    assert "1 client got the tag. 1 was not changed:" in page
    assert f"{NUMBERS[0]} Tags: must have at most 20 values" in page


@pytest.mark.parametrize(("tag", "told"), [("", "is required"), ("x" * 65, "must have at most 64 characters")])
def test_an_invalid_tag_is_reported_beside_its_field(browser: Browser, api: Api, tag: str, told: str) -> None:
    """Expects the list with what was selected and entered."""
    ids = add(api)
    page = press(browser, "add-tag", ids[0], chosen_tag=tag)
    assert page.status == 422
    assert re.search(rf'id="field-chosen_tag-error">{told}', page.text)
    assert re.findall(r'name="id" value="(\w+)"[^>]* checked', page.text) == [ids[0]]
    assert f'value="{tag}"' in page.text


def test_one_box_selects_the_whole_page(browser: Browser, api: Api) -> None:
    """Expects it to select everybody on the page; a client who is selected twice counts once."""
    ids = add(api)
    box = re.search(r'name="all" value="([^"]+)"', browser.get("/admin/clients").text)
    assert box
    assert set(box[1].split()) == set(ids)
    question = press(browser, "delete", ids[0], all=box[1])
    assert "Delete 5 people?" in text_of(question)
    assert "5 clients were deleted." in text_of(confirmed(browser, question))
    assert left(api) == {}


def test_clients_that_could_not_be_changed_are_named_with_the_reason(browser: Browser, api: Api) -> None:
    """Expects the others to be changed, and those that needed no change to be counted separately."""
    ids = add(api)
    api.patch(f"/api/clients/{ids[1]}", {"opted_out": True})
    question = press(browser, "opt-out", *ids[:3])
    api.delete(f"/api/clients/{ids[2]}")
    page = text_of(confirmed(browser, question))
    assert "1 client was opted out. 1 had opted out already. 1 was not changed:" in page
    assert f"there is no client '{ids[2]}'" in page


def test_no_other_client_is_tried_if_a_table_does_not_answer(browser: Browser, api: Api) -> None:
    """Expects all clients from there on to be named, without the internal cause."""
    ids = add(api)
    question = press(browser, "delete", *ids)
    writes: list[str] = []

    def refuse(call: Call) -> None:
        if call.operation == "dynamodb.TransactWriteItems":
            writes.append(call.operation)
            raise EndpointConnectionError(endpoint_url="https://dynamodb.example")

    api.aws.before = refuse
    page = confirmed(browser, question)
    assert "0 clients were deleted. 5 were not changed:" in text_of(page)
    assert "dynamodb" not in page.text
    assert len(writes) < 2 * TRIES  # of the first


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"action": "delete"}, "Select at least one client."),
        ({"action": "delete", "all": " ".join(f"a{place}" for place in range(101))}, "Select at most 100 clients."),
    ],
)
def test_an_impossible_action_is_reported_on_the_list(
    browser: Browser, api: Api, values: dict[str, str], told: str
) -> None:
    """Expects 422 and the list, with nobody changed."""
    add(api)
    page = browser.post(PATH, values)
    assert page.status == 422
    assert told in text_of(page)
    assert "+79161234500" in page.text
    assert len(left(api)) == 5


def test_the_selection_is_kept_after_an_error(browser: Browser, api: Api) -> None:
    """Expects the same boxes checked."""
    ids = add(api)
    page = press(browser, "explode", ids[1])
    assert "the form cannot be read" in text_of(page)
    assert re.findall(r'name="id" value="(\w+)"[^>]* checked', page.text) == [ids[1]]


def test_the_page_says_what_can_be_searched_for(browser: Browser) -> None:
    """Expects it to ask for a whole number or external id, with the filters beside."""
    page = text_of(browser.get("/admin/clients"))
    assert "Phone number or external ID" in page
    assert "Enter the whole one. You cannot search for a part of it, or for a name." in page
    assert "Tag" in page
    assert "Operator" in page
