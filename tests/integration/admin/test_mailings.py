"""/admin/mailings: the list, ordering one with a preview, changing one."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from chalicelib.domain.mailings import MAX_TEXT_LENGTH
from tests.factories import ClientBodyFactory, MailingBodyFactory
from tests.support.api import Api, Reply
from tests.support.browsing import Browser, carried, text_of
from tests.support.campaign import Campaign

NEW = "/admin/mailings/new"


@pytest.fixture
def planner(browser: Browser, api: Api) -> Browser:
    """A browser in Moscow, and five clients: three VIPs, one of whom has opted out."""
    for number in range(5):
        fields = {"tag": "vip" if number < 3 else "regular", "timezone": ("Europe/Moscow", "Asia/Tokyo")[number % 2]}
        assert api.post("/api/clients", ClientBodyFactory(opted_out=number == 2, **fields)).status == 201
    browser.cookies["zone"] = "Europe/Moscow"
    return browser


def entered(**fields: str) -> dict[str, str]:
    """The input in the form; times are Moscow's, where it is noon now."""
    return {
        "text": "Sale on Monday",
        "clients.tag": "vip",
        "clients.operator": "",
        "start_time": "2026-03-02T15:00",
        "end_time": "2026-03-02T21:30",
        "local_window.from": "",
        "local_window.until": "",
        "local_window.policy": "defer",
        "rate_limit": "",
        "on_unknown": "retry",
        "late": "run",
        "zone": "Europe/Moscow",
        **{name.replace("__", "."): value for name, value in fields.items()},
    }


def create(browser: Browser, **fields: str) -> str:
    """Order a mailing by the form as it is shown, and by the page that follows; returns its id."""
    key = re.search(r'name="key" value="([^"]+)"', browser.get(NEW).text)
    assert key
    reply = browser.post(NEW, entered(**fields) | {"key": key[1]}, follow=False)
    assert reply.status == 303, text_of(reply)
    place = reply.headers["location"]
    sent = browser.post(place, carried(browser.get(place)) | {"step": "send"}, follow=False)
    assert sent.status == 303, text_of(sent)
    return sent.headers["location"].rpartition("/")[2]


def revision(browser: Browser, mailing_id: str) -> str:
    """The revision that the form of a mailing carries along."""
    found = re.search(r'name="revision" value="(\d+)"', browser.get(f"/admin/mailings/{mailing_id}/edit").text)
    assert found
    return found[1]


def error_of(page: Reply, field: str) -> str:
    """The error beside a field, or ""."""
    found = re.search(rf'id="field-{field.replace(".", "-")}-error">([^<]*)<', page.text)
    return found[1] if found else ""


# -- the list


def test_an_empty_list_says_what_a_mailing_is(browser: Browser) -> None:
    """Expects a sentence about it, and a link to create one."""
    page = browser.get("/admin/mailings")
    assert "A mailing sends one text to a group of clients" in text_of(page)
    assert 'href="/admin/mailings/new"' in page.text


def test_mailings_are_listed_with_their_window_and_counts(campaign: Campaign, on_call: Browser) -> None:
    """Expects the newest first, in the operator's zone, with what was sent and what failed."""
    campaign.give_up(2, text="The first one")
    campaign.order(
        text="The second one", starts_in=timedelta(hours=3), clients={"tag": ["vip", "b"], "operator": "916"}
    )
    on_call.cookies["zone"] = "Asia/Tokyo"
    page = text_of(on_call.get("/admin/mailings"))
    assert "2 mailings" in page
    assert re.search("The second one admin scheduled 2 Mar 2026, 21:00 until 2 Mar 2026, 22:00 vip b 916 \u2013 ", page)
    assert re.search(
        r"The first one admin finished 2 Mar 2026, 18:00 until 2 Mar 2026, 19:00 vip 5 of 7 people got it. 2 did not.",
        page,
    )
    assert page.index("The second one") < page.index("The first one")


