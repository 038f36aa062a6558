"""What is asked before something is sent: how many people get it, counted anew when the answer is yes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import pytest

from chalicelib import admin
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer
from tests.factories import ClientBodyFactory
from tests.integration.admin.test_mailings import NEW, entered, revision
from tests.support.api import Api, Reply
from tests.support.browsing import Browser, text_of
from tests.support.campaign import Campaign

NOW = {"start_time": "2026-03-02T11:00"}  # Moscow's, an hour ago
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


@pytest.fixture
def planner(browser: Browser, api: Api) -> Browser:
    """A browser in Moscow, and 30 clients: 20 of them VIPs, of whom two have opted out."""
    for number in range(30):
        body = ClientBodyFactory(tag="vip" if number < 20 else "regular", opted_out=number < 2)
        assert api.post("/api/clients", body).status == 201
    browser.cookies["zone"] = "Europe/Moscow"
    browser.get(NEW)
    return browser


def asked(browser: Browser, path: str = NEW, **fields: str) -> Reply:
    """The question that comes after the form's button."""
    key = {"key": fields.pop("key", "one-key-for-this-form")}
    page = browser.post(path, entered(**fields) | key)
    assert page.status == 200, text_of(page)
    return page


def answered(browser: Browser, page: Reply, step: str, path: str = NEW) -> Reply:
    """What comes after one of the question's buttons, which sends what the page carries along."""
    form = page.text.partition("<main")[2].partition("<footer")[0].partition("<form")[2]
    carried = {unescape(name): unescape(value) for name, value in _HIDDEN.findall(form)}
    return browser.post(path, carried | {"step": step}, follow=False)


def made(api: Api) -> list[dict]:
    """What was ordered."""
    return list(api.get("/api/mailing").json["rows"])


def test_a_mailing_that_starts_at_once_is_asked_about(planner: Browser, api: Api) -> None:
    """Expects the number, the text, start and end, and no mailing; after the yes one mailing with all its fields."""
    page = asked(planner, text="Sale <today>\nonly", **NOW, rate_limit="250", on_unknown="hold")
    text = text_of(page)
    assert "Send this mailing now? 18 people will get it 2 will not get it: opted out" in text
    assert "Sale <today> only" in text
    assert "Start right away End 2 Mar 2026, 21:30" in text
    assert "Send now to 18 people Back to the form" in text
    assert made(api) == []
    reply = answered(planner, page, "send")
    (mailing,) = made(api)
    assert (reply.status, reply.headers["location"]) == (303, f"/admin/mailings/{mailing['id']}")
    assert (mailing["text"], mailing["clients"]) == (
        "Sale <today>\nonly",
        {"tag": "vip", "operator": None, "filter": None},
    )
    assert (mailing["rate_limit"], mailing["on_unknown"]) == (250, "hold")
    assert answered(planner, page, "send").status == 303
    assert len(made(api)) == 1


def test_a_mailing_to_all_is_asked_about_whenever_it_starts(planner: Browser, api: Api) -> None:
    """Expects to be told that it goes to everybody, and when."""
    page = asked(planner, clients__tag="")
    text = text_of(page)
    assert "Schedule this mailing? 28 people will get it It goes to all clients" in text
    assert "Start 2 Mar 2026, 15:00" in text
    assert "Schedule for 28 people" in text
    assert made(api) == []
    assert answered(planner, page, "send").status == 303
    assert made(api)[0]["clients"] == {"tag": None, "operator": None, "filter": None}


def test_a_start_within_the_minute_is_at_once(planner: Browser, api: Api) -> None:
    """Expects the same question: nobody could stop it any more."""
    api.pass_time(hours=2, minutes=59, seconds=30)
    assert "Send this mailing now?" in text_of(asked(planner))


def test_a_mailing_to_some_at_a_later_time_is_not_asked_about(planner: Browser, api: Api) -> None:
    """Expects it to be made by the form's button."""
    assert planner.post(NEW, entered(), follow=False).status == 303
    assert len(made(api)) == 1


