"""The table of states agrees with the API and the pages, for every status and every action."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.admin.mailing_actions import ASKED
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.reports import Day
from chalicelib.domain.statuses import ALL_FIELDS, NOT_LAUNCHED, Action, MailingStatus, MessageStatus, Stage
from chalicelib.emails.daily import message_for
from chalicelib.queues import Hint
from tests.factories import START, MailingFactory, MessageFactory
from tests.support.api import Api, Reply
from tests.support.browsing import Browser, carried, text_of

# Every row of the table: the status, and whether the mailing was launched.
ROWS = [(status, status.stage is not Stage.AHEAD) for status in MailingStatus]
ROWS += [(status, False) for status in NOT_LAUNCHED]
ROW_IDS = [f"{status}-{'' if launched else 'not-'}launched" for status, launched in ROWS]
# A value of each field that is another one than the factory's, by the field's name in the API and in the form.
CHANGES: dict[str, tuple[str, Any]] = {
    "name": ("name", "Spring sale"),
    "text": ("text", "Something else"),
    "segment": ("clients", {"tag": "vip"}),
    "start_at": ("start_time", (START + timedelta(minutes=1)).isoformat()),
    "end_at": ("end_time", (START + timedelta(hours=2)).isoformat()),
    "local_window": ("local_window", {"from": "09:00", "until": "21:00"}),
    "rate_limit": ("rate_limit", 7),
    "on_unknown": ("on_unknown", "hold"),
    "late": ("late", "skip"),
    "include_unreachable": ("include_unreachable", True),
    "texts": ("texts", {"ru": "Something else"}),
    "missing": ("missing", "refuse"),
    "gateway": ("gateway", "default"),
    "keep_values": ("keep_values", False),
    "budget": ("budget", "12.5"),
    "template": ("template", {"id": ""}),  # of one that the test makes
}
INPUTS = {
    "keep_values": "forget_values",
    "texts": "texts.0.language",
    "segment": "clients.tag",
    "local_window": "local_window.from",
}


@pytest.fixture(params=ROWS, ids=ROW_IDS)
def mailing(request: pytest.FixtureRequest, api: Api) -> Mailing:
    """A mailing in each state of the table, to one client, whose message failed if it was launched."""
    status, launched = request.param
    client = api.services.clients.get(
        api.post("/api/clients", {"phone_number": "+79161234567", "tag": "vip"}).json["id"]
    )
    made: Mailing = MailingFactory(
        status=status,
        launched_at=START if launched else None,
        final=(("failed", 1),) if launched and status.ended else (),
    )
    services = api.services
    services.prices().put({0: ("7", "1", "RUB", "")}, "tester")  # which a budget needs
    services.mailings._mailings.create(made)
    if launched:
        row = MessageFactory(mailing_id=made.mailing_id, client=client, status=MessageStatus.FAILED)
        services.dead_letters._ledger.insert([row])
        services.queues["send-dead"].send([Hint(made.mailing_id, (client.client_id,)).body()])
    return made


def by_api(api: Api, mailing: Mailing, action: Action) -> bool:
    """Do it by the API; returns whether it was done, and fails on any other error than a refusal."""
    path = f"/api/mailing/{mailing.mailing_id}"
    if action is Action.REDRIVE:
        reply = api.post("/api/dead-letters/redrive", {"ids": None})
        assert reply.status == 200
        assert bool(reply.json["refused"]) == (mailing.launched_at is not None and not reply.json["put_back"])
        return bool(reply.json["put_back"])
    if action is Action.DELETE:
        reply = api.delete(path)
    else:
        reply = api.post(f"{path}/{action}", {} if action is Action.RETRY else None)
    assert reply.status in (200, 204, 409), reply.text
    return reply.status != 409


def by_page(browser: Browser, mailing: Mailing, action: Action) -> bool:
    """Do it by the page that asks about it; returns as above."""
    path = f"/admin/mailings/{mailing.mailing_id}/{action}"
    if action is Action.REDRIVE:
        browser.get("/admin/queues")
        return "1 message is being retried." in text_of(browser.post("/admin/queues/redrive"))
    asked = browser.get(path)
    assert asked.status == 200, text_of(asked)
    done = browser.post(path, carried(asked) | {"unknown": "on", "step": "send"}, follow=False)
    assert done.status in (303, 409), text_of(done)
    return done.status == 303


@pytest.mark.parametrize("action", Action)
def test_the_api_does_an_action_if_the_table_says_so(api: Api, mailing: Mailing, action: Action) -> None:
    """Expects a conflict otherwise, and the mailing unchanged."""
    may = action in mailing.state.actions and (action is not Action.REDRIVE or mailing.launched_at is not None)
    assert by_api(api, mailing, action) is may
    if not may:
        assert api.services.mailings.get(mailing.mailing_id) == mailing


@pytest.mark.parametrize("action", Action)
def test_a_page_offers_and_does_an_action_if_the_table_says_so(
    browser: Browser, mailing: Mailing, action: Action
) -> None:
    """Expects a button for each possible action and for no other, and the same result from a form without the
    button."""
    may = action in mailing.state.actions and (action is not Action.REDRIVE or mailing.launched_at is not None)
    page = browser.get(f"/admin/mailings/{mailing.mailing_id}")
    assert page.status == 200, text_of(page)
    if action in (*ASKED, Action.RETRY):
        assert (f'<a id="{action}"' in page.text) is may
    assert by_page(browser, mailing, action) is may


@pytest.mark.parametrize("field", sorted(ALL_FIELDS))
def test_a_field_can_be_changed_if_the_table_says_so(
    api: Api, browser: Browser, mailing: Mailing, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expects the form to have it, and the API to accept it, in the same states."""
    monkeypatch.setattr(api.services.gateways, "several", True)  # which is what the form asks for a gateway by
    may = field in mailing.state.fields
    name, value = CHANGES[field]
    if field == "template":
        value = {"id": api.post("/api/templates", {"name": "Greeting", "text": "Something else"}).json["id"]}
    form = browser.get(f"/admin/mailings/{mailing.mailing_id}/edit")
    assert form.status == 200
    assert (f'name="{INPUTS.get(field, name)}"' in form.text) is may
    answer: Reply = api.patch(f"/api/mailing/{mailing.mailing_id}", {name: value})
    assert answer.status == (200 if may else 409), answer.text
    assert (api.services.mailings.get(mailing.mailing_id) != mailing) is may