def test_the_list_is_filtered_by_status_and_paged(planner: Browser, api: Api) -> None:
    """Expects only the chosen status, each mailing once over all pages, and the filter to be kept."""
    for number in range(7):
        body = MailingBodyFactory(text=f"number {number}", starts_in=timedelta(hours=1 + number))
        mailing = api.post("/api/mailing", body).json["id"]
        if number > 4:
            api.post(f"/api/mailing/{mailing}/cancel")
    assert "5 mailings" in text_of(planner.get("/admin/mailings?status=scheduled"))
    seen: list[str] = []
    path = "/admin/mailings?status=scheduled&limit=2"
    while path:
        page = planner.get(path)
        seen += re.findall(r"number (\d)", page.text)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = following[1].replace("&amp;", "&") if following else ""
    assert sorted(seen) == ["0", "1", "2", "3", "4"]
    assert "7 mailings" in text_of(planner.get("/admin/mailings?status="))
    assert "No mailings have this status." in text_of(planner.get("/admin/mailings?status=paused"))
    assert planner.get("/admin/mailings?status=odd").status == 422


# -- ordering


def test_a_mailing_is_ordered_in_the_operators_zone(planner: Browser, api: Api) -> None:
    """Expects 15:00 in Moscow to be noon UTC, every field to be saved, and the user to be noted."""
    mailing_id = create(
        planner,
        text="Hello\r\nthere",
        clients__tag="vip\r\n regular \r\n\r\n",
        clients__operator="916, 925",
        local_window__from="09:00",
        local_window__until="21:00",
        local_window__policy="skip",
        rate_limit="250",
        on_unknown="hold",
        late="skip",
    )
    made = api.get(f"/api/mailing/{mailing_id}").json
    assert made["text"] == "Hello\nthere"
    assert made["clients"] == {
        "tag": ["vip", "regular"],
        "operator": ["916", "925"],
        "filter": None,
        "recipients": None,
    }
    assert (made["start_time"], made["end_time"]) == ("2026-03-02T12:00:00.000Z", "2026-03-02T18:30:00.000Z")
    assert made["local_window"] == {"from": "09:00", "until": "21:00", "policy": "skip"}
    assert (made["rate_limit"], made["on_unknown"], made["late"]) == (250, "hold", "skip")
    assert (made["created_by"], made["status"]) == ("admin", "scheduled")


def test_empty_fields_mean_everybody_at_any_hour(planner: Browser, api: Api) -> None:
    """Expects no filter, no hours and no rate."""
    mailing_id = create(planner, clients__tag="")
    made = api.get(f"/api/mailing/{mailing_id}").json
    assert made["clients"] == {"tag": None, "operator": None, "filter": None, "recipients": None}
    assert (made["local_window"], made["rate_limit"]) == (None, None)


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"text": "  "}, "text", "must not be empty"),
        ({"text": "x" * (MAX_TEXT_LENGTH + 1)}, "text", "must have at most 1,600 characters"),
        ({"clients__operator": "916 12a"}, "clients.operator", "12a: must be a 3-digit code"),
        ({"clients__tag": "vip\n" + "x" * 65}, "clients.tag", f"{'x' * 65}: must have at most 64 characters"),
        ({"start_time": ""}, "start_time", "is required"),
        ({"end_time": "2026-03-02T15:00"}, "end_time", "must be after start_time"),
        ({"start_time": "2026-03-01T10:00", "end_time": "2026-03-01T11:00"}, "end_time", "must be in the future"),
        ({"local_window__from": "09:00"}, "local_window.until", "must match"),
        ({"local_window__from": "09:00", "local_window__until": "09:00"}, "local_window.until", "must differ"),
        ({"rate_limit": "0"}, "rate_limit", "must be at least 1"),
        ({"rate_limit": "fast"}, "rate_limit", "must be a whole number"),
        ({"on_unknown": "guess"}, "on_unknown", "must be"),
    ],
)
def test_errors_are_reported_beside_their_fields(
    planner: Browser, api: Api, fields: dict[str, str], field: str, told: str
) -> None:
    """Expects the input kept, nothing ordered, and each error beside its own field."""
    planner.get(NEW)
    page = planner.post(NEW, entered(**{"text": "Keep <this>", "rate_limit": "77", **fields}))
    assert page.status == 422
    assert told in error_of(page, field)
    assert ("Keep &lt;this&gt;" in page.text) == ("text" not in fields)
    assert ('value="77"' in page.text) == ("rate_limit" not in fields)
    assert api.get("/api/mailing").json["total"] == 0


