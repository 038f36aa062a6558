"""Personal texts: the form and the page of such a mailing, and its preview in the API."""

from __future__ import annotations

import re

import pytest

from chalicelib.domain.messages import Outcome
from chalicelib.services.trials import Trial
from tests.factories import MailingBodyFactory
from tests.support.api import Api
from tests.support.browsing import Browser, text_of

HELLO = "Hello {{first_name}}"
WINDOW = {"start_time": "2026-03-02T15:00", "end_time": "2026-03-02T21:30", "zone": "Europe/Moscow"}


@pytest.fixture
def clients(api: Api) -> None:
    """A client who has every value, one who has none, and one who has opted out."""
    anna = {"attributes": {"first_name": "<b>Anna</b>"}, "language": "ru"}
    for number, more in enumerate((anna, {}, {"opted_out": True})):
        assert api.post("/api/clients", {"phone_number": f"+7916000000{number}", **more}).status == 201


def test_the_preview_shows_texts_and_what_is_missing(browser: Browser, clients: None) -> None:
    """Expects values as they are, with none of them taken for HTML."""
    browser.get("/admin/mailings/new")
    page = browser.post("/admin/mailings/preview", {"text": HELLO, **WINDOW})
    assert page.status == 200
    assert "&lt;b&gt;Anna&lt;/b&gt;" in page.text
    told = re.sub("<[^>]*>", "", page.text)
    assert "1 of the first 2 will not get it: the client has no first_name, which the text needs." in told
    sent_anyway = browser.post("/admin/mailings/preview", {"text": HELLO, "missing": "send_empty", **WINDOW})
    assert "1 of the first 2 have no first_name." in re.sub("<[^>]*>", "", sent_anyway.text)
    assert "{{" not in told


def test_texts_by_language_are_saved_and_shown_again(browser: Browser, api: Api, clients: None) -> None:
    """Expects empty rows to be left out, and each text to be in the form of a copy."""
    texts = {
        "texts.0.language": "RU",
        "texts.0.text": "Привет, {{first_name}}",
        "texts.1.language": "",
        "texts.1.text": " ",
    }
    browser.get("/admin/mailings/new")
    fields = {"text": "Hello", "missing": "refuse", "on_unknown": "hold", "late": "run", **WINDOW, **texts}
    asked = browser.post("/admin/mailings/new", {**fields, "step": "send", "told": "later 2"})
    [mailing] = api.get("/api/mailing").json["rows"]
    assert (mailing["texts"], mailing["missing"]) == ({"ru": "Привет, {{first_name}}"}, "refuse"), text_of(asked)
    form = browser.get(f"/admin/mailings/new?like={mailing['id']}").text
    assert "Привет, {{first_name}}" in form
    assert re.search(r'<option value="refuse" selected', form)


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({"texts.0.language": "russian!", "texts.0.text": "x"}, "language"),
        ({"texts.0.language": "ru", "texts.0.text": " "}, "must not be empty"),
        ({"texts.0.language": "ru", "texts.0.text": "{{#a}}"}, "has {{#a}} without {{/a}}"),
    ],
)
def test_an_invalid_language_is_reported(browser: Browser, texts: dict[str, str], told: str) -> None:
    browser.get("/admin/mailings/new")
    page = browser.post(
        "/admin/mailings/new", {"text": "Hello", "late": "run", "on_unknown": "hold", **WINDOW, **texts}
    )
    assert page.status == 422
    assert told in text_of(page)
    assert 'id="field-texts"' in page.text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": "Hello {{first name}}"}, "text"),
        ({"texts": {"ru": "{{a}"}}, "texts.ru"),
        ({"texts": {"r": "x"}}, "texts.r"),
        ({"texts": {f"a{chr(97 + n)}": "x" for n in range(11)}}, "texts"),
        ({"missing": "perhaps"}, "missing"),
    ],
)
def test_bad_texts_are_refused_with_their_path(api: Api, clients: None, body: dict[str, object], field: str) -> None:
    reply = api.post("/api/mailing", MailingBodyFactory(**{"clients": {}, **body}))
    assert reply.status == 422
    assert [one["field"] for one in reply.json["errors"]] == [field]


def test_the_preview_of_the_api_has_a_sample(api: Api, clients: None) -> None:
    body = MailingBodyFactory(clients={}, text=HELLO, texts={"ru": "Привет, {{first_name}}"})
    sample = api.post("/api/mailing/preview", body).json["sample"]
    assert (sample["looked_at"], sample["missing"]) == (2, {"first_name": 1})
    assert (sample["least"], sample["typical"], sample["most"]) == (1, 1, 1)
    assert {(one["text"], one["reason_code"]) for one in sample["examples"]} == {
        ("Привет, <b>Anna</b>", None),
        ("Hello ", "value_missing"),
    }
    assert api.post("/api/mailing/preview", {**body, "text": "Hello", "texts": None}).json["sample"] is None


@pytest.fixture
def sent(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Number and text of each test message that was sent."""
    messages: list[tuple[str, str]] = []

    def send(message_id: str, phone_number: str, text: str, gateway: str | None = None) -> Trial:
        messages.append((phone_number, text))
        return Trial(message_id, "", Outcome.ACCEPTED, 1)

    monkeypatch.setattr(api.services.trials()._tester, "send", send)
    return messages


def test_a_test_message_is_what_the_person_would_get(api: Api, clients: None, sent: list[tuple[str, str]]) -> None:
    """Expects a client's own values, those of another client for a stranger, and no message to those who would get
    none."""
    mailing = MailingBodyFactory(clients={}, text=HELLO, missing="refuse")
    for number, status in (("+79160000000", 200), ("+447700900123", 200), ("+79160000001", 422), ("123", 422)):
        reply = api.post("/api/mailing/test", {"phone_number": number, "mailing": mailing})
        assert reply.status == status, reply.text
        if status == 422:
            assert [one["field"] for one in reply.json["errors"]] == ["phone_number"]
    assert sent[0] == ("+79160000000", "Hello <b>Anna</b>")
    assert len(sent) == 2
    assert api.get("/api/mailing").json["rows"] == []


def test_the_form_sends_a_test_message_once(browser: Browser, clients: None, sent: list[tuple[str, str]]) -> None:
    """Expects the same key to send nothing more, and a text with a mistake to be refused, whatever the values."""
    form = browser.get("/admin/mailings/new").text
    [key] = re.findall(r'name="test_key" value="([^"]+)"', form)
    fields = {"text": HELLO, "test_number": "+79160000000", "test_key": key, **WINDOW}
    for _ in range(2):
        page = browser.post("/admin/mailings/test", fields)
        assert "accepted" in page.text
    assert sent == [("+79160000000", "Hello <b>Anna</b>")]
    refused = browser.post("/admin/mailings/test", {**fields, "text": "{{#a}}", "test_key": "another-key-of-a-test"})
    assert "has {{#a}} without {{/a}}" in refused.text
    assert len(sent) == 1
