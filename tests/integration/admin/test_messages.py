"""/admin/messages: finding messages, and everything that is known about one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer
from tests.support.browsing import Browser, text_of
from tests.support.campaign import OK, Campaign, new_campaign
from tests.support.client_ids import client_id_for

BUSY = Answer(Outcome.FAILED, Cause.http(503), 503)
SILENT = Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))


@pytest.fixture(scope="module")
def campaign() -> Iterator[Campaign]:
    """Two mailings to the same three people. One person got nothing of the first; the second went well."""
    with new_campaign() as made:
        doomed: set[int] = set()

        def script(gateway_id: int, nth: int) -> Answer:
            doomed.update([gateway_id] if not doomed else [])
            return ([BUSY, SILENT, BUSY][nth - 1]) if gateway_id in doomed else OK

        made.simulation.gateway.script = script
        made.send(3, text="The first <i>mailing</i>")
        made.simulation.gateway.script = lambda gateway_id, nth: OK
        made.finish(made.order(text="The second mailing"))
        yield made


@pytest.fixture(scope="module")
def given_up(campaign: Campaign) -> dict[str, str]:
    """The failed message, as the API shows it."""
    (row,) = campaign.api.get("/api/messages", query={"status": "unknown"}).json["rows"]
    return dict(row)


def test_messages_are_listed_with_the_newest_mailing_first(on_call: Browser) -> None:
    """Expects the mailing's text, state and attempts of each, and all clients by their numbers."""
    page = on_call.get("/admin/messages")
    text = text_of(page)
    assert text.count("The second mailing sent") == 3
    assert text.count("The first <i>mailing</i> sent") == 2
    assert re.search(
        r"The first <i>mailing</i> unknown 2 Mar 2026, \S+ 3 all attempts failed \(3\), last: HTTP 503", text
    )
    assert text.index("The second") < text.index("The first")
    assert len(re.findall(r">\+7\d{10}<", page.text)) == 6


def test_messages_are_filtered_and_paged(on_call: Browser, given_up: dict[str, str]) -> None:
    """Expects filters to be shown, and kept from page to page."""
    seen, path = [], f"/admin/messages?mailing={given_up['mailing']}&status=sent&limit=1"
    while path:
        page = on_call.get(path)
        seen += re.findall(r'href="/admin/messages/([^"?]+)"', page.text)
        assert "Only the mailing The first <i>mailing</i> " in text_of(page)
        assert given_up["mailing"] not in text_of(page)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = f"{following[1]}&limit=1".replace("&amp;", "&") if following else ""
    assert len(seen) == len(set(seen)) == 2
    assert "No messages match." in text_of(on_call.get("/admin/messages?status=cancelled"))


def test_the_search_finds_messages_mailings_and_clients(on_call: Browser, given_up: dict[str, str]) -> None:
    """Expects it to lead to a message, to the messages of a mailing, and to those of a client by id or number."""
    on_call.get("/admin/messages")
    client = f"/admin/messages?client={given_up['client']}"
    for sought, place in (
        (given_up["id"], f"/admin/messages/{given_up['id']}"),
        (given_up["mailing"].lower(), f"/admin/messages?mailing={given_up['mailing']}"),
        (given_up["client"], client),
        (given_up["phone_number"], client),
        (given_up["phone_number"].replace("+7", "8 "), client),
    ):
        assert on_call.post("/admin/messages/find", {"sought": sought}, follow=False).headers["location"] == place
    text = text_of(on_call.get(client))
    assert "Only the client" in text
    assert text.index("The second mailing sent") < text.index("The first <i>mailing</i> unknown")


@pytest.mark.parametrize("sought", ["nobody", "", "123", f"{'0' * 26}-{client_id_for('+79160000000')}"])
def test_a_search_without_a_result_is_reported_beside_the_field(sought: str, on_call: Browser) -> None:
    """Expects the page again with what was typed."""
    page = on_call.post("/admin/messages/find", {"sought": sought})
    assert page.status == 422
    assert re.search(r'id="field-sought-error">is ', page.text)
    assert f'value="{sought}"' in page.text


def test_the_page_of_a_message_has_its_history(on_call: Browser, given_up: dict[str, str]) -> None:
    """Expects every attempt with its answer and its time, the end, and links to everything about it."""
    page = on_call.get(f"/admin/messages/{given_up['id']}")
    text = text_of(page)
    assert f"Message to {given_up['phone_number']} unknown" in text
    steps = text.partition("History")[2]
    assert re.findall(r"Gateway call (\d) (\w+) Answer: (.+?) after \d+ ms", steps) == [
        ("1", "failed", "HTTP 503"),
        ("2", "unknown", "no answer in time"),
        ("3", "failed", "HTTP 503"),
    ]
    assert steps.index("Message created") < steps.index("Gateway call 1")
    assert steps.rindex("all attempts failed (3), last: HTTP 503") > steps.index("Gateway call 3")
    for path in (f"history/{given_up['id']}", f"clients/{given_up['client']}", f"mailings/{given_up['mailing']}"):
        assert f'href="/admin/{path}"' in page.text
    assert f">{given_up['client']}<" not in page.text
    assert "<i>mailing" not in page.text


def test_a_sent_message_says_so(campaign: Campaign, on_call: Browser) -> None:
    """Expects one call that was accepted."""
    sent = campaign.api.get("/api/messages", query={"status": "sent", "limit": 1}).json["rows"][0]
    text = text_of(on_call.get(f"/admin/messages/{sent['id']}"))
    assert re.search(r"Gateway call 1 accepted Answer: HTTP (200|.) after", text)
    assert "Gateway call 2" not in text


def test_the_request_is_shown_without_secrets(on_call: Browser, given_up: dict[str, str]) -> None:
    """Expects the request to the gateway with the number masked."""
    page = text_of(on_call.get(f"/admin/messages/{given_up['id']}")).partition("Request to the gateway")[2]
    assert "The first <i>mailing</i>" in page
    assert re.search(r"\+7\*{8}\d\d", page)


def test_the_page_of_a_message_has_its_text(on_call: Browser, campaign: Campaign, given_up: dict[str, str]) -> None:
    """Expects it as it was sent, or a sentence if it is not known."""
    page = text_of(on_call.get(f"/admin/messages/{given_up['id']}"))
    assert "Text as sent The first <i>mailing</i>" in page
    (client,) = campaign.add_clients(1, attributes={"first_name": "Anna"}, tag="named")
    for keep, told in ((True, "Text as sent Hello Anna"), (False, "the values that it was made with are not kept")):
        mailing = campaign.order(clients={"tag": "named"}, text="Hello {{first_name}}", keep_values=keep)
        campaign.finish(mailing)
        assert told in text_of(on_call.get(f"/admin/messages/{mailing}-{client}"))
        assert ("Values of the texts are not kept" in text_of(on_call.get(f"/admin/mailings/{mailing}"))) is not keep
        copied = on_call.get(f"/admin/mailings/new?like={mailing}").text
        assert bool(re.search(r'name="forget_values" type="checkbox" value="true" checked', copied)) is not keep


def test_a_message_that_does_not_exist_is_not_found(on_call: Browser) -> None:
    """Expects a page that says so."""
    for message_id in ("nothing", f"{'0' * 26}-{client_id_for('+79160000000')}"):
        assert on_call.get(f"/admin/messages/{message_id}").status == 404


def test_an_empty_service_says_what_to_do_next(browser: Browser) -> None:
    """Expects a link to a first mailing."""
    page = browser.get("/admin/messages")
    assert "There are no messages yet." in text_of(page)
    assert 'href="/admin/mailings/new"' in page.text