def test_all_errors_are_reported_at_once(planner: Browser) -> None:
    """Expects those of times and those of other fields on the same page."""
    planner.get(NEW)
    page = planner.post(NEW, entered(text="", start_time="soon", rate_limit="0", clients__operator="1"))
    wrong = [field for field in ("text", "start_time", "rate_limit", "clients.operator") if error_of(page, field)]
    assert wrong == ["text", "start_time", "rate_limit", "clients.operator"]
    page = planner.post(NEW, entered(text="", end_time="2026-03-02T14:00"))
    assert (error_of(page, "text"), error_of(page, "end_time")) == ("must not be empty", "must be after start_time")


def test_a_form_that_is_sent_twice_orders_one_mailing(planner: Browser, api: Api) -> None:
    """Expects the same mailing to be shown again."""
    key = re.search(r'name="key" value="([^"]+)"', planner.get(NEW).text)
    places = {planner.post(NEW, entered() | {"key": key[1]}, follow=False).headers["location"] for _ in range(2)}
    assert len(places) == 1
    assert api.get("/api/mailing").json["total"] == 1


def key_of(page: Reply) -> str:
    """The idempotency key in the form."""
    found = re.search(r'name="key" value="([^"]+)"', page.text)
    assert found
    return found[1]


def test_a_form_that_was_used_for_another_mailing_gets_a_new_key(planner: Browser, api: Api) -> None:
    """Expects people who went back and changed the text to learn what was created before, and to get their mailing
    with the next try."""
    key = key_of(planner.get(NEW))
    planner.post(NEW, entered(text="The first") | {"key": key})
    page = planner.post(NEW, entered(text="Keep <this>") | {"key": key})
    assert page.status == 409
    assert "A mailing was already created from this form." in text_of(page)
    assert "Keep &lt;this&gt;</textarea>" in page.text
    assert api.get("/api/mailing").json["total"] == 1
    fresh = {"key": key_of(page)}
    assert fresh["key"] != key
    places = {planner.post(NEW, entered(text="Keep <this>") | fresh, follow=False).headers["location"] for _ in "12"}
    assert len(places) == 1
    assert sorted(row["text"] for row in api.get("/api/mailing").json["rows"]) == ["Keep <this>", "The first"]


def test_a_form_that_is_shown_again_for_another_reason_keeps_its_key(planner: Browser) -> None:
    """Expects no second mailing if the first request may have made one and its answer was lost."""
    key = key_of(planner.get(NEW))
    assert key_of(planner.post(NEW, entered(text="") | {"key": key})) == key


def test_an_hour_that_comes_twice_has_to_be_chosen(planner: Browser, api: Api) -> None:
    """Expects an error with a choice of two, in the zone in which the form was filled in, and then the chosen hour."""
    fields = {"zone": "Europe/Berlin", "start_time": "2026-10-25T02:30", "end_time": "2026-10-25T05:00"}
    planner.get(NEW)
    page = planner.post(NEW, entered(**fields))
    assert "comes twice in Europe/Berlin" in error_of(page, "start_time")
    assert "the second time, UTC+0100" in page.text
    assert "Start (Europe/Berlin)" in page.text
    mailing_id = create(planner, **fields, start_time_fold="1")
    assert api.get(f"/api/mailing/{mailing_id}").json["start_time"] == "2026-10-25T01:30:00.000Z"


