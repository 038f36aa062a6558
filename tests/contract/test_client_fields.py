"""A client's fields are defined once, in the domain; every other place has all of them."""

from __future__ import annotations

import re
from pathlib import Path

from chalicelib.admin import texts
from chalicelib.domain.clients import CLIENT_FIELDS, OPTIONAL_FIELDS, TEXT_FIELDS
from chalicelib.domain.imports import COLUMNS
from chalicelib.storage.models import ClientModel
from chalicelib.web.clients import ClientBody, ClientPatch, ClientView

TEMPLATES = Path(texts.__file__).with_name("templates") / "clients"


def test_requests_and_answers_have_every_field() -> None:
    """Expects bodies with exactly these fields, in their order, of which only the number is required."""
    said = [name for name in ClientBody.model_fields if name != "tag"]  # which is the first of `tags`
    assert (tuple(ClientBody.model_fields), tuple(said)) == (tuple(ClientPatch.model_fields), CLIENT_FIELDS)
    assert {name for name, one in ClientBody.model_fields.items() if not one.is_required()} == OPTIONAL_FIELDS | {"tag"}
    assert not any(one.is_required() for one in ClientPatch.model_fields.values())
    assert set(ClientView.model_fields) == {*CLIENT_FIELDS, "tag", "id", "unreachable", "created_at", "updated_at"}


def test_the_table_and_csv_have_every_field() -> None:
    """Expects an attribute and a column for each field."""
    assert set(ClientModel.get_attributes()) >= set(CLIENT_FIELDS)
    assert COLUMNS == CLIENT_FIELDS


def test_the_form_and_the_page_of_a_client_have_every_field() -> None:
    """Expects an input with a label, and the value on the page; plain texts are made in one loop."""
    form, page = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("edit.html", "client.html"))
    own = tuple(name for name in CLIENT_FIELDS if name not in TEXT_FIELDS)
    assert tuple(re.findall(r'ui\.(?:text_field|text_area|checkbox)\("(\w+)"', form)) == own
    assert [name for name in own if f"client.{name}" not in page] == []
    assert all("in text_fields %}" in template for template in (form, page))
    assert [name for name in CLIENT_FIELDS if texts.field_name(name) == name] == []
