"""The catalogs of the admin UI against its texts: all are translated, nothing is left over, values have places."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import polib
import pytest

from chalicelib import wording
from chalicelib.admin import texts
from chalicelib.domain.gateway_control import GatewayControl
from chalicelib.domain.reasons import Cause, Reason
from tests.contract import marked_texts

PLACEHOLDER = re.compile(r"%\((\w+)\)s")
TRANSLATED = [language for language in texts.LANGUAGES if language != texts.DEFAULT]
FORMS = {"ru": 3}
MOMENT = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture(scope="module", params=TRANSLATED)
def catalog(request: pytest.FixtureRequest) -> polib.POFile:
    """One language's catalog."""
    path = Path(texts.__file__).with_name("locale") / f"{request.param}.po"
    return polib.pofile(path.read_text(encoding="utf-8"), check_for_duplicates=True)


def _marked(catalog: polib.POFile) -> list[polib.POEntry]:
    return [entry for entry in catalog if not entry.msgctxt]


def test_every_marked_text_is_translated(catalog: polib.POFile) -> None:
    """Expects an entry for each text of templates and code; the answer names where those without one stand."""
    known = {(entry.msgid, entry.msgid_plural) for entry in _marked(catalog)}
    missing = {place: text for text, place in marked_texts.marked().items() if text not in known}
    assert missing == {}


def test_no_translation_is_left_over(catalog: polib.POFile) -> None:
    """Expects each entry to belong to a text that is still marked somewhere."""
    used = marked_texts.marked()
    assert [entry.msgid for entry in _marked(catalog) if (entry.msgid, entry.msgid_plural) not in used] == []


def test_a_translation_is_complete(catalog: polib.POFile) -> None:
    """Expects no empty, doubtful or obsolete entry, and as many plural forms as the language has."""
    forms = FORMS[catalog.metadata["Language"]]
    assert f"nplurals={forms};" in catalog.metadata["Plural-Forms"]
    for entry in catalog:
        assert not entry.obsolete
        assert not entry.fuzzy
        written = list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]
        assert len(written) == (forms if entry.msgid_plural else 1), entry.msgid
        assert all(one.strip() for one in written), entry.msgid


def test_a_translation_has_the_places_of_its_text(catalog: polib.POFile) -> None:
    """Expects the same %(name)s in both: one too many breaks the page, one too few loses a value."""
    for entry in catalog:
        wanted = set(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
        for form in entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]:
            assert set(PLACEHOLDER.findall(form)) == wanted, entry.msgid
            assert "%" not in PLACEHOLDER.sub("", form), entry.msgid


def test_what_is_marked_is_a_text() -> None:
    """Expects no variable to be marked, which nobody could find to translate; `said` is for what other code wrote."""
    assert list(marked_texts.unmarked()) == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_other_code_says_to_people_is_translated(language: str) -> None:
    """Expects errors of the whole service in the catalog's context "said"."""
    known = [pattern for pattern, _ in texts.sayings(language)]
    written = marked_texts.written()
    missing = {place: text for text, place in written.items() if not any(one.fullmatch(text) for one in known)}
    assert missing == {}


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_saying_is_left_over(language: str) -> None:
    """Expects each to be one that code can still write."""
    written = marked_texts.written()
    for pattern, _ in texts.sayings(language):
        assert any(pattern.fullmatch(text) for text in written), pattern.pattern


@pytest.mark.parametrize(
    ("said", "russian"),
    [
        ("is required", "обязательно"),
        ("must have 10 to 256 characters", "должно быть от 10 до 256 символов"),
        (
            "a mailing that is running cannot be deleted; cancel it first",
            "рассылку в состоянии «идёт» нельзя удалить; сначала отмените её",
        ),
        ("what nobody ever wrote", "what nobody ever wrote"),
    ],
)
def test_what_other_code_says_is_told_in_the_language_of_the_page(said: str, russian: str) -> None:
    """Expects values in their places, themselves translated where they can be, and unknown messages as they are."""
    assert texts.said(said) == said
    with texts.speaking("ru"):
        assert texts.said(said) == russian


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_catalog_has_each_text_of_a_reason_and_no_other(catalog: polib.POFile, language: str) -> None:
    """Expects the sentences of `wording` in the context "reason": they are looked up as they stand there."""
    assert catalog.metadata["Language"] == language
    known = {entry.msgid for entry in catalog if entry.msgctxt == "reason"}
    assert known == {*wording.REASONS.values(), *wording.DETAILED.values()}


@pytest.mark.parametrize(
    ("cause", "english", "russian"),
    [
        (Cause.http(503), "HTTP 503", "HTTP 503"),
        (Cause(Reason.NO_ANSWER), "no answer in time", "нет ответа вовремя"),
        (
            Cause.used_up(8, Cause(Reason.NO_ANSWER)),
            "attempts used up (8), last: no answer in time",
            "попытки исчерпаны (8), последняя: нет ответа вовремя",
        ),
        (Cause(Reason.OTHER, "what nobody knows"), "what nobody knows", "what nobody knows"),
        (None, "", ""),
    ],
)
def test_a_reason_is_told_in_the_language_of_the_page(cause: Cause | None, english: str, russian: str) -> None:
    """Expects what belongs to it in its place, and what ended the last attempt translated too."""
    assert texts.reason(cause) == english
    with texts.speaking("ru"):
        assert texts.reason(cause) == russian


def test_the_gateways_own_words_are_kept_as_they_are() -> None:
    """Expects only the service's part to be translated, and an operator's words alone."""
    tripped = GatewayControl().tripped(MOMENT, 0, Cause(Reason.NO_ANSWER), "Pay first")
    held = GatewayControl().held_open(MOMENT, "anna", "no answer in time")
    with texts.speaking("ru"):
        assert texts.circuit_reason(tripped) == "нет ответа вовремя: Pay first"
        assert texts.circuit_reason(held) == "no answer in time"


def test_russian_numbers_have_their_forms() -> None:
    """Expects the forms of 1, 2, 5, 11, 21 and 112."""
    with texts.speaking("ru"):
        told = [texts.ngettext("%(n)s user", "%(n)s users", n, n=n) for n in (1, 2, 5, 11, 21, 112)]
    assert told == [
        "1 пользователь",
        "2 пользователя",
        "5 пользователей",
        "11 пользователей",
        "21 пользователь",
        "112 пользователей",
    ]