def test_a_copy_has_everything_but_the_times(planner: Browser) -> None:
    """Expects text, clients and rate in the form, and a window in the future."""
    mailing_id = create(planner, text="Sale & more", rate_limit="250", clients__operator="916")
    planner.api.pass_time(days=3)
    page = planner.get(f"{NEW}?like={mailing_id}").text
    assert "Sale &amp; more</textarea>" in page
    assert 'value="250"' in page
    assert 'value="916"' in page
    assert 'value="2026-03-05T13:00"' in page
    assert planner.get(f"{NEW}?like=01ARZ3NDEKTSV4RRFFQ69G5FAV").status == 404


def test_tags_are_suggested_with_their_number_of_clients(planner: Browser) -> None:
    """Expects the largest first."""
    page = planner.get(NEW).text
    assert re.findall(r'data-add="(\w+)".*?class="note">(\d)<', page) == [("vip", "3"), ("regular", "2")]


# -- the preview


def previewed(browser: Browser, **fields: str) -> str:
    """The text of the preview, in one line."""
    page = browser.post("/admin/mailings/preview", entered(**fields), headers={"HX-Request": "true"})
    assert page.status == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.text))


def test_the_preview_counts_people_and_parts(planner: Browser) -> None:
    """Expects opted-out people to be counted separately, SMS parts with the room that is left, and a chart of time
    zones."""
    said = previewed(planner, text="Привет")
    assert "2 people will get it" in said
    assert "3 clients match" in said
    assert "1 will not get it: opted out" in said
    assert "1 SMS each, 6 characters (UCS-2); 2 in total" in said
    assert "room for 64 more in this SMS, 1,594 more allowed in total" in said
    assert "Europe/Moscow 1" in said
    assert "Asia/Tokyo 1" in said


def test_the_preview_says_whether_it_will_finish(planner: Browser, api: Api) -> None:
    """Expects the end at a given rate, a warning if the window is too short, and no estimate without a rate."""
    assert "It is sent as fast as the gateway accepts it, from 2 Mar 2026, 15:00 to 2 Mar 2026, 21:30" in previewed(
        planner
    )
    assert "Expected finish: 2 Mar 2026, 15:00 , 6 h 30 min before its end." in previewed(planner, rate_limit="1")
    for _ in range(100):
        api.post("/api/clients", ClientBodyFactory(tag="many"))
    said = previewed(planner, clients__tag="many", rate_limit="1", end_time="2026-03-02T15:01")
    assert "It will not finish in time. At 1 per second it takes 2 min." in said


def test_an_incomplete_form_has_a_preview(planner: Browser, api: Api) -> None:
    """Expects the number of people although the text or a time is still missing, and nothing to be ordered."""
    assert "2 people will get it" in previewed(planner, text="", start_time="", rate_limit="x")
    said = previewed(planner, clients__operator="12", end_time="2026-03-01T00:00")
    assert "Clients cannot be counted yet." in said
    assert "1 SMS each, 14 characters (GSM-7)" in said
    assert "Correct the start and the end." in said
    assert "No clients match, so it cannot be sent right away." in previewed(planner, clients__tag="nobody")
    assert api.get("/api/mailing").json["total"] == 0


# -- changing


def test_a_mailing_that_has_not_begun_is_changed(planner: Browser, api: Api) -> None:
    """Expects the form to show it in the operator's zone, and to change every field."""
    mailing_id = create(planner, rate_limit="5")
    page = planner.get(f"/admin/mailings/{mailing_id}/edit")
    assert 'value="2026-03-02T15:00"' in page.text
    fields = entered(text="Better", rate_limit="", end_time="2026-03-03T10:00")
    reply = planner.post(
        f"/admin/mailings/{mailing_id}/edit", fields | {"revision": revision(planner, mailing_id)}, follow=False
    )
    assert (reply.status, reply.headers["location"]) == (303, f"/admin/mailings/{mailing_id}")
    changed = api.get(f"/api/mailing/{mailing_id}").json
    assert (changed["text"], changed["rate_limit"], changed["end_time"]) == ("Better", None, "2026-03-03T07:00:00.000Z")


