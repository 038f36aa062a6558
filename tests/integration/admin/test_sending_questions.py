"""What is asked before something is sent: how many people get it, counted again when the answer is yes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from chalicelib import admin
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer
from tests.factories import ClientBodyFactory
from tests.integration.admin.test_mailings import NEW, entered, revision
from tests.support.api import Api, Reply
from tests.support.browsing import Browser, carried, text_of
from tests.support.campaign import Campaign

NOW = {"start_time": "2026-03-02T11:00"}  # Moscow's, an hour ago


@pytest.fixture
def planner(browser: Browser, api: Api) -> Browser:
    """A browser in Moscow, and 30 clients: 20 VIPs, two of whom have opted out."""
    for number in range(30):
        body = ClientBodyFactory(tag="vip" if number < 20 else "regular", opted_out=number < 2)
        assert api.post("/api/clients", body).status == 201
    browser.cookies["zone"] = "Europe/Moscow"
    browser.get(NEW)
    return browser


def asked(browser: Browser, **fields: str) -> Reply:
    """The page that follows the form of a new mailing."""
    page = browser.post(NEW, entered(**fields) | {"key": fields.get("key", "one-key-for-this-form")})
    assert page.status == 200, text_of(page)
    return page


def answered(browser: Browser, page: Reply, path: str, step: str = "send") -> Reply:
    """What follows one of the page's buttons, which sends the page's hidden fields."""
    return browser.post(path, carried(page) | {"step": step}, follow=False)


def made(api: Api) -> list[dict]:
    """The mailings that were ordered."""
    return list(api.get("/api/mailing").json["rows"])


def place(api: Api, action: str = "schedule") -> str:
    """The path at which the newest mailing is sent."""
    return f"/admin/mailings/{made(api)[0]['id']}/{action}"


def test_a_new_mailing_is_a_draft_until_the_question_is_answered(planner: Browser, api: Api) -> None:
    """Expects name, text, number, parts, start and end on the page, and nothing sent before the yes."""
    page = asked(planner, name="Spring sale", text="Sale <today>\nonly", **NOW, rate_limit="250", on_unknown="hold")
    text = text_of(page)
    assert "Saved as a draft. Nothing has been sent yet." in text
    assert "Send this mailing now? Spring sale 18 people will get it 2 will not get it: opted out" in text
    assert "As people will get it Sale <today> only Start right away End 2 Mar 2026, 21:30" in text
    assert "SMS parts 1 per person, 18 in total" in text
    assert "Send now to 18 people Back to the form Keep as a draft" in text
    (mailing,) = made(api)
    assert (mailing["status"], mailing["name"], mailing["text"]) == ("draft", "Spring sale", "Sale <today>\nonly")
    assert (mailing["rate_limit"], mailing["on_unknown"]) == (250, "hold")
    assert api.queued_units() == []
    reply = answered(planner, page, place(api))
    assert (reply.status, reply.headers["location"]) == (303, f"/admin/mailings/{mailing['id']}")
    assert [unit["kind"] for unit in api.queued_units()] == ["launch"]
    assert answered(planner, page, place(api)).status == 409
    assert len(made(api)) == 1


def test_a_form_that_is_sent_again_leads_to_its_mailing(planner: Browser, api: Api) -> None:
    """Expects no second mailing, and no second question about the first."""
    answered(planner, asked(planner, **NOW), place(api))
    again = planner.post(NEW, entered(**NOW) | {"key": "one-key-for-this-form"}, follow=False)
    assert again.headers["location"] == f"/admin/mailings/{made(api)[0]['id']}"
    assert len(made(api)) == 1


def test_a_mailing_for_later_is_scheduled_from_the_question(planner: Browser, api: Api) -> None:
    """Expects the page to say that it goes to everybody, and when."""
    page = asked(planner, clients__tag="")
    text = text_of(page)
    assert "Schedule this mailing? 28 people will get it It goes to all clients" in text
    assert "Start 2 Mar 2026, 15:00" in text
    assert "Schedule for 28 people" in text
    assert answered(planner, page, place(api)).status == 303
    assert (made(api)[0]["status"], made(api)[0]["clients"]["tag"]) == ("scheduled", None)


def test_a_start_within_the_minute_counts_as_now(planner: Browser, api: Api) -> None:
    """Expects the button to say so, as nobody could stop it any more."""
    api.pass_time(hours=2, minutes=59, seconds=30)
    assert "Send this mailing now?" in text_of(asked(planner))


def test_the_way_back_leads_to_the_form_and_the_draft_to_its_page(planner: Browser, api: Api) -> None:
    """Expects the focus on the button back, all input in the form, and then the question again."""
    page = asked(planner, text="Keep <this>", rate_limit="77", **NOW)
    path = f"/admin/mailings/{made(api)[0]['id']}"
    assert re.findall(r'href="([^"]*)" autofocus', page.text) == [f"{path}/edit"]
    form = planner.get(f"{path}/edit")
    assert "Keep &lt;this&gt;</textarea>" in form.text
    assert 'value="77"' in form.text
    kept = {"revision": revision(planner, made(api)[0]["id"])}
    again = planner.post(f"{path}/edit", entered(text="Better", **NOW) | kept)
    assert "Send this mailing now? 18 people will get it" in text_of(again)
    assert "Better" in text_of(again)
    assert "Check and send Start now Delete" in text_of(planner.get(path))
    assert made(api)[0]["status"] == "draft"


def test_people_are_counted_again_when_the_question_is_answered(planner: Browser, api: Api) -> None:
    """Expects the page again with both numbers if many more would get it, but not for a few more."""
    page = asked(planner, **NOW)
    for _ in range(3):
        api.post("/api/clients", ClientBodyFactory(tag="vip"))
    again = answered(planner, page, place(api))
    assert again.status == 200
    assert (
        "The number of recipients changed from 18 to 21. Check and confirm again. Nothing has been sent yet."
        in text_of(again)
    )
    assert "Send now to 21 people" in text_of(again)
    assert made(api)[0]["status"] == "draft"
    api.post("/api/clients", ClientBodyFactory(tag="vip"))
    assert answered(planner, again, place(api)).status == 303


def test_the_question_is_asked_again_once_the_start_has_come(planner: Browser, api: Api) -> None:
    """Expects a yes to scheduling not to send the mailing at once."""
    page = asked(planner, clients__tag="")
    api.pass_time(hours=4)
    again = answered(planner, page, place(api))
    assert "The start time has passed, so the mailing would be sent now." in text_of(again)
    assert made(api)[0]["status"] == "draft"
    assert answered(planner, again, place(api)).status == 303


def test_the_question_is_asked_again_if_somebody_changed_the_draft(planner: Browser, api: Api) -> None:
    """Expects nobody to send a text that they have not seen."""
    page = asked(planner, **NOW)
    assert api.patch(f"/api/mailing/{made(api)[0]['id']}", {"text": "Another text"}).status == 200
    again = answered(planner, page, place(api))
    assert "Somebody changed this mailing in the meantime. Check it again. Nothing has been sent yet." in text_of(again)
    assert "Another text" in text_of(again)
    assert answered(planner, again, place(api)).status == 303


@pytest.mark.parametrize("told", ["", "now", "now many", "later 18", "now 1"])
@pytest.mark.parametrize("action", ["schedule", "launch"])
def test_an_answer_to_another_question_does_not_count(planner: Browser, api: Api, told: str, action: str) -> None:
    """Expects the page again, whatever a form claims that the question was."""
    asked(planner, **NOW)
    reply = planner.post(place(api, action), {"step": "send", "told": told}, follow=False)
    assert "Send now to 18 people" in text_of(reply)
    assert made(api)[0]["status"] == "draft"


def test_a_mailing_that_cannot_be_sent_has_no_button(planner: Browser, api: Api) -> None:
    """Expects the reason on the page: nobody matches, or the end has passed."""
    page = asked(planner, clients__tag="nobody", **NOW)
    assert "No clients match, so it cannot be sent right away." in text_of(page)
    assert 'value="send"' not in page.text
    asked(planner, key="another", **NOW)
    api.pass_time(hours=12)
    page = planner.get(place(api))
    reply = answered(planner, page, place(api))
    assert reply.status == 409
    assert "the end of this mailing has passed" in text_of(reply)


def test_a_personal_text_is_shown_as_people_get_it(planner: Browser, api: Api) -> None:
    """Expects the values of the first clients in it."""
    body = ClientBodyFactory(tag="named", attributes={"first_name": "Anna"})
    assert api.post("/api/clients", body).status == 201
    page = asked(planner, text="Hello {{first_name}}", clients__tag="named", **NOW)
    assert "As people will get it Hello Anna" in text_of(page)


def test_every_language_is_shown_before_it_is_sent(planner: Browser) -> None:
    """Expects a bubble for each text, whatever language the first clients have."""
    texts = {"texts.0.language": "de", "texts.0.text": "Hallo <b>", "texts.1.language": "ru", "texts.1.text": "Привет"}
    page = asked(planner, text="Hello", **texts, **NOW).text
    assert re.findall(r'class="bubble" dir="auto">([^<]*)<', page) == ["Hello", "Hallo &lt;b&gt;", "Привет"]


def test_a_change_that_sends_is_asked_about(planner: Browser, api: Api) -> None:
    """Expects a question if the change sends to all, or starts at once, and none for a change of the text."""
    answered(planner, asked(planner), place(api))
    (mailing,) = made(api)
    path = f"/admin/mailings/{mailing['id']}/edit"
    fields = entered(text="Better") | {"revision": revision(planner, mailing["id"])}
    assert planner.post(path, fields, follow=False).status == 303
    kept = {"revision": revision(planner, mailing["id"])}
    page = planner.post(path, entered(clients__tag="") | kept)
    assert "Save this change? 28 people will get it It goes to all clients" in text_of(page)
    back = answered(planner, page, path, "edit")
    assert "Edit mailing" in text_of(back)
    page = planner.post(path, entered(**NOW) | kept)
    assert "Send now to 18 people" in text_of(page)
    assert made(api)[0]["start_time"] == mailing["start_time"]
    assert answered(planner, page, path).status == 303
    assert made(api)[0]["start_time"] == "2026-03-02T08:00:00.000Z"


def test_a_scheduled_mailing_is_launched_from_the_same_page(planner: Browser, api: Api) -> None:
    """Expects the number on the button, and the page again if the number has grown much."""
    answered(planner, asked(planner), place(api))
    path = place(api, "launch")
    page = planner.get(path)
    assert "Send now to 18 people Back" in text_of(page)
    for _ in range(3):
        api.post("/api/clients", ClientBodyFactory(tag="vip"))
    again = answered(planner, page, path)
    assert "The number of recipients changed from 18 to 21. Check and confirm again." in text_of(again)
    assert api.queued_units() == []
    assert answered(planner, again, path).status == 303
    assert [unit["kind"] for unit in api.queued_units()] == ["launch"]


def test_the_questions_are_asked_in_russian_too(planner: Browser) -> None:
    """Expects the number in its grammatical form."""
    planner.cookies["language"] = "ru"
    text = text_of(asked(planner, **NOW))
    assert "Отправить эту рассылку сейчас? 18 человек получат её" in text
    assert "Отправить сейчас 18 людям" in text


# -- what failed, and what may have been sent


@pytest.fixture
def doubtful(campaign: Campaign) -> str:
    """A finished mailing: five messages were sent, two have failed, and three are of unknown outcome."""
    outcomes: dict[int, Answer] = {}
    kinds = [Answer(Outcome.FAILED, Cause.http(500), 500)] * 2 + [Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))] * 3

    def script(gateway_id: int, nth: int) -> Answer:
        if gateway_id not in outcomes:
            outcomes[gateway_id] = kinds[len(outcomes)] if len(outcomes) < len(kinds) else Answer(Outcome.ACCEPTED)
        return outcomes[gateway_id]

    campaign.simulation.gateway.script = script
    mailing_id = campaign.send(10)
    campaign.simulation.gateway.script = lambda gateway_id, nth: Answer(Outcome.ACCEPTED)
    counts = campaign.api.get(f"/api/mailing/{mailing_id}").json["counts"]
    assert (counts["failed"], counts["unknown"]) == (2, 3)
    return mailing_id


def sent_again(campaign: Campaign, before: int) -> int:
    """How many calls the gateway has got since."""
    campaign.simulation.run_for(120)
    return len(campaign.simulation.gateway.log) - before


def test_putting_all_back_asks_about_messages_that_may_have_been_sent(
    campaign: Campaign, on_call: Browser, doubtful: str
) -> None:
    """Expects both numbers, and only failed messages to be sent unless the others are chosen."""
    text = text_of(on_call.get("/admin/queues/redrive"))
    assert "Retry 2 messages? 2 messages failed and will be sent again." in text
    assert "Also retry 3 messages that may have been sent The gateway may have sent them" in text
    before = len(campaign.simulation.gateway.log)
    page = text_of(on_call.post("/admin/queues/redrive"))
    assert "2 messages are being retried. 3 could not be retried: it may already have been sent" in page
    assert sent_again(campaign, before) == 2
    assert "Retry these messages? Also retry 3 messages" in text_of(on_call.get("/admin/queues/redrive"))
    before = len(campaign.simulation.gateway.log)
    assert "3 messages are being retried." in text_of(on_call.post("/admin/queues/redrive", {"unknown": "true"}))
    assert sent_again(campaign, before) == 3
    assert "There are no failed messages" in text_of(on_call.get("/admin/queues"))


def test_putting_back_a_message_of_unknown_outcome_is_asked_about(
    campaign: Campaign, on_call: Browser, doubtful: str
) -> None:
    """Expects the button in its row to lead to the question."""
    rows = campaign.api.get("/api/messages", query={"mailing": doubtful, "status": "unknown"}).json["rows"]
    letters = campaign.api.get("/api/dead-letters").json["rows"]
    (letter, *_) = [one["id"] for one in letters if one["message"] in {row["id"] for row in rows}]
    assert f'href="/admin/queues/redrive?id={letter}"' in on_call.get("/admin/queues").text
    assert "Also retry 1 message that may have been sent" in text_of(on_call.get(f"/admin/queues/redrive?id={letter}"))
    before = len(campaign.simulation.gateway.log)
    on_call.post("/admin/queues/redrive", {"id": letter})
    assert sent_again(campaign, before) == 0


def test_the_api_leaves_messages_that_may_have_been_sent(campaign: Campaign, doubtful: str) -> None:
    """Expects them to stay with the reason unless `unknown` says otherwise, and a finished mailing to stay finished."""
    answer = campaign.api.post("/api/dead-letters/redrive", {}).json
    assert (answer["put_back"], answer["settled"], len(answer["refused"])) == (2, 0, 3)
    campaign.finish(doubtful)
    answer = campaign.api.post("/api/dead-letters/redrive").json
    assert (answer["put_back"], len(answer["refused"])) == (0, 3)
    assert campaign.api.get(f"/api/mailing/{doubtful}").json["status"] == "finished"
    assert campaign.api.post("/api/dead-letters/redrive", {"unknown": True}).json["put_back"] == 3


def test_resuming_sending_says_how_many_messages_wait(campaign: Campaign, on_call: Browser) -> None:
    """Expects the number on a page of its own, and its button to close the circuit."""
    campaign.api.post("/api/gateway/hold")
    campaign.add_clients(7)
    campaign.order()
    campaign.simulation.run_for(30)
    text = text_of(on_call.get("/admin/settings/close"))
    assert "7 messages are waiting to be sent." in text
    assert "Resume sending to 7 people Back" in text
    on_call.post("/admin/settings/close")
    assert campaign.api.get("/api/gateway").json["circuit"] == "closed"


# -- of every page


def test_a_token_is_revoked_after_a_question(browser: Browser, api: Api) -> None:
    """Expects its name, nothing done by asking, and 404 for another user's token."""
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
    "/admin/settings/budget": "set again",
    "/admin/settings/hold": "closed again; it must be quick in an emergency",
    "/admin/settings/test": "it goes to one number that was just typed; Enter does not send it",
    "/admin/settings/report": "it goes to those who get it every day; Enter does not send it",
    "/admin/users": "removed again",
    "/admin/users/{username}/role": "set again",
    "/admin/account/password": "a form that wants the present password",
    "/admin/mailings/new": "it makes a draft, which is not sent",
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
    """Expects a page at the path of each such action that asks first, or a reason why none is needed."""
    pages = {path for method, path in routes() if method == "GET"}
    actions = {path for method, path in routes() if method == "POST"}
    unasked = {path for path in actions if path not in pages} | {
        "/admin/login", "/admin/preferences", "/admin/clients/new", "/admin/clients/{client_id}/edit",
        "/admin/clients/import", "/admin/users", "/admin/mailings/new", "/admin/mailings/{mailing_id}/edit",
        "/admin/templates/new", "/admin/templates/{template_id}/edit",
    }  # fmt: skip
    assert unasked == set(HARMLESS)