def test_all_pages_and_answers_work_for_a_mailing_of_any_status(api: Api, browser: Browser, mailing: Mailing) -> None:
    """Expects no page to fail, even for a status about which nothing else is known than its row in the table."""
    path = f"/admin/mailings/{mailing.mailing_id}"
    pages = [path, f"{path}/now", f"{path}/export"]
    pages += ["/admin", "/admin/overview/now", "/admin/mailings"]
    pages += [f"/admin/mailings?status={mailing.status}", f"/admin/mailings/new?like={mailing.mailing_id}"]
    pages += [f"/admin/history/{mailing.mailing_id}", "/admin/messages", "/admin/queues", "/admin/settings/close"]
    assert {page: answer.status for page in pages if (answer := browser.get(page)).status != 200} == {}
    assert re.search(rf'class="status status-[a-z]+">{mailing.status}<', browser.get(path).text)
    named = f"/api/mailing/{mailing.mailing_id}"
    asked = [
        named,
        f"{named}/stats",
        "/api/mailing",
        "/api/mailing/stats",
        f"/api/history/{mailing.mailing_id}",
        "/metrics",
    ]
    assert {target: answer.status for target in asked if (answer := api.get(target)).status != 200} == {}
    (row,) = api.get("/api/mailing", query={"status": str(mailing.status)}).json["rows"]
    assert row["status"] == mailing.status


def test_the_daily_report_works_for_a_mailing_of_any_status(api: Api, mailing: Mailing) -> None:
    """Expects its status in words, in the plain text and in HTML."""
    report = api.services.reports.make(Day.of(START.date(), "UTC"))
    message = message_for(report, "reports@example.com", ["anna@example.com"])
    parts = [part.get_content() for part in message.walk() if part.get_content_maintype() == "text"]
    assert len(parts) == 2
    assert all(str(mailing.status) in part for part in parts)