def test_a_change_does_not_undo_somebody_elses(planner: Browser, api: Api) -> None:
    """Expects an error with the input kept, and the other user's change to stay."""
    mailing_id = create(planner)
    before = revision(planner, mailing_id)
    api.patch(f"/api/mailing/{mailing_id}", {"text": "Theirs"})
    page = planner.post(f"/admin/mailings/{mailing_id}/edit", entered(text="Mine") | {"revision": before})
    assert page.status == 409
    assert "The mailing was changed or has started in the meantime." in text_of(page)
    assert "Mine</textarea>" in page.text
    assert api.get(f"/api/mailing/{mailing_id}").json["text"] == "Theirs"


def test_a_running_mailing_can_change_only_name_end_rate_and_budget(campaign: Campaign, on_call: Browser) -> None:
    """Expects four fields, whatever other fields are sent; another one if it is paused, and none if it is cancelled."""
    campaign.add_clients(60)
    mailing_id = campaign.order(rate_limit=1)
    campaign.simulation.run_for(5)
    path = f"/admin/mailings/{mailing_id}/edit"
    names = re.findall(r'id="field-[^"]+" name="([^"]+)"', on_call.get(path).text)
    assert names == ["name", "end_time", "rate_limit", "budget"]
    sent = {"rate_limit": "2", "end_time": "2026-03-02T19:00", "text": "Smuggled", "zone": "UTC"}
    assert on_call.post(path, sent | {"revision": revision(on_call, mailing_id)}, follow=False).status == 303
    changed = campaign.api.get(f"/api/mailing/{mailing_id}").json
    assert (changed["rate_limit"], changed["end_time"]) == (2, "2026-03-02T19:00:00.000Z")
    assert changed["text"] != "Smuggled"
    campaign.api.post(f"/api/mailing/{mailing_id}/pause")
    names = re.findall(r'id="field-[^"]+" name="([^"]+)"', on_call.get(path).text)
    assert names == ["name", "end_time", "rate_limit", "budget", "on_unknown"]
    campaign.api.post(f"/api/mailing/{mailing_id}/cancel")
    assert on_call.get(path, follow=False).headers["location"] == f"/admin/mailings/{mailing_id}"


def test_a_finished_mailing_gets_another_end_and_the_rest_is_retried(campaign: Campaign, on_call: Browser) -> None:
    """Expects end and budget to change, and then a link to send to those for whom there was no time."""
    campaign.add_clients(60)
    mailing_id = campaign.order(rate_limit=1, end_time=campaign.api.ahead(seconds=20))
    campaign.simulation.run_for(30)
    page = on_call.get(f"/admin/mailings/{mailing_id}")
    assert 'id="change"' in page.text
    assert 'id="retry"' not in page.text
    path = f"/admin/mailings/{mailing_id}/edit"
    assert "This mailing has finished. Set a later end to retry messages that failed or expired." in text_of(
        on_call.get(path)
    )
    assert re.findall(r'id="field-[^"]+" name="([^"]+)"', on_call.get(path).text) == ["end_time", "budget"]
    sent = {"end_time": "2026-03-02T19:00", "zone": "UTC", "revision": revision(on_call, mailing_id)}
    assert on_call.post(path, sent, follow=False).status == 303
    assert 'id="retry"' in on_call.get(f"/admin/mailings/{mailing_id}").text
    asked = text_of(on_call.get(f"/admin/mailings/{mailing_id}/retry"))
    assert re.search(r"The end is later now: \d\d expired messages will be sent", asked)
    on_call.post(f"/admin/mailings/{mailing_id}/retry")
    campaign.finish(mailing_id, limit=200)
    assert campaign.api.get(f"/api/mailing/{mailing_id}").json["counts"]["sent"] == 60
