"""Templates in their table: whoever comes first, and whichever answers are lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.clock import Backoff
from chalicelib.domain.errors import Conflict
from chalicelib.domain.faults import Fault
from chalicelib.domain.templates import Template
from chalicelib.storage.templates import TemplateRepository
from tests.factories import START
from tests.integration.storage.engines import Store

FIRST = Template("0123456789abcdef0123", 1, "Greeting", "Hello", (("ru", "Привет"),), START, "anna")
SECOND = replace(FIRST, version=2, name="Welcome", text="Hi")


def templates_of(store: Store) -> TemplateRepository:
    return TemplateRepository(store.tables, Backoff(store.clock, store.backoff_rng))


def test_a_template_is_read_as_it_was_written(store: Store) -> None:
    templates = templates_of(store)
    templates.add(FIRST)
    assert templates.latest(FIRST.template_id) == FIRST
    templates.change(FIRST, SECOND)
    assert templates.latest(FIRST.template_id) == SECOND
    assert templates.version(FIRST.template_id, 1) == FIRST
    assert [one.name for one in templates.page("", 10)[0]] == ["Welcome"]


def test_only_one_of_two_changes_of_the_same_version_is_made(store: Store) -> None:
    """Expects the other to be refused, whether or not it changes the name, and to leave nothing behind."""
    templates = templates_of(store)
    templates.add(FIRST)
    templates.change(FIRST, SECOND)
    for other in (replace(SECOND, name="Greeting", text="Hey"), replace(SECOND, name="Third", changed_by="boris")):
        with pytest.raises(Conflict) as refused:
            templates.change(FIRST, other)
        assert refused.value.fault is Fault.TEMPLATE_CHANGED
    assert not templates.delete(FIRST, "boris", START)
    assert [one.version for one in templates.versions(FIRST.template_id, "", 10)[0]] == [2, 1]
    assert [one.name for one in templates.page("", 10)[0]] == ["Welcome"]


def test_a_change_of_a_deleted_template_is_refused(store: Store) -> None:
    templates = templates_of(store)
    templates.add(FIRST)
    assert templates.delete(FIRST, "anna", START)
    with pytest.raises(Conflict) as refused:
        templates.change(FIRST, SECOND)
    assert refused.value.fault is Fault.TEMPLATE_CHANGED
    assert templates.latest(FIRST.template_id) == replace(FIRST, deleted=True)
    assert templates.page("", 10) == ([], "")


def test_a_lost_answer_is_not_taken_for_somebody_elses_change(faulty: Store) -> None:
    """Expects each change to be made once."""
    templates = templates_of(faulty)
    for change in (
        lambda: templates.add(FIRST),
        lambda: templates.change(FIRST, SECOND),
        lambda: templates.delete(SECOND, "anna", START),
    ):
        faulty.aws.lose_answers("dynamodb.TransactWriteItems")
        change()
    assert [one.version for one in templates.versions(FIRST.template_id, "", 10)[0]] == [2, 1]
    assert templates.latest(FIRST.template_id).deleted


def test_a_page_of_the_list_costs_the_same_however_many_versions_there_are(store: Store) -> None:
    """Expects one item of the list for each template."""
    templates = templates_of(store)
    templates.add(FIRST)
    last = FIRST
    for version in range(2, 12):
        new = replace(last, version=version, text=f"Text {version}")
        templates.change(last, new)
        last = new
    assert store.tables.settings.count("templates") == 1
