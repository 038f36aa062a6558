"""The pages of templates, and the form of a mailing that starts from one."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.browsing import Browser, text_of

WINDOW = {"start_time": "2026-03-02T15:00", "end_time": "2026-03-02T21:30", "zone": "Europe/Moscow"}
RUSSIAN = {"texts.0.language": "RU", "texts.0.text": "Привет, {{first_name}}"}
OPTIONS = {"late": "run", "on_unknown": "hold", "step": "send", "told": "later 1"}


@pytest.fixture
def template(api: Api) -> dict[str, Any]:
    """A template with texts in four languages, and a client to send it to."""
    assert api.post("/api/clients", {"phone_number": "+79160000001"}).status == 201
    texts = {one: f"Text {one} & more" for one in ("de", "fr", "it", "ru")}
    made: dict[str, Any] = api.post("/api/templates", {"name": "<Greeting>", "text": "Hello", "texts": texts}).json
    return made


def value_of(page: str, name: str) -> str:
    [value] = re.findall(rf'name="{name}" value="([^"]*)"', page)
    return str(value)


def fields_of(page: str) -> dict[str, str]:
    """The texts in a form, and the template that it started from."""
    fields = dict(re.findall(r'<textarea [^>]*name="(text[^"]*)"[^>]*>\n([^<]*)</textarea>', page))
    fields |= dict(re.findall(r'name="(texts\.\d\.language)" type="text" value="([^"]*)"', page))
    fields = {name: value.replace("&amp;", "&") for name, value in fields.items() if value}
    return {**fields, "template": re.findall(r'type="hidden" name="template" value="([^"]*)"', page)[0]}


def test_a_template_is_created_and_changed_by_its_pages(browser: Browser, api: Api) -> None:
    """Expects its versions to be shown with who made them, the newest first."""
    assert "There are no templates yet." in text_of(browser.get("/admin/templates"))
    browser.get("/admin/templates/new")
    page = browser.post("/admin/templates/new", {"name": "Greeting", "text": "Hello {{first_name|friend}}", **RUSSIAN})
    assert "The template was created." in text_of(page)
    [row] = api.get("/api/templates").json["rows"]
    path = f"/admin/templates/{row['id']}"
    form = browser.get(f"{path}/edit").text
    assert "Привет, {{first_name}}" in form
    fields = {"name": "Welcome", "text": "Hi", "version": value_of(form, "version")}
    changed = text_of(browser.post(f"{path}/edit", fields))
    assert re.search(
        r"Version 2 .* admin .*Hi.* Version 1 .* admin .*Greeting.*Hello \{\{first_name\|friend\}\}", changed
    )
    assert "Welcome" in text_of(browser.get("/admin/templates"))
    assert api.get(f"/api/templates/{row['id']}/versions/1").json["texts"] == {"ru": "Привет, {{first_name}}"}


def test_a_form_for_an_older_version_changes_nothing(browser: Browser, api: Api, template: dict[str, Any]) -> None:
    """Expects the input to be kept, and an error that says that somebody else was faster."""
    path = f"/admin/templates/{template['id']}/edit"
    browser.get(path)
    first, second = (browser.post(path, {"name": "Greeting", "text": text, "version": "1"}) for text in ("Hi", "Hey"))
    assert (first.status, second.status) == (200, 409)
    assert "somebody else changed this template" in text_of(second)
    assert fields_of(second.text + '<input type="hidden" name="template" value="">')["text"] == "Hey"
    assert api.get(f"/api/templates/{template['id']}").json["version"] == 2


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": " "}, "Name: must not be empty"),
        ({"name": "<GREETING>"}, "another template already has this name"),
        ({"text": "{{#a}}"}, "has {{#a}} without {{/a}}"),
        ({"texts.0.language": "ru", "texts.0.text": " "}, "Other languages: must not be empty"),
        ({"texts.0.language": "russian!", "texts.0.text": "x"}, "Other languages: must be the code of a language"),
    ],
)
def test_errors_are_reported_beside_their_fields(
    browser: Browser, template: dict[str, Any], fields: dict[str, str], told: str
) -> None:
    browser.get("/admin/templates/new")
    page = browser.post("/admin/templates/new", {"name": "Another", "text": "Hello", **fields})
    assert page.status in (409, 422)
    assert told in text_of(page)


def test_the_preview_shows_the_text_and_no_window(browser: Browser, template: dict[str, Any]) -> None:
    browser.get("/admin/templates/new")
    page = browser.post("/admin/templates/preview", {"name": "x", "text": "Hello {{first_name|friend}}"})
    assert page.status == 200
    assert "Hello friend" in page.text
    for word in ("start", "person", "AWS", "total"):
        assert word not in page.text
    assert "Enter a text that can be sent." in browser.post("/admin/templates/preview", {"text": "{{#a}}"}).text


def test_a_mailing_starts_from_a_template(browser: Browser, api: Api, template: dict[str, Any]) -> None:
    """Expects all its texts in the form, and a mailing that names the template, with a link."""
    assert "&lt;Greeting&gt;</option>" in browser.get("/admin/mailings/new").text
    form = browser.get(f"/admin/mailings/new?template={template['id']}").text
    fields = fields_of(form)
    assert (fields["text"], fields["texts.3.text"]) == ("Hello", "Text ru & more")
    browser.post("/admin/mailings/new", {**fields, **WINDOW, **OPTIONS})
    [mailing] = api.get("/api/mailing").json["rows"]
    assert mailing["template"] == {"id": template["id"], "version": 1, "name": "<Greeting>"}
    assert mailing["texts"] == template["texts"]
    page = browser.get(f"/admin/mailings/{mailing['id']}")
    assert f'href="/admin/templates/{template["id"]}#v1"' in page.text
    assert "<Greeting> Version 1" in text_of(page)
    api.delete(f"/api/templates/{template['id']}")
    assert "Deleted." in text_of(browser.get(f"/admin/templates/{template['id']}"))
    assert browser.get(f"/admin/mailings/new?template={template['id']}").status == 404


def test_a_text_that_was_changed_in_the_form_belongs_to_no_template(
    browser: Browser, api: Api, template: dict[str, Any]
) -> None:
    """Expects the same for a template that does not exist, since a form may come from anybody."""
    fields = fields_of(browser.get(f"/admin/mailings/new?template={template['id']}").text)
    for other in ({"text": "Hello!"}, {"template": "x y"}, {"template": f"{template['id']} 2"}):
        browser.post("/admin/mailings/new", {**fields, **WINDOW, **OPTIONS, **other})
    rows = api.get("/api/mailing").json["rows"]
    assert [one["template"] for one in rows] == [None] * 3


def test_an_error_keeps_all_languages(browser: Browser, template: dict[str, Any]) -> None:
    """Expects no text to be lost, and no other template to be offered, since it would replace the input."""
    fields = fields_of(browser.get(f"/admin/mailings/new?template={template['id']}").text)
    page = browser.post("/admin/mailings/new", {**fields, **WINDOW, **OPTIONS, "rate_limit": "x"})
    assert page.status == 422
    assert fields_of(page.text) == fields
    assert "Start from a template" not in page.text


def test_deleting_a_template_is_asked_about(browser: Browser, api: Api, template: dict[str, Any]) -> None:
    path = f"/admin/templates/{template['id']}/delete"
    assert "Delete this template?" in text_of(browser.get(path))
    assert "The template was deleted." in text_of(browser.post(path))
    assert api.get("/api/templates").json["rows"] == []
    assert browser.get(path).status == 404