def test_the_way_back_leads_to_the_form_with_everything_in_it(planner: Browser, api: Api) -> None:
    """Expects nothing to be ordered or lost, and the way back to have the focus on the question's page."""
    page = asked(planner, text="Keep <this>", rate_limit="77", key="kept", **NOW)
    assert re.findall(r'<button[^>]*value="(\w+)"[^>]*autofocus', page.text) == ["edit"]
    back = answered(planner, page, "edit")
    assert back.status == 200
    assert "Keep &lt;this&gt;</textarea>" in back.text
    for value in ("77", "2026-03-02T11:00", "kept"):
        assert f'value="{value}"' in back.text
    assert made(api) == []


def test_the_people_are_counted_anew(planner: Browser, api: Api) -> None:
    """Expects another question with both numbers if many more would get it, and none for a few."""
    page = asked(planner, **NOW)
    api.post("/api/clients", ClientBodyFactory(tag="vip"))
    assert answered(planner, page, "send").status == 303
    page = asked(planner, key="another", **NOW)
    for _ in range(2):
        api.post("/api/clients", ClientBodyFactory(tag="vip"))
    again = answered(planner, page, "send")
    assert again.status == 200
    assert (
        "The number of recipients changed from 19 to 21. Check and confirm again. Nothing has been sent yet."
        in text_of(again)
    )
    assert "Send now to 21 people" in text_of(again)
    assert len(made(api)) == 1
    assert answered(planner, again, "send").status == 303
    assert len(made(api)) == 2


def test_a_start_that_comes_meanwhile_is_asked_about_again(planner: Browser, api: Api) -> None:
    """Expects who was asked to schedule it not to send it at once."""
    page = asked(planner, clients__tag="")
    api.pass_time(hours=4)
    again = answered(planner, page, "send")
    assert "The start time has passed, so the mailing would be sent now." in text_of(again)
    assert made(api) == []
    assert answered(planner, again, "send").status == 303


@pytest.mark.parametrize("told", ["", "now", "now many", "later 18", "now 1"])
def test_an_answer_to_another_question_is_none(planner: Browser, api: Api, told: str) -> None:
    """Expects the question again, whatever a form says that it was asked."""
    reply = planner.post(NEW, entered(**NOW) | {"step": "send", "told": told, "key": "k"}, follow=False)
    assert "Send now to 18 people" in text_of(reply)
    assert made(api) == []


def test_a_change_that_sends_is_asked_about(planner: Browser, api: Api) -> None:
    """Expects a question if it then goes to all, or starts at once, and none for a change of the text."""
    planner.post(NEW, entered())
    (mailing,) = made(api)
    path = f"/admin/mailings/{mailing['id']}/edit"
    fields = entered(text="Better") | {"revision": revision(planner, mailing["id"])}
    assert planner.post(path, fields, follow=False).status == 303
    kept = {"revision": revision(planner, mailing["id"])}
    page = planner.post(path, entered(clients__tag="") | kept)
    assert "Save this change? 28 people will get it It goes to all clients" in text_of(page)
    back = answered(planner, page, "edit", path)
    assert "Edit mailing" in text_of(back)
    page = planner.post(path, entered(**NOW) | kept)
    assert "Send now to 18 people" in text_of(page)
    assert made(api)[0]["start_time"] == mailing["start_time"]
    assert answered(planner, page, "send", path).status == 303
    assert made(api)[0]["start_time"] == "2026-03-02T08:00:00.000Z"


def test_a_launch_counts_anew(planner: Browser, api: Api) -> None:
    """Expects the number on the button, and to be asked again if it has grown much."""
    planner.post(NEW, entered())
    mailing_id = made(api)[0]["id"]
    path = f"/admin/mailings/{mailing_id}/launch"
    assert "Send now to 18 people" in text_of(planner.get(path))
    for _ in range(3):
        api.post("/api/clients", ClientBodyFactory(tag="vip"))
    page = planner.post(path, {"people": "18"})
    assert page.status == 409
    assert "The number of recipients changed from 18 to 21. Check and confirm again." in text_of(page)
    assert planner.post(path, {"people": "21"}, follow=False).status == 303


def test_the_questions_are_asked_in_russian_too(planner: Browser) -> None:
    """Expects the number in its right form."""
    planner.cookies["language"] = "ru"
    text = text_of(asked(planner, **NOW))
    assert "Отправить эту рассылку сейчас? 18 человек получат её" in text
    assert "Отправить сейчас 18 людям" in text


