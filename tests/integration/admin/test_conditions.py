"""Conditions on the clients of a mailing: the form shows what the API has, and saving it changes nothing."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from chalicelib.admin import filter_form
from chalicelib.admin.forms import Form
from chalicelib.domain.filter_checks import checked_filter
from chalicelib.services import audiences
from tests.factories import ClientBodyFactory, MailingBodyFactory
from tests.integration.admin.test_mailings import create, entered
from tests.support.api import Api
from tests.support.browsing import Browser, text_of
from tests.support.campaign import Campaign

MAILING = "01JNB1Y7E8X8X3T5QZK9M2C4VD"
ROWS: list[tuple[tuple[str, str, str], dict[str, Any]]] = [
    (("tag", "is", "vip, gold"), {"tag": ["vip", "gold"]}),
    (("tag", "is", ""), {"tag": [""]}),
    (("operator", "is_not", "916"), {"not": {"operator": ["916"]}}),
    (("language", "is", "pt-BR"), {"language": ["pt-BR"]}),
    (("timezone", "is_not", "UTC"), {"not": {"timezone": ["UTC"]}}),
    (("attribute:age", "is", "30"), {"attribute": "age", "one_of": [30]}),
    (("attribute:member", "is_not", "true, a"), {"not": {"attribute": "member", "one_of": [True, "a"]}}),
    (("attribute:age", "less", "2.5"), {"attribute": "age", "less": 2.5}),
    (("attribute:joined", "greater", "2026-03-02"), {"attribute": "joined", "greater": "2026-03-02"}),
    (("attribute:age", "between", "18, 30"), {"attribute": "age", "between": [18, 30]}),
    (("attribute:city", "begins_with", "New, "), {"attribute": "city", "begins_with": "New,"}),
    (("attribute:city", "known", ""), {"attribute": "city", "exists": True}),
    (("attribute:city", "unknown", ""), {"attribute": "city", "exists": False}),
    (("attribute:seen", "before", "30"), {"attribute": "seen", "less": {"today": -30}}),
    (("attribute:seen", "within", "7"), {"attribute": "seen", "between": [{"today": -7}, {"today": 0}]}),
    ((f"mailing:{MAILING}", "got", ""), {"mailing": MAILING, "status": ["sent"]}),
    ((f"mailing:{MAILING}", "missed", ""), {"mailing": MAILING, "status": ["failed", "expired", "cancelled"]}),
    ((f"mailing:{MAILING}", "not_in", ""), {"not": {"mailing": MAILING}}),
]


def form_of(*rows: tuple[str, str, str], how: str = "all") -> dict[str, str]:
    """The fields of conditions, with an empty row between them."""
    names = ("what", "how", "value")
    fields = {
        f"clients.filter.{2 * place}.{name}": one
        for place, row in enumerate(rows)
        for name, one in zip(names, row, strict=True)
    }
    return {"clients.filter.how": how, **fields}


def as_form(fields: dict[str, str]) -> Form:
    return Form({name: [value] for name, value in fields.items()}, submitted=True)


@pytest.mark.parametrize(("row", "node"), ROWS)
def test_a_row_becomes_a_condition_and_the_condition_the_same_row(
    row: tuple[str, str, str], node: dict[str, Any]
) -> None:
    """Expects the form of a saved filter to show the same filter."""
    read = filter_form.read(as_form(form_of(row)))
    made = checked_filter(read)
    assert made == checked_filter(node)
    shown = filter_form.shown(made)
    assert shown["clients.filter.0.what"], "it is a row"
    assert checked_filter(filter_form.read(as_form(shown))) == made
    assert len(filter_form.in_words(made)) == 1


@pytest.mark.parametrize("how", ["all", "any"])
def test_several_rows_mean_all_or_any_of_them(how: str) -> None:
    made = checked_filter(filter_form.read(as_form(form_of(*(row for row, _ in ROWS[:5]), how=how))))
    assert made == checked_filter({how: [node for _, node in ROWS[:5]]})
    assert checked_filter(filter_form.read(as_form(filter_form.shown(made)))) == made


@pytest.mark.parametrize(
    "node",
    [
        {"all": [{"any": [{"tag": "a"}, {"tag": "b"}]}, {"tag": "c"}]},
        {"not": {"all": [{"tag": "a"}, {"tag": "b"}]}},
        {"attribute": "age", "between": [1, {"today": 0}]},
        {"attribute": "age", "less": {"today": 30}},
        {"not": {"attribute": "age", "less": 3}},
        {"mailing": MAILING},
        {"tag": ["a, b"]},
        {"all": [{"tag": "a"}] * 11},
    ],
)
def test_a_filter_that_rows_cannot_show_stays_as_it_is(node: dict[str, Any]) -> None:
    made = checked_filter(node)
    shown = filter_form.shown(made)
    assert "clients.filter.0.what" not in shown
    assert checked_filter(filter_form.read(as_form(shown))) == made
    assert filter_form.in_words(made) == [made.text]


@pytest.fixture
def planner(browser: Browser, api: Api) -> Browser:
    """A browser in Moscow, and clients some of whom are old enough."""
    for age in (20, 40, 60):
        assert api.post("/api/clients", ClientBodyFactory(tag="vip", attributes={"age": age})).status == 201
    browser.cookies["zone"] = "Europe/Moscow"
    return browser


def fields(*rows: tuple[str, str, str]) -> dict[str, str]:
    return {name.replace(".", "__"): value for name, value in form_of(*rows).items()}


def test_a_mailing_is_ordered_with_conditions_and_shows_them(planner: Browser, api: Api) -> None:
    mailing_id = create(planner, **fields(("attribute:age", "greater", "30"), ("tag", "is_not", "gold")))
    expected = {"all": [{"attribute": "age", "greater": 30}, {"not": {"tag": ["gold"]}}]}
    clients = api.get(f"/api/mailing/{mailing_id}").json["clients"]
    assert (clients["tag"], clients["operator"], clients["filter"]) == ("vip", None, expected)
    page = text_of(planner.get(f"/admin/mailings/{mailing_id}"))
    assert "Conditions age is more than 30 Tag is not gold" in page
    assert "age is more than 30" in text_of(planner.get("/admin/mailings"))
    form = planner.get(f"/admin/mailings/{mailing_id}/edit")
    assert 'name="clients.filter.3.what"' in form.text, "two rows more than are filled in"
    revision = re.search(r'name="revision" value="(\d+)"', form.text)
    assert revision
    changed = entered(**fields(("attribute:age", "greater", "50"))) | {"revision": revision[1]}
    assert planner.post(f"/admin/mailings/{mailing_id}/edit", changed, follow=False).status == 303
    assert api.get(f"/api/mailing/{mailing_id}").json["clients"]["filter"] == {"attribute": "age", "greater": 50}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (("attribute:age", "greater", "many"), "must be a number, a date such as 2026-03-02"),
        (("attribute:age", "before", "soon"), "must be a whole number"),
        (("operator", "is", "9"), "must be a 3-digit code"),
        (("tag", "less", "9"), "does not belong to a condition on tag"),
        ((f"mailing:{MAILING}", "known", ""), "does not belong to a condition on"),
        (("attribute:AGE<b>", "is", "1"), "must have a name of small letters"),
        (("no-such", "is", "1"), "is not a known field"),
    ],
)
def test_a_wrong_row_is_reported_beside_it(planner: Browser, api: Api, row: tuple[str, str, str], told: str) -> None:
    """Expects the second row to be marked as wrong, but not the first, which keeps what was entered."""
    reply = planner.post("/admin/mailings/new", entered(**fields(("tag", "is", "vip"), row)), follow=False)
    assert reply.status == 422
    second = html.unescape(reply.text).split('aria-label="Condition 3"')[1].split('role="group"')[0]
    assert told in second
    assert 'aria-invalid="true"' in second
    assert api.get("/api/mailing").json["total"] == 0


def test_wrong_json_is_reported_with_its_path(planner: Browser) -> None:
    for written, told in (('{"all": [{"operator": "9"}]}', "all.0.operator: must be a 3-digit"), ("{", "an object")):
        values = entered() | {"clients.filter.json": written}
        reply = planner.post("/admin/mailings/new", values, follow=False)
        assert reply.status == 422
        assert told in text_of(reply)


def test_the_preview_goes_on_counting_until_it_has_looked_at_everybody(
    planner: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = entered(**fields(("attribute:age", "greater", "30")))
    assert "<strong>2</strong> people will get it" in planner.post("/admin/mailings/preview", values).text
    monkeypatch.setattr(audiences, "AT_ONCE", 1)
    page = planner.post("/admin/mailings/preview", values)
    assert "by an estimate" in page.text
    for _ in range(20):
        counted = re.search(r'name="counted" value="([^"]+)"', page.text)
        if not counted:
            break
        page = planner.post("/admin/mailings/preview", values | {"counted": counted[1]})
    assert "<strong>2</strong> people will get it" in page.text
    assert "by an estimate" not in page.text
    assert planner.post("/admin/mailings/preview", values | {"counted": "made up"}).status == 200


def test_those_who_got_nothing_can_get_another_mailing(campaign: Campaign, on_call: Browser) -> None:
    """Expects exactly those whose messages failed, by the form and by one request, which may be repeated."""
    ended = campaign.give_up(2)
    missed = {one["client"] for one in campaign.api.get(f"/api/messages?mailing={ended}&status=failed").json["rows"]}
    page = on_call.get(f"/admin/mailings/{ended}")
    assert f"/admin/mailings/new?missed={ended}" in page.text
    text = campaign.api.get(f"/api/mailing/{ended}").json["text"]
    form = on_call.get(f"/admin/mailings/new?missed={ended}")
    assert f'value="mailing:{ended}" selected' in form.text
    assert '<option value="missed" selected' in form.text
    window = {name: MailingBodyFactory()[name] for name in ("start_time", "end_time")}
    key = {"Idempotency-Key": "once"}
    answer = campaign.api.post(f"/api/mailing/{ended}/missed", window, headers=key)
    assert answer.status == 201, answer.text
    assert answer.json["clients"]["filter"] == {"mailing": ended, "status": ["failed", "expired", "cancelled"]}
    assert campaign.api.post(f"/api/mailing/{ended}/missed", window, headers=key).json["id"] == answer.json["id"]
    assert f"“{text}” did not reach them" in text_of(on_call.get(f"/admin/mailings/{answer.json['id']}"))
    campaign.finish(answer.json["id"])
    rows = campaign.api.get(f"/api/messages?mailing={answer.json['id']}").json["rows"]
    assert {(one["client"], one["status"]) for one in rows} == {(one, "sent") for one in missed}
    assert len(rows) == len(missed) == 2


def test_only_an_ended_mailing_offers_another_to_those_it_missed(campaign: Campaign) -> None:
    campaign.add_clients(1)
    body = MailingBodyFactory()
    scheduled = campaign.api.post(
        "/api/mailing", body | {"start_time": body["end_time"], "end_time": "2099-01-01T00:00Z"}
    )
    window = {name: body[name] for name in ("start_time", "end_time")}
    answer = campaign.api.post(f"/api/mailing/{scheduled.json['id']}/missed", window)
    assert (answer.status, answer.json.get("code", "")) == (409, "mailing_not_ended")