# -- what failed, and what may have been sent


@pytest.fixture
def doubtful(campaign: Campaign) -> str:
    """A finished mailing: five got it, two have failed, and of three nobody knows."""
    outcomes: dict[int, Answer] = {}
    kinds = [Answer(Outcome.FAILED, Cause.http(500), 500)] * 2 + [Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))] * 3

    def script(gateway_id: int, nth: int) -> Answer:
        if gateway_id not in outcomes:
            outcomes[gateway_id] = kinds[len(outcomes)] if len(outcomes) < len(kinds) else Answer(Outcome.ACCEPTED)
        return outcomes[gateway_id]

    campaign.world.gateway.script = script
    mailing_id = campaign.send(10)
    campaign.world.gateway.script = lambda gateway_id, nth: Answer(Outcome.ACCEPTED)
    counts = campaign.api.get(f"/api/mailing/{mailing_id}").json["counts"]
    assert (counts["failed"], counts["unknown"]) == (2, 3)
    return mailing_id


def sent_again(campaign: Campaign, before: int) -> int:
    """How many calls of the gateway came since."""
    campaign.world.run_for(120)
    return len(campaign.world.gateway.log) - before


def test_put_all_back_asks_about_what_may_have_been_sent(campaign: Campaign, on_call: Browser, doubtful: str) -> None:
    """Expects the numbers of both, and only what has failed to be sent unless the rest is asked for."""
    text = text_of(on_call.get("/admin/queues/redrive"))
    assert "Retry 2 messages? 2 messages failed and will be sent again." in text
    assert "Also retry 3 messages that may have been sent The gateway may have sent them" in text
    before = len(campaign.world.gateway.log)
    page = text_of(on_call.post("/admin/queues/redrive"))
    assert "2 messages are being retried. 3 could not be retried: it may already have been sent" in page
    assert sent_again(campaign, before) == 2
    assert "Retry these messages? Also retry 3 messages" in text_of(on_call.get("/admin/queues/redrive"))
    before = len(campaign.world.gateway.log)
    assert "3 messages are being retried." in text_of(on_call.post("/admin/queues/redrive", {"unknown": "true"}))
    assert sent_again(campaign, before) == 3
    assert "There are no failed messages" in text_of(on_call.get("/admin/queues"))


def test_one_of_unknown_outcome_is_asked_about_too(campaign: Campaign, on_call: Browser, doubtful: str) -> None:
    """Expects the button of its row to lead to the question."""
    rows = campaign.api.get("/api/messages", query={"mailing": doubtful, "status": "unknown"}).json["rows"]
    letters = campaign.api.get("/api/dead-letters").json["rows"]
    (letter, *_) = [one["id"] for one in letters if one["message"] in {row["id"] for row in rows}]
    assert f'href="/admin/queues/redrive?id={letter}"' in on_call.get("/admin/queues").text
    assert "Also retry 1 message that may have been sent" in text_of(on_call.get(f"/admin/queues/redrive?id={letter}"))
    before = len(campaign.world.gateway.log)
    on_call.post("/admin/queues/redrive", {"id": letter})
    assert sent_again(campaign, before) == 0


def test_the_api_leaves_what_may_have_been_sent(campaign: Campaign, doubtful: str) -> None:
    """Expects it to stay with the reason unless `unknown` says otherwise, and a finished mailing to stay finished."""
    answer = campaign.api.post("/api/dead-letters/redrive", {}).json
    assert (answer["put_back"], answer["settled"], len(answer["refused"])) == (2, 0, 3)
    campaign.finish(doubtful)
    answer = campaign.api.post("/api/dead-letters/redrive").json
    assert (answer["put_back"], len(answer["refused"])) == (0, 3)
    assert campaign.api.get(f"/api/mailing/{doubtful}").json["status"] == "finished"
    assert campaign.api.post("/api/dead-letters/redrive", {"unknown": True}).json["put_back"] == 3


def test_closing_the_circuit_says_what_waits(campaign: Campaign, on_call: Browser) -> None:
    """Expects the number on a page of its own, and the circuit closed by its button."""
    campaign.api.post("/api/gateway/hold")
    campaign.add_clients(7)
    campaign.order()
    campaign.world.run_for(30)
    text = text_of(on_call.get("/admin/settings/close"))
    assert "7 messages are waiting to be sent." in text
    assert "Resume sending to 7 people Back" in text
    on_call.post("/admin/settings/close")
    assert campaign.api.get("/api/gateway").json["circuit"] == "closed"


# -- of every page


def test_a_token_is_revoked_after_a_question(browser: Browser, api: Api) -> None:
    """Expects its name, nothing done by asking, and 404 for one that is not one's own."""
    token = api.post("/auth-token", {"username": "admin", "password": "correct horse battery staple", "name": "cron"})
    path = f"/admin/account/tokens/{token.json['token_id']}/revoke"
    text = text_of(browser.get(path))
    assert "Revoke this token? cron , Since" in text
    assert "This cannot be undone." in text
    assert api.get("/api/users/me", token=token.json["token"]).status == 200
    assert browser.get("/admin/account/tokens/00000000/revoke").status == 404


def test_signing_out_everywhere_is_asked_about(browser: Browser) -> None:
    """Expects the number of tokens."""
    assert re.search(
        r"Sign out everywhere\? .* Revoke \d tokens? Back", text_of(browser.get("/admin/account/sign-out"))
    )


# Each of these can be taken back in the same place, and sends nothing to a client.
HARMLESS = {
    "/admin/login": "signing in",
    "/admin/logout": "signing in again",
    "/admin/preferences": "set again",
    "/admin/mailings/preview": "it changes nothing",
    "/admin/mailings/test": "it goes to one number that was just typed, and only with a script",
    "/admin/mailings/{mailing_id}/find": "it changes nothing",
    "/admin/clients/find": "it changes nothing",
    "/admin/segments/save": "it sends nothing, and can be deleted",
    "/admin/clients/chosen": "it asks itself if it has to",
    "/admin/messages/find": "it changes nothing",
    "/admin/clients/new": "removed again",
    "/admin/clients/{client_id}/edit": "changed again",
    "/admin/clients/{client_id}/opt-out": "opted in again",
    "/admin/clients/{client_id}/opt-in": "opted out again",
    "/admin/clients/{client_id}/reachable": "it sends nothing, and what is lost marks them again",
    "/admin/clients/import": "a form with a file, which is only checked",
    "/admin/clients/import/look": "it changes nothing",
    "/admin/clients/import/workbook": "it changes nothing",
    "/admin/clients/imports/{import_id}/start": "its page is the question, with what would change and the number",
    "/admin/settings/rate": "set again",
    "/admin/settings/hold": "closed again; it must be quick in an emergency",
    "/admin/settings/try": "it goes to one number that was just typed; Enter does not send it",
    "/admin/settings/report": "it goes to those who get it every day; Enter does not send it",
    "/admin/users": "removed again",
    "/admin/users/{username}/role": "set again",
    "/admin/account/password": "a form that wants the present password",
    "/admin/mailings/new": "asks itself if it has to",
    "/admin/mailings/{mailing_id}/edit": "asks itself if it has to",
    "/admin/templates/new": "deleted again",
    "/admin/templates/preview": "it changes nothing",
    "/admin/templates/{template_id}/edit": "changed again, for the version before is kept",
}


def routes() -> Iterator[tuple[str, str]]:
    """Method and path of every page and action."""
    for pages in admin.PAGES:
        for route in pages.routes:
            yield route.method, route.path


def test_everything_that_sends_or_cannot_be_undone_has_a_question() -> None:
    """Expects a page at the path of each action that asks first, or a reason why none is needed."""
    pages = {path for method, path in routes() if method == "GET"}
    actions = {path for method, path in routes() if method == "POST"}
    unasked = {path for path in actions if path not in pages} | {
        "/admin/login", "/admin/preferences", "/admin/clients/new", "/admin/clients/{client_id}/edit",
        "/admin/clients/import", "/admin/users", "/admin/mailings/new", "/admin/mailings/{mailing_id}/edit",
        "/admin/templates/new", "/admin/templates/{template_id}/edit",
    }  # fmt: skip
    assert unasked == set(HARMLESS)
